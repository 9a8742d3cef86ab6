//! How fast messages of each size go there and back, and there in a stream.

use super::{Case, Group, OURS, RING, general, size};
use crate::{
    plan::{Drive, Measure, Way},
    table::{Entry, SIZES},
};

pub fn groups() -> Vec<Group> {
    let mut groups: Vec<_> = SIZES.map(round_trip).into();
    groups.extend(SIZES.map(|bytes| one_way("single", Way::Single, bytes, RING)));
    for bytes in [8, 64] {
        groups.push(one_way("batches of 256", Way::Batches(256), bytes, RING));
        groups.push(one_way("batches of 32, 4 MiB", Way::Batches(32), bytes, 4 << 20));
    }
    for bytes in [64 << 10, 1 << 20] {
        groups.push(one_way("single, 1 MiB", Way::Single, bytes, 1 << 20));
        groups.push(one_way("single, 4 MiB", Way::Single, bytes, 4 << 20));
        groups.push(one_way("read once, 4 MiB", Way::ReadOnce, bytes, 4 << 20));
        groups.push(untouched(bytes));
    }
    groups
}

fn round_trip(bytes: usize) -> Group {
    let cases = general().flat_map(|entry| {
        ways_to_wait(entry).map(move |drive| Case::new(entry.name, Measure::RoundTrip, drive).bytes(bytes))
    });
    Group::new(format!("round trip {}", size(bytes)), cases)
}

fn one_way(how: &str, way: Way, bytes: usize, ring: usize) -> Group {
    let cases = general()
        .filter(|entry| !entry.round_trip_only && (entry.abilities.batches || !matches!(way, Way::Batches(_))))
        .flat_map(|entry| {
            let case = move |drive| Case::new(entry.name, Measure::OneWay(way), drive).bytes(bytes).ring(ring);
            ways_to_wait(entry).map(case)
        });
    Group::new(format!("one way {how} {}", size(bytes)), cases)
}

/// What it takes to say where a message lies, for those that lend, and ours, which copies all the same.
fn untouched(bytes: usize) -> Group {
    let cases = general().filter(|entry| entry.abilities.lends || entry.name == OURS);
    let case = |entry: &Entry| Case::new(entry.name, Measure::OneWay(Way::FirstWord), Drive::Spin);
    Group::new(format!("one way untouched {}", size(bytes)), cases.map(|entry| case(entry).bytes(bytes).ring(4 << 20)))
}

fn ways_to_wait(entry: &Entry) -> impl Iterator<Item = Drive> + use<> {
    [Some(Drive::Spin), entry.abilities.blocks.then_some(Drive::Block)].into_iter().flatten()
}
