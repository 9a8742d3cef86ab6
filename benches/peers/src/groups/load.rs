//! How a system behaves under load: messages at fixed times, channels at both ends, the death of a process.

use super::{Case, Group, OURS, general};
use crate::plan::{Cores, Drive, Measure, Way};

/// Far processes that are killed in a run.
const KILLS: usize = 100;

pub fn groups() -> Vec<Group> {
    let mut groups: Vec<_> = [100_000, 1_000_000].map(open_load).into();
    groups.extend([
        channels("round trip of channels", Measure::RoundTrip),
        channels("one way of channels", Measure::OneWay(Way::Single)),
        death("death seen by a loop", Drive::Spin),
        death("death seen by a sleeper", Drive::Block),
    ]);
    groups
}

fn open_load(per_second: u32) -> Group {
    let cases = general().filter(|entry| !entry.threads).flat_map(|entry| {
        let drives = [Some(Drive::Spin), entry.abilities.blocks.then_some(Drive::Block)];
        drives.into_iter().flatten().map(move |drive| Case::new(entry.name, Measure::OpenLoad(per_second), drive))
    });
    Group::new(format!("open load of {per_second} messages/s"), cases.map(|case| case.bytes(64)))
}

/// Ours as a run loop between channels, and two channels in a row. There are more threads than cores.
fn channels(name: &str, measure: Measure) -> Group {
    let cases = [format!("{OURS}, run"), "two crossbeam-channels in a row".into()];
    let case = |system: String| Case::new(&system, measure, Drive::Block).bytes(64).cores(Cores::Any);
    Group::new(name, cases.map(case))
}

fn death(name: &str, drive: Drive) -> Group {
    let noticing = general().filter(|entry| entry.abilities.notices_death);
    Group::new(name, noticing.map(|entry| Case::new(entry.name, Measure::Death(KILLS), drive)))
}
