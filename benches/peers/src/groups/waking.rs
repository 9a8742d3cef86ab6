//! How fast messages go there and back where somebody has to be woken, or to give a core away.

use super::{Case, Group, OURS, general};
use crate::plan::{Cores, Drive, Measure};

pub fn groups() -> Vec<Group> {
    vec![asleep(), one_core(), four_pairs()]
}

/// Both ends fall asleep each time.
fn asleep() -> Group {
    let cases = [(OURS, Drive::Sleep), ("socket and poll", Drive::Block), ("eventfd", Drive::Block)];
    Group::new("round trip asleep", cases.map(|(system, drive)| Case::new(system, Measure::RoundTrip, drive)))
}

/// Both ends share a core.
fn one_core() -> Group {
    let blocking = general().filter(|entry| entry.abilities.blocks).map(|entry| entry.name);
    let cases = blocking.chain(["eventfd"]).map(|system| Case::new(system, Measure::RoundTrip, Drive::Block));
    let asleep = Case::new(OURS, Measure::RoundTrip, Drive::Sleep);
    Group::new("round trip on one core", cases.chain([asleep]).map(|case| case.cores(Cores::One)))
}

/// Eight processes share two cores. Each of ours waits as it does by default, and in the two ways that are fixed.
fn four_pairs() -> Group {
    let cases = [(OURS, Drive::Block), (OURS, Drive::Look), (OURS, Drive::Sleep), ("eventfd", Drive::Block)];
    let case = |(system, drive)| Case::new(system, Measure::Crowd(4), drive).cores(Cores::Any);
    Group::new("round trip of four pairs", cases.map(case))
}
