//! The store-buffer litmus, between two processes: "store mine, then load yours" on both sides, as a publish and the step
//! before a sleep do it. Unless something orders the store before the load, both can miss each other.
//!
//! The two never wait for each other, so that they overlap as often as can be:
//!
//! ```text
//! publisher   position = 1, 2, ..:   store position; (nothing);    load wake       last[wake seen] = position
//! sleeper     wake = 1, 2, ..:       store wake;     membarrier;   load position   seen[wake] = position
//! ```
//!
//! A miss on both sides is a position `p` and a wake `w` such that the publisher, having stored `p`, saw less than `w`, and the sleeper,
//! having stored `w`, saw less than `p`. Both words only grow, so it is enough to compare `seen[w]` with the last position
//! at which the publisher had seen less than `w`.

#![allow(unsafe_code, reason = "two processes map the same memory: that is what is tested")]

use std::{
    fmt,
    io::stdin,
    os::fd::{AsFd, OwnedFd},
    ptr::NonNull,
    str::FromStr,
    sync::atomic::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
        compiler_fence, fence,
    },
};

use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};
use rustix::{
    fs::{MemfdFlags, ftruncate, memfd_create},
    mm::{MapFlags, ProtFlags, mmap, munmap},
    thread::{MembarrierCommand, membarrier},
};

use super::{Args, Program};

/// What orders the store before the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The sleeper's `membarrier`; the publisher has a compiler fence.
    Membarrier,
    /// A fence on both sides.
    Fences,
    /// Nothing but a compiler fence on both sides.
    Nothing,
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Membarrier => "membarrier",
            Self::Fences => "fences",
            Self::Nothing => "nothing",
        })
    }
}

impl FromStr for Order {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Membarrier, Self::Fences, Self::Nothing].into_iter().find(|order| order.to_string() == text).ok_or(())
    }
}

/// Sleeps of the sleeper, and how many of them the publisher and the sleeper both missed.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Positions that the publisher stored.
    pub published: u64,
    /// Wakes for which neither side saw the other.
    pub missed: u64,
}

/// The sleeper here, the publisher in a far end, each on a processor of its own, for `rounds` announcements.
pub fn run(program: Program<'_>, order: Order, rounds: u64) -> Outcome {
    let file = memfd_create("litmus", MemfdFlags::CLOEXEC).expect("a memfd");
    let shared = Shared::of(file, rounds);
    let file = shared.file.try_clone().expect("a descriptor");
    let mut peer = program.start_with("litmus", &[order.to_string(), rounds.to_string()], file);
    let shared = &shared;
    // A thread of its own, since it stays on its processor.
    let seen = std::thread::scope(|scope| scope.spawn(move || sleeper(shared, order, rounds)).join());
    let seen = seen.expect("the sleeper");
    assert!(peer.wait().success(), "the publisher failed");
    let mut last = 0;
    let mut missed = 0;
    for (saw, wake) in seen.into_iter().zip(1..) {
        last = last.max(shared.last(wake - 1).load(Relaxed));
        missed += u64::from(saw < last);
    }
    Outcome { published: shared.position().load(Relaxed), missed }
}

pub(super) fn far<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (order, rounds) = (args.next(), args.next());
    let file = stdin().as_fd().try_clone_to_owned().expect("the memory as standard input");
    if order == Order::Membarrier {
        membarrier(MembarrierCommand::RegisterGlobalExpedited).expect("a kernel with membarrier");
    }
    publisher(&Shared::of(file, rounds), order, rounds);
}

fn publisher(shared: &Shared, order: Order, rounds: u64) {
    stay_on_first();
    let mut position = 0;
    // Ends by the sleeper, whose last wake is `rounds`.
    loop {
        position += 1;
        shared.position().store(position, Relaxed);
        if order == Order::Fences {
            fence(SeqCst);
        } else {
            compiler_fence(SeqCst);
        }
        let wake = shared.wake().load(Relaxed);
        shared.last(wake).store(position, Relaxed);
        if wake == rounds {
            return;
        }
    }
}

fn sleeper(shared: &Shared, order: Order, rounds: u64) -> Vec<u64> {
    assert!(processors().len() > 1, "two processors are needed for two processes to miss each other");
    stay_on_last();
    let mut seen = Vec::with_capacity(usize::try_from(rounds).expect("rounds that fit the memory"));
    // Ends by the publisher's first store.
    while shared.position().load(Relaxed) == 0 {
        std::thread::yield_now();
    }
    for wake in 1..=rounds {
        shared.wake().store(wake, Relaxed);
        match order {
            Order::Membarrier => membarrier(MembarrierCommand::GlobalExpedited).expect("a kernel with membarrier"),
            Order::Fences => fence(SeqCst),
            Order::Nothing => compiler_fence(SeqCst),
        }
        seen.push(shared.position().load(Relaxed));
    }
    seen
}

/// The processors that this thread may run on.
fn processors() -> Vec<usize> {
    let set = sched_getaffinity(Pid::from_raw(0)).expect("the processors of this thread");
    (0..CpuSet::count()).filter(|&processor| set.is_set(processor).unwrap_or(false)).collect()
}

/// Keeps this thread on the first of its processors.
pub(super) fn stay_on_first() {
    stay_on(*processors().first().expect("a processor"));
}

/// Keeps this thread on the last of its processors.
pub(super) fn stay_on_last() {
    stay_on(*processors().last().expect("a processor"));
}

fn stay_on(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).expect("a processor that exists");
    sched_setaffinity(Pid::from_raw(0), &set).expect("a processor that is allowed");
}

/// Words between two that are written by different processes: two pairs of lines.
const APART: usize = 32;

/// Memory that both processes write.
///
/// # Invariants
///
/// S1. `base` is valid for reads and writes of `words` words, and aligned to a page, until `self` drops.
/// S2. Another process may write at any time: the words are only ever seen as `&AtomicU64`.
struct Shared {
    base: NonNull<AtomicU64>,
    words: usize,
    file: OwnedFd,
}

// SAFETY: S1 holds on every thread, and atomics may be used from all of them (S2).
unsafe impl Sync for Shared {}

impl Shared {
    fn of(file: OwnedFd, rounds: u64) -> Self {
        let words = 2 * APART + usize::try_from(rounds).expect("rounds that fit the memory") + 1;
        let bytes = words * size_of::<u64>();
        ftruncate(&file, bytes as u64).expect("memory");
        // SAFETY: a new mapping at an address of the kernel's choice.
        let base = unsafe {
            mmap(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &file, 0)
        };
        let base = NonNull::new(base.expect("a mapping").cast()).expect("an address");
        Self { base, words, file }
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        assert!(index < self.words);
        // SAFETY: checked above to be inside the mapping (S1).
        let word = unsafe { self.base.add(index) };
        // SAFETY: valid and aligned (S1), and only seen as atomics (S2).
        unsafe { word.as_ref() }
    }

    fn position(&self) -> &AtomicU64 {
        self.word(0)
    }

    fn wake(&self) -> &AtomicU64 {
        self.word(APART)
    }

    /// The last position at which the publisher saw `wake`, 0 if it never did.
    fn last(&self, wake: u64) -> &AtomicU64 {
        self.word(2 * APART + usize::try_from(wake).expect("a wake that fits the memory"))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // SAFETY: the mapping was made with this length (S1), and nobody uses it any more.
        let unmapped = unsafe { munmap(self.base.as_ptr().cast(), self.words * size_of::<u64>()) };
        debug_assert!(unmapped.is_ok());
    }
}
