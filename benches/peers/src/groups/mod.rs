//! The questions: which cases are run in turn, so that they can be compared.

mod load;
mod resources;
mod speed;
mod waking;

use crate::{
    plan::{Cores, Drive, Measure, Plan},
    table::{Entry, SYSTEMS, system},
};

/// Cases that are run in turn.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: String,
    pub cases: Vec<Case>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Case {
    pub name: String,
    pub plan: Plan,
}

/// Bytes of messages that a direction holds, where nothing else is said.
const RING: usize = 256 << 10;
/// The name of ours.
const OURS: &str = "memenpsf";

/// All groups.
pub fn all() -> Vec<Group> {
    [speed::groups(), waking::groups(), load::groups(), resources::groups()].concat()
}

impl Group {
    fn new(name: impl Into<String>, cases: impl IntoIterator<Item = Case>) -> Self {
        let fits = |case: &Case| case.plan.bytes <= system(&case.plan.system).abilities.largest;
        Self { name: name.into(), cases: cases.into_iter().filter(fits).collect() }
    }
}

impl Case {
    /// Messages of 8 bytes on two cores, called as its system, and as the way it waits if that is not the usual one.
    fn new(system: &str, measure: Measure, drive: Drive) -> Self {
        let name = match drive {
            Drive::Spin => system.to_owned(),
            Drive::Block => format!("{system}, blocking"),
            Drive::Look => format!("{system}, looking"),
            Drive::Sleep => format!("{system}, asleep"),
        };
        let plan =
            Plan { system: system.to_owned(), measure, bytes: 8, ring: RING, drive, cores: Cores::Two, quick: false };
        Self { name, plan }
    }

    fn bytes(mut self, bytes: usize) -> Self {
        self.plan.bytes = bytes;
        self
    }

    fn ring(mut self, ring: usize) -> Self {
        self.plan.ring = ring;
        self
    }

    fn cores(mut self, cores: Cores) -> Self {
        self.plan.cores = cores;
        self
    }
}

/// The systems that are compared with all others.
fn general() -> impl Iterator<Item = &'static Entry> {
    SYSTEMS.iter().filter(|entry| entry.general)
}

/// `8 B`, `64 KiB`, `1 MiB`.
pub fn size(bytes: usize) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}
