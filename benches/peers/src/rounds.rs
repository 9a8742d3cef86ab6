//! Runs that can be compared: the cases of a group in turn, each between two probes of the floor.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{self, IsTerminal, stderr},
    mem::replace,
};

use crate::{
    cores::{State, floor},
    groups::Group,
    interrupt::Interrupt,
    near_end::{self, Outcome},
    record::{Failure, Line, Sample},
    report::{ENOUGH, is_ours},
};

/// Runs all cases of a group in turn until each has enough runs in one state that all share, or the rounds are used up.
/// Each sample is handed to `keep` at once. A case that fails is left out from then on.
pub fn run(
    group: &Group,
    most: usize,
    interrupt: &Interrupt,
    mut keep: impl FnMut(Line) -> io::Result<()>,
) -> io::Result<()> {
    let mut states = States::new();
    let mut failed = BTreeSet::new();
    let mut before = floor();
    for round in 0..most {
        for (index, case) in group.cases.iter().enumerate() {
            if failed.contains(&index) {
                continue;
            }
            let outcome = near_end::run(&case.plan, interrupt)?;
            let after = floor();
            let floors = (replace(&mut before, after), after);
            let (group, case, plan) = (group.name.clone(), case.name.clone(), case.plan.clone());
            progress(&format!("{group}, round {round}, {case}"), floors);
            match outcome {
                Outcome::Found(values) => {
                    if let Some(state) = State::of(floors.0, floors.1) {
                        states.insert((round, index), state);
                    }
                    keep(Line::Sample(Sample { group, case, plan, round, floors, values }))?;
                }
                Outcome::Failed(reason) => {
                    failed.insert(index);
                    eprintln!("\n{group}: {case} failed: {reason}");
                    keep(Line::Failure(Failure { group, case, plan, round, reason }))?;
                }
                Outcome::Interrupted => {}
            }
            if interrupt.came() {
                return Ok(());
            }
        }
        if State::ALL.into_iter().any(|state| enough(group, state, &states, &failed)) {
            break;
        }
    }
    Ok(())
}

/// The states by round and case.
type States = BTreeMap<(usize, usize), State>;

/// Whether every case that did not fail has enough runs in that state, each beside runs of ours in the same round and
/// state.
fn enough(group: &Group, state: State, states: &States, failed: &BTreeSet<usize>) -> bool {
    let ours = |index: &usize| is_ours(&group.cases[*index].plan.system);
    let alive: Vec<usize> = (0..group.cases.len()).filter(|index| !failed.contains(index)).collect();
    let was = |round, index| states.get(&(round, index)) == Some(&state);
    let rounds = states.keys().next_back().map_or(0, |(round, _)| round + 1);
    let beside = |round: &usize| alive.iter().filter(|index| ours(index)).all(|index| was(*round, *index));
    let common: Vec<usize> = (0..rounds).filter(beside).collect();
    alive.iter().all(|index| common.iter().filter(|round| was(**round, *index)).count() >= ENOUGH)
}

/// Says what was just run, on one line of a terminal, or on a line of its own elsewhere.
fn progress(what: &str, floors: (f64, f64)) {
    let state = State::of(floors.0, floors.1).map_or("neither near nor far", State::name);
    let text = format!("{what}: floor {:.0} and {:.0} ns, {state}", floors.0, floors.1);
    if stderr().is_terminal() {
        eprint!("\r\x1b[K{text}");
    } else {
        eprintln!("{text}");
    }
}
