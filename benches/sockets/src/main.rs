//! `local-socket` beside `interprocess`, `unix-ipc`, `ipc-channel` and bare sockets, alternately in one run. See the
//! README.

mod channels;
mod contents;
#[path = "../../peers/src/cores.rs"]
#[allow(dead_code, reason = "peers uses the rest")]
mod cores;
mod ends;
mod exchange;
mod link;
mod measures;
mod messages;
mod pace;
mod plan;
mod report;
#[path = "../../peers/src/report/statistics.rs"]
#[allow(dead_code, reason = "peers uses the rest")]
mod statistics;

use std::{error::Error, io, mem::replace, process::ExitCode};

use lexopt::prelude::*;

use crate::{
    cores::{State, floor},
    plan::{Channels, Messages, Plan, Subject},
    report::Record,
};

const HELP: &str = "\
usage: sockets [--rounds N] [WORD..]

Measures the questions whose names have one of the words, such as `tokio`, `channel`, `message`
or `8 B`, or all of them, and prints a table.

  --rounds N    how often each is asked [default: 15]; a result needs five undisturbed ones
  -h, --help    this
";

fn main() -> ExitCode {
    match play() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("sockets: {why}\nTry `--help`.");
            ExitCode::from(2)
        }
    }
}

fn play() -> Result<(), Box<dyn Error>> {
    if ends::play()? {
        return Ok(());
    }
    let (mut rounds, mut words) = (15, Vec::new());
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("rounds") => rounds = arguments.value()?.parse()?,
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(());
            }
            Value(word) => words.push(word.string()?),
            other => return Err(other.unexpected().into()),
        }
    }
    let wanted = |plan: &Plan| words.is_empty() || words.iter().any(|word| plan.name().contains(word));
    let plans: Vec<_> = Plan::all().into_iter().enumerate().filter(|(_, plan)| wanted(plan)).collect();
    if plans.is_empty() {
        return Err(format!("no question has {} in its name", words.join(" or ")).into());
    }
    let mut record = Record::default();
    let mut before = floor();
    for round in 0..rounds {
        for (index, plan) in &plans {
            // Each of them comes first as often as last.
            let systems = plan.subject.systems().len();
            for turn in 0..systems {
                let place = (turn + round) % systems;
                let found = measure(place, *index, *plan)?;
                let after = floor();
                if let Some(state) = State::of(replace(&mut before, after), after) {
                    record.add(*plan, place, state, round, found);
                }
            }
        }
        eprintln!("round {round}, floor {before:.0} ns");
    }
    let plans: Vec<_> = plans.into_iter().map(|(_, plan)| plan).collect();
    print!("{}", record.markdown(&plans));
    Ok(())
}

/// Runs a plan with the system in that place. Nanoseconds.
fn measure(place: usize, index: usize, plan: Plan) -> io::Result<f64> {
    match plan.subject {
        Subject::Stream(form) => ends::run(place, form, index, plan),
        Subject::Channel(kind) => channels::run(Channels::ALL[place].0, kind, plan),
        Subject::Message(load) => messages::run(Messages::ALL[place].0, load, plan),
    }
}
