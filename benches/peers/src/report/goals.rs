//! The goals, and whether they are met: ratios in one run, in one state.

use std::fmt::Write;

use super::{
    results::{Row, Table},
    text::NO_RESULT,
    units::{Unit, digits},
};
use crate::cores::State;

/// What is wanted of one of our cases.
#[derive(Clone, Copy, Debug)]
struct Goal {
    name: &'static str,
    group: &'static str,
    value: &'static str,
    ours: &'static str,
    /// The one that is hardest to beat counts. Empty: our figure itself is judged.
    rivals: &'static [&'static str],
    bound: Bound,
}

/// Which ratio is bounded, by what it must be and what it should be. Without rivals the ratio is our figure.
#[derive(Clone, Copy, Debug)]
enum Bound {
    OursAtMost(f64, f64),
    OursAtLeast(f64, f64),
    TheirsAtMost(f64, f64),
    TheirsAtLeast(f64, f64),
}
use Bound::*;

const fn goal(
    name: &'static str,
    (group, value): (&'static str, &'static str),
    ours: &'static str,
    rivals: &'static [&'static str],
    bound: Bound,
) -> Goal {
    Goal { name, group, value, ours, rivals, bound }
}

/// Spinning, and waiting in the default way.
const SPIN: &str = "memenpsf";
const BLOCK: &str = "memenpsf, blocking";

const TRIP_8: (&str, &str) = ("round trip 8 B", "ns");
const TRIP_64: (&str, &str) = ("round trip 64 B", "ns");
const TRIP_1K: (&str, &str) = ("round trip 1 KiB", "ns");
const RATE_8: (&str, &str) = ("one way single 8 B", "per second");
const RATE_64: (&str, &str) = ("one way single 64 B", "per second");
const RATE_1K: (&str, &str) = ("one way single 1 KiB", "per second");
const RATE_64K: (&str, &str) = ("one way read once, 4 MiB 64 KiB", "per second");
const RATE_1M: (&str, &str) = ("one way read once, 4 MiB 1 MiB", "per second");
const MANY_8: (&str, &str) = ("one way batches of 256 8 B", "per second");
const MANY_64: (&str, &str) = ("one way batches of 256 64 B", "per second");
const FEW_8: (&str, &str) = ("one way batches of 32, 4 MiB 8 B", "per second");
const FEW_64: (&str, &str) = ("one way batches of 32, 4 MiB 64 B", "per second");

const TRIP_8_P99: (&str, &str) = ("round trip 8 B", "p99 ns");
const TRIP_64_P99: (&str, &str) = ("round trip 64 B", "p99 ns");
const TRIP_ASLEEP: (&str, &str) = ("round trip asleep", "ns");
const TRIP_ONE_CORE: (&str, &str) = ("round trip on one core", "ns");
const TRIP_PAIRS: (&str, &str) = ("round trip of four pairs", "ns");
const CHANNELS: (&str, &str) = ("one way of channels", "per second");
const SET_UP: (&str, &str) = ("set-up", "ns");
const DESCRIPTORS: (&str, &str) = ("footprint", "descriptors");
const CALLS_SENT: (&str, &str) = ("system calls of a sender", "calls/message");
const CALLS_RECEIVED: (&str, &str) = ("system calls of a receiver", "calls/message");
const CALLS_BURST: (&str, &str) = ("system calls of a burst of 32 to a sleeper", "calls/burst");
const CPU_1K: (&str, &str) = ("CPU at 1000 messages/s", "CPU s/s");
const CPU_10K: (&str, &str) = ("CPU at 10000 messages/s", "CPU s/s");
const CPU_100K: (&str, &str) = ("CPU at 100000 messages/s", "CPU s/s");
const LOAD_100K: &str = "open load of 100000 messages/s";
const LOAD_1M: &str = "open load of 1000000 messages/s";
const DEATH_BLOCKED: (&str, &str) = ("death seen by a sleeper", "p99 ns");
const DEATH_LOOP: (&str, &str) = ("death seen by a loop", "p99 ns");

const ASLEEP: &str = "memenpsf, asleep";
const FIXED: &[&str] = &["memenpsf, looking", "memenpsf, asleep"];
const RUN: &str = "memenpsf, run, blocking";
const IN_A_ROW: &[&str] = &["two crossbeam-channels in a row, blocking"];
const POLLED: &[&str] = &["socket and poll, blocking"];
const STREAM: &[&str] = &["stream socket, blocking"];
/// Those that take a message at its time, spinning.
const LOADED: &[&str] = &["iceoryx2", "shmem-ipc", "stream socket"];

const GOALS: &[Goal] = &[
    goal("round trip, 8 B, beside a bare cache line", TRIP_8, SPIN, &["two atomics"], OursAtMost(1.15, 1.0)),
    goal("round trip, 64 B, beside a bare cache line", TRIP_64, SPIN, &["two atomics"], OursAtMost(1.15, 1.0)),
    goal("round trip, 8 B, beside rtrb", TRIP_8, SPIN, &["rtrb"], OursAtMost(1.0, 0.85)),
    goal("round trip, 64 B, beside rtrb", TRIP_64, SPIN, &["rtrb"], OursAtMost(1.0, 0.85)),
    goal("round trip, 8 B, times lower than iceoryx2", TRIP_8, SPIN, &["iceoryx2"], TheirsAtLeast(3.5, 4.5)),
    goal("round trip, 64 B, times lower than iceoryx2", TRIP_64, SPIN, &["iceoryx2"], TheirsAtLeast(3.5, 4.5)),
    goal("round trip, 1 KiB, beside rtrb", TRIP_1K, SPIN, &["rtrb"], OursAtMost(1.15, 1.0)),
    goal("one way, single, 8 B, beside rtrb", RATE_8, SPIN, &["rtrb"], OursAtLeast(1.2, 1.5)),
    goal("one way, single, 64 B, beside rtrb", RATE_64, SPIN, &["rtrb"], OursAtLeast(3.0, 3.7)),
    goal("one way, single, 8 B, beside rtrb with our pauses", RATE_8, SPIN, &["rtrb, paced"], OursAtLeast(0.9, 1.0)),
    goal("one way, single, 64 B, beside rtrb with our pauses", RATE_64, SPIN, &["rtrb, paced"], OursAtLeast(0.9, 1.0)),
    goal("one way, single, 8 B, times iceoryx2", RATE_8, SPIN, &["iceoryx2"], OursAtLeast(100.0, 140.0)),
    goal("one way, single, 64 B, times iceoryx2", RATE_64, SPIN, &["iceoryx2"], OursAtLeast(50.0, 70.0)),
    goal("batches of 256, 8 B", MANY_8, SPIN, &["rtrb", "shmem-ipc"], OursAtLeast(0.85, 1.05)),
    goal("batches of 256, 64 B", MANY_64, SPIN, &["rtrb", "shmem-ipc"], OursAtLeast(0.95, 1.1)),
    goal("batches of 32 in a ring of 4 MiB, 8 B", FEW_8, SPIN, &["rtrb", "shmem-ipc"], OursAtLeast(1.1, 1.3)),
    goal("batches of 32 in a ring of 4 MiB, 64 B", FEW_64, SPIN, &["rtrb", "shmem-ipc"], OursAtLeast(1.4, 1.7)),
    goal("one way, single, 1 KiB, beside rtrb", RATE_1K, SPIN, &["rtrb"], OursAtLeast(1.5, 1.8)),
    goal("64 KiB, beside memory written and read bare", RATE_64K, SPIN, &["bare ring"], OursAtLeast(0.9, 1.0)),
    goal("1 MiB, beside memory written and read bare", RATE_1M, SPIN, &["bare ring"], OursAtLeast(0.9, 1.0)),
    goal("what safety and wake-up cost a message, 8 B", RATE_8, SPIN, &["bare ring"], TheirsAtMost(1.2, 1.05)),
    goal("what safety and wake-up cost a message, 64 B", RATE_64, SPIN, &["bare ring"], TheirsAtMost(1.2, 1.05)),
    goal("round trip, 8 B, blocking beside spinning", TRIP_8, BLOCK, &[SPIN], OursAtMost(1.3, 1.1)),
    goal("round trip, 64 B, blocking beside spinning", TRIP_64, BLOCK, &[SPIN], OursAtMost(1.3, 1.1)),
    goal("round trip, 8 B, blocking beside spinning, p99", TRIP_8_P99, BLOCK, &[SPIN], OursAtMost(2.0, 2.0)),
    goal("round trip, 64 B, blocking beside spinning, p99", TRIP_64_P99, BLOCK, &[SPIN], OursAtMost(2.0, 2.0)),
    goal("round trip on one core", TRIP_ONE_CORE, BLOCK, &["eventfd, blocking"], OursAtMost(1.2, 0.9)),
    goal("four pairs, beside the best fixed way to wait", TRIP_PAIRS, BLOCK, FIXED, OursAtMost(1.3, 1.1)),
    goal("round trip asleep", TRIP_ASLEEP, ASLEEP, POLLED, OursAtMost(1.3, 1.1)),
    goal("run loop, beside two channels in a row", CHANNELS, RUN, IN_A_ROW, OursAtLeast(0.7, 1.0)),
    goal("set-up, times faster than iceoryx2", SET_UP, SPIN, &["iceoryx2, one direction"], TheirsAtLeast(20.0, 50.0)),
    goal("descriptors a side", DESCRIPTORS, SPIN, &[], OursAtMost(4.0, 3.0)),
    goal("system calls a message, sending awake", CALLS_SENT, SPIN, &[], OursAtMost(0.0, 0.0)),
    goal("system calls a message, receiving awake", CALLS_RECEIVED, SPIN, &[], OursAtMost(0.0, 0.0)),
    goal("system calls for a burst to a sleeper", CALLS_BURST, BLOCK, &[], OursAtMost(1.0, 1.0)),
    goal("CPU at 1000 messages/s, asleep", CPU_1K, ASLEEP, STREAM, OursAtMost(1.1, 1.1)),
    goal("CPU at 10000 messages/s, asleep", CPU_10K, ASLEEP, STREAM, OursAtMost(1.1, 1.1)),
    goal("CPU at 100000 messages/s, asleep", CPU_100K, ASLEEP, STREAM, OursAtMost(1.1, 1.1)),
    goal("open load, 100 k/s, p50", (LOAD_100K, "p50 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("open load, 100 k/s, p99", (LOAD_100K, "p99 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("open load, 100 k/s, p99.9", (LOAD_100K, "p99.9 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("open load, 1 M/s, p50", (LOAD_1M, "p50 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("open load, 1 M/s, p99", (LOAD_1M, "p99 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("open load, 1 M/s, p99.9", (LOAD_1M, "p99.9 ns"), SPIN, LOADED, OursAtMost(1.0, 1.0)),
    goal("from the kill to the error, blocked", DEATH_BLOCKED, BLOCK, &[], OursAtMost(2e6, 0.5e6)),
    goal("from the kill to the error, in a loop", DEATH_LOOP, SPIN, &[], OursAtMost(20e6, 5e6)),
];

/// The goals with what was found, state by state.
pub fn markdown(tables: &[Table]) -> String {
    let mut text = "# Goals\n\n\
         The ratio is ours by theirs, or *theirs by ours* where it says so: the median over pairs of one round in one state. *Must* is \
         what has to be reached, *aim* what may be hoped for.\n\n\
         | goal | state | ours | theirs | | ratio | must | aim | |\n|---|---|---:|---:|---|---:|---:|---:|---|\n"
        .to_owned();
    for goal in GOALS {
        let table = tables.iter().find(|table| table.group == goal.group && table.value == goal.value);
        let found: Vec<_> = table.map_or_else(Vec::new, |table| {
            State::ALL.into_iter().filter_map(|state| Some((state, goal.found(table, state)?))).collect()
        });
        let (must, aim) = goal.limits();
        if found.is_empty() {
            writeln!(text, "| {} | | | | | | {must} | {aim} | {NO_RESULT} |", goal.name).expect("a string takes text");
        }
        for (state, Found { ours, theirs, rival, ratio }) in found {
            let (state, ratio_text, verdict) = (state.name(), goal.ratio_text(ratio), goal.bound.verdict(ratio));
            let line = format!("{state} | {ours} | {theirs} | {rival} | {ratio_text} | {must} | {aim} | {verdict}");
            writeln!(text, "| {} | {line} |", goal.name).expect("a string takes text");
        }
    }
    text
}

/// What was found for a goal in one state.
struct Found {
    ours: String,
    theirs: String,
    rival: &'static str,
    ratio: f64,
}

impl Goal {
    fn found(&self, table: &Table, state: State) -> Option<Found> {
        let ours = table.row(self.ours)?;
        let figure = |row: &Row| Some(table.unit.figure(row.runs.summary(state)?.median));
        if self.rivals.is_empty() {
            let ratio = ours.runs.summary(state)?.median;
            return Some(Found { ours: figure(ours)?, theirs: String::new(), rival: "", ratio });
        }
        let beside = |rival: &&'static str| {
            let row = table.row(rival)?;
            let ratio = match self.bound {
                OursAtMost(..) | OursAtLeast(..) => ours.runs.ratio(&row.runs, state),
                TheirsAtMost(..) | TheirsAtLeast(..) => row.runs.ratio(&ours.runs, state),
            };
            Some(Found { ours: figure(ours)?, theirs: figure(row)?, rival, ratio: ratio?.median })
        };
        let found: Vec<_> = self.rivals.iter().map(beside).collect::<Option<_>>()?;
        let hardest = |a: &Found, b: &Found| self.bound.ease(a.ratio).total_cmp(&self.bound.ease(b.ratio));
        found.into_iter().min_by(hardest)
    }
}

impl Goal {
    /// What it must be and what it should be.
    fn limits(&self) -> (String, String) {
        let sign = if self.bound.at_most() { "≤" } else { "≥" };
        let limit = |limit: f64| match self.rivals {
            [] => format!("{sign} {}", Unit::of(self.value).figure(limit)),
            _ => format!("{sign} {limit}"),
        };
        let (must, aim) = self.bound.limits();
        (limit(must), limit(aim))
    }

    /// Without rivals there is no ratio.
    fn ratio_text(&self, ratio: f64) -> String {
        match self.bound {
            _ if self.rivals.is_empty() => String::new(),
            OursAtMost(..) | OursAtLeast(..) => digits(ratio),
            TheirsAtMost(..) | TheirsAtLeast(..) => format!("*{}*", digits(ratio)),
        }
    }
}

impl Bound {
    fn limits(self) -> (f64, f64) {
        let (OursAtMost(must, aim) | OursAtLeast(must, aim) | TheirsAtMost(must, aim) | TheirsAtLeast(must, aim)) =
            self;
        (must, aim)
    }

    fn at_most(self) -> bool {
        matches!(self, OursAtMost(..) | TheirsAtMost(..))
    }

    /// The more, the better.
    fn ease(self, ratio: f64) -> f64 {
        if self.at_most() { -ratio } else { ratio }
    }

    fn verdict(self, ratio: f64) -> &'static str {
        let (must, aim) = self.limits();
        match self.ease(ratio) {
            ease if ease >= self.ease(aim) => "aim met",
            ease if ease >= self.ease(must) => "must met",
            _ => "**not met**",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups;

    #[test]
    fn goals_name_groups_that_exist_and_our_cases_in_them() {
        let groups = groups::all();
        for goal in GOALS {
            let group = groups.iter().find(|group| group.name == goal.group);
            let group = group.unwrap_or_else(|| panic!("no group {}", goal.group));
            assert!(group.cases.iter().any(|case| case.name == goal.ours), "{}: no case {}", goal.name, goal.ours);
        }
    }

    #[test]
    fn must_is_easier_than_aim() {
        for goal in GOALS {
            let (must, aim) = goal.bound.limits();
            assert!(goal.bound.ease(must) <= goal.bound.ease(aim), "{}", goal.name);
        }
    }

    #[test]
    fn verdicts_follow_the_direction() {
        assert_eq!(
            [0.9, 1.0, 1.1, 1.2].map(|x| OursAtMost(1.15, 1.0).verdict(x)),
            ["aim met", "aim met", "must met", "**not met**"]
        );
        assert_eq!([0.8, 0.9, 1.0].map(|x| OursAtLeast(0.9, 1.0).verdict(x)), ["**not met**", "must met", "aim met"]);
    }
}
