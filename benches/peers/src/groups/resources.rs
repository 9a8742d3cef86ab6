//! What links take: time to make them, descriptors, memory, processor time, system calls.

use super::{Case, Group, OURS, general};
use crate::plan::{Drive, Flow, Measure};

/// Bytes of messages that a direction of a link holds.
const LINK: usize = 64 << 10;

pub fn groups() -> Vec<Group> {
    let mut groups = vec![links("set-up", Measure::SetUp), links("footprint", Measure::Footprint), idle()];
    groups.extend([1_000, 10_000, 100_000].map(steady));
    groups.extend([
        system_calls("system calls of a sender", Flow::Sent),
        system_calls("system calls of a receiver", Flow::Received),
        system_calls("system calls of a burst of 32 to a sleeper", Flow::Burst(32)),
    ]);
    groups.push(passing());
    groups
}

/// Links are used by spinning, so that nobody sleeps while they are made but for the system's own reasons.
fn links(name: &str, measure: Measure) -> Group {
    let systems = general()
        .filter(|entry| !entry.threads)
        .map(|entry| entry.name)
        .chain(["memenpsf, under a path", "iceoryx2, one direction"]);
    let case = |system| Case::new(system, measure, Drive::Spin).bytes(64).ring(LINK);
    Group::new(name, systems.map(case))
}

fn steady(per_second: u32) -> Group {
    Group::new(format!("CPU at {per_second} messages/s"), blocking(Measure::Steady(per_second)))
}

fn idle() -> Group {
    Group::new("CPU of an idle link", blocking(Measure::Idle))
}

/// Systems between processes that block, and ours in each way of blocking.
fn blocking(measure: Measure) -> impl Iterator<Item = Case> {
    let entries = general().filter(|entry| !entry.threads && entry.abilities.blocks);
    let cases = entries.map(move |entry| Case::new(entry.name, measure, Drive::Block));
    cases.chain([Case::new(OURS, measure, Drive::Sleep)]).map(|case| case.bytes(64))
}

fn system_calls(name: &str, flow: Flow) -> Group {
    let spins =
        matches!(flow, Flow::Sent | Flow::Received).then_some(Case::new(OURS, Measure::SystemCalls(flow), Drive::Spin));
    Group::new(name, spins.into_iter().chain(blocking(Measure::SystemCalls(flow))))
}

fn passing() -> Group {
    let ways = ["fdpass", "bare sendmsg", "rustix", "sendfd"];
    Group::new("passing a descriptor", ways.map(|way| Case::new(way, Measure::PassDescriptor, Drive::Spin)))
}
