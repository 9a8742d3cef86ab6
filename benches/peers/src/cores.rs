//! The two cores, and what it costs to get from one to the other.

use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::*},
    },
    thread,
    time::Instant,
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};

/// The core of the near end, and of the probe.
pub const HERE: usize = 0;
/// The core of the far end, unless both run on one.
pub const THERE: usize = 1;

const TURNS: u64 = 20_000;
/// Floors below the first are near, from the second on far, in nanoseconds; what is between them moved during the
/// probe.
const BOUNDS: (f64, f64) = (250.0, 380.0);
/// No state has floors from here on: something else ran on the cores.
const BUSY: f64 = 1000.0;

/// Keeps this thread on that core.
pub fn pin(core: usize) {
    keep_on(&[core]);
}

/// Keeps this thread on these cores.
pub fn keep_on(cores: &[usize]) {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core).expect("a core number"));
    sched_setaffinity(Pid::from_raw(0), &set).expect("two cores");
}

/// Calls a function while this thread may run on both cores. Some systems count them, and wait in another way where
/// there is only one.
pub fn on_all_cores<T>(function: impl FnOnce() -> T) -> T {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).expect("this thread's cores");
    keep_on(&[HERE, THERE]);
    let value = function();
    sched_setaffinity(this, &before).expect("the cores from before");
    value
}

/// Where the hypervisor has put the two cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum State {
    Near,
    Far,
}

impl State {
    pub const ALL: [Self; 2] = [Self::Near, Self::Far];

    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Far => "far",
        }
    }

    /// The state during something with these floors before and after it; `None` if it was not the same all the time, or
    /// the machine was busy with something else.
    pub fn of(before: f64, after: f64) -> Option<Self> {
        match (before.min(after), before.max(after)) {
            (_, slowest) if slowest < BOUNDS.0 => Some(Self::Near),
            (fastest, slowest) if fastest >= BOUNDS.1 && slowest < BUSY => Some(Self::Far),
            _ => None,
        }
    }
}

/// The floor: nanoseconds that a cache line takes to the other core and back, between two threads.
///
/// No exchange of messages is faster, and only figures of the same state can be compared.
pub fn floor() -> f64 {
    pin(HERE);
    // Each word alone in its pair of lines.
    let lines = Arc::new([AtomicU64::new(0), AtomicU64::new(0)].map(|word| (word, [0u64; 31])));
    let other = Arc::clone(&lines);
    let answering = thread::spawn(move || {
        pin(THERE);
        for turn in 1..=TURNS {
            while other[0].0.load(Acquire) != turn {
                spin_loop();
            }
            other[1].0.store(turn, Release);
        }
    });
    let exchange = |turn| {
        lines[0].0.store(turn, Release);
        while lines[1].0.load(Acquire) != turn {
            spin_loop();
        }
    };
    // The first answer comes when the thread has started.
    exchange(1);
    let start = Instant::now();
    (2..=TURNS).for_each(exchange);
    let nanoseconds = start.elapsed().as_nanos() as f64;
    answering.join().expect("the probe does not fail");
    nanoseconds / (TURNS - 1) as f64
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn a_state_is_one_that_lasted_on_a_machine_that_was_not_busy() {
        assert_eq!(State::of(70.0, 160.0), Some(State::Near));
        assert_eq!(State::of(600.0, 450.0), Some(State::Far));
        for moved in [(100.0, 500.0), (500.0, 100.0), (300.0, 300.0)] {
            assert_eq!(State::of(moved.0, moved.1), None);
        }
        for busy in [(100.0, 1500.0), (500.0, 1500.0), (1500.0, 500.0), (4000.0, 4000.0)] {
            assert_eq!(State::of(busy.0, busy.1), None);
        }
    }
}
