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
    sched::{CpuSet, sched_setaffinity},
    unistd::Pid,
};

const TURNS: u64 = 500_000;
/// Said before the first turn.
const THERE_NOW: u64 = u64::MAX;

/// Where this end runs, and where the other one does.
pub const HERE: usize = 0;
/// See [`HERE`].
pub const THERE: usize = 1;

/// Keeps this thread on that core.
pub fn pin(core: usize) {
    let mut set = CpuSet::new();
    set.set(core).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// Nanoseconds that each of so many things took since then.
pub fn nanoseconds_each(start: Instant, count: u64) -> f64 {
    start.elapsed().as_nanos() as f64 / count as f64
}

/// The floor: nanoseconds that a cache line takes to the other core and back, between two threads. No exchange of messages is
/// faster, and only figures with the same floor can be compared: a hypervisor may move the two cores together or apart.
pub fn floor() -> f64 {
    floor_of(TURNS)
}

/// The floor, as the mean of so many turns.
pub fn floor_of(turns: u64) -> f64 {
    // Each word alone in its pair of lines.
    let lines = Arc::new([AtomicU64::new(0), AtomicU64::new(0)].map(|word| (word, [0u64; 31])));
    let other = Arc::clone(&lines);
    let answering = thread::spawn(move || {
        pin(THERE);
        other[1].0.store(THERE_NOW, Release);
        for turn in 1..=turns {
            while other[0].0.load(Acquire) != turn {
                spin_loop();
            }
            other[1].0.store(turn, Release);
        }
    });
    // It starts on this core, and has to get away from it.
    while lines[1].0.load(Acquire) != THERE_NOW {
        thread::yield_now();
    }
    let start = Instant::now();
    for turn in 1..=turns {
        lines[0].0.store(turn, Release);
        while lines[1].0.load(Acquire) != turn {
            spin_loop();
        }
    }
    answering.join().unwrap();
    nanoseconds_each(start, turns)
}
