//! What each part of the waiting strategy buys: the same things done with one part switched off, and with the whole of it, in turn.
//!
//! A figure is the time (or the processor time) of one message or round trip. A cell of the table is the figure without the part
//! divided by the one with it, from two runs that followed each other: the median of at least five such pairs, and half the distance
//! between its quartiles. Every run lies between two probes of the floor (see `ipc_bench::machine`), and a pair counts
//! for the state that all its probes found.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod arguments;
mod scenarios;
mod table;

use std::{env, fs, time::Duration};

use ipc_bench::{
    far_end,
    machine::{HERE, floor_of, pin},
    variants::{FULL, VARIANTS, Variant},
};
use nix::unistd::alarm;

use crate::{
    arguments::Arguments,
    scenarios::{SCENARIOS, Scenario},
    table::{Cell, State, Table},
};

/// Turns of a probe: 1 ms near, 5 ms far.
const TURNS: u64 = 10_000;
/// Rounds of all pairs, and how many there may be for those that have no result yet.
const ROUNDS: (usize, usize) = (7, 24);
/// Seconds after which a run hangs.
const HANGS: u32 = 20;

fn main() {
    if far_end::play() {
        return;
    }
    let arguments = Arguments::parse(env::args().skip(1));
    pin(HERE);
    if arguments.test {
        return test(&arguments);
    }
    let mut table = Table::new();
    for scenario in &SCENARIOS {
        let variants: Vec<_> = VARIANTS.iter().filter(|variant| arguments.want(scenario, variant)).collect();
        if !variants.is_empty() {
            let (cells, floors) = compare(scenario, &variants);
            println!("{}: {} probes of the floor, {}", scenario.name, floors.len(), extent(floors));
            table.add(scenario.name, cells);
        }
    }
    let text = table.markdown();
    println!("\n{text}");
    if arguments.filter.is_none() {
        let path = env::current_exe().unwrap().ancestors().nth(3).unwrap().join("waiting.md");
        fs::write(&path, text).unwrap();
        println!("written to {}", path.display());
    }
}

/// Does each thing once, for a moment.
fn test(arguments: &Arguments) {
    for scenario in &SCENARIOS {
        for variant in VARIANTS.iter().filter(|variant| arguments.want(scenario, variant)) {
            measure(scenario, variant, Duration::from_millis(1));
            println!("Testing {}/{}: success", scenario.name, variant.name);
        }
    }
}

/// Nanoseconds of one message. A run that hangs ends this program, which ends the far ends.
fn measure(scenario: &Scenario, variant: &'static Variant, time: Duration) -> f64 {
    alarm::set(HANGS);
    let figure = (scenario.run)(&scenario.setting(variant), time);
    alarm::cancel();
    figure
}

fn extent(mut floors: Vec<f64>) -> String {
    floors.sort_by(f64::total_cmp);
    let [low, median, high] = [0, floors.len() / 2, floors.len() - 1].map(|index| floors[index]);
    format!("{low:.0} to {high:.0} ns, half of them under {median:.0}")
}

/// Rounds of pairs, until each variant has a result in some state, or there were enough. Also returns all probes of the floor.
fn compare(scenario: &Scenario, variants: &[&'static Variant]) -> (Vec<(&'static str, Cell)>, Vec<f64>) {
    let mut cells: Vec<_> = variants.iter().map(|variant| (variant.name, Cell::default())).collect();
    let mut floors = vec![floor_of(TURNS)];
    for round in 0..ROUNDS.1 {
        for (variant, (_, cell)) in variants.iter().zip(&mut cells) {
            if round >= ROUNDS.0 && cell.is_settled() {
                continue;
            }
            // Each comes first in every other round.
            let order = if round % 2 == 0 { [&FULL, variant] } else { [variant, &FULL] };
            let mut figures = order.map(|variant| {
                let figure = measure(scenario, variant, scenario.time);
                floors.push(floor_of(TURNS));
                figure
            });
            if round % 2 == 1 {
                figures.reverse();
            }
            if let Some(state) = State::of(&floors[floors.len() - 3..]) {
                cell.add(state, figures);
            }
        }
    }
    (cells, floors)
}
