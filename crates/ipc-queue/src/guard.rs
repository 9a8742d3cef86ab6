//! One word per connection that every operation loads first: is the connection still whole, and is this still its process?
#![allow(unsafe_code, reason = "the word lies in a page that the kernel wipes in forked children")]

use std::ptr::NonNull;

use memmap2::{MmapOptions, MmapRaw};
use rustix::mm::Advice;

use crate::{
    Error, layout,
    sync::{AtomicU64, Ordering::Relaxed},
};

const WHOLE: u64 = 1;
const CORRUPT: u64 = 2;
/// What a wiped page holds.
const FORKED: u64 = 0;

/// What the word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Whole,
    Corrupt,
    Forked,
}

/// A private page that reads as zeros in a forked child (`MADV_WIPEONFORK`, madvise(2)). The mapping itself stays in the child,
/// so it can be read and unmapped there.
///
/// # Invariants
///
/// G1. `page` holds at least one word, at its start, until it drops.
#[derive(Debug)]
pub(crate) struct Guard {
    page: MmapRaw,
}

impl Guard {
    pub(crate) fn new() -> Result<Self, Error> {
        let doing = "making the page that tells a fork";
        let page = MmapRaw::from(MmapOptions::new().len(layout::PAGE).map_anon().map_err(Error::io(doing))?);
        // SAFETY: the range is the mapping just made, and the advice changes only what a child sees.
        unsafe { rustix::mm::madvise(page.as_mut_ptr().cast(), page.len(), Advice::LinuxWipeOnFork) }
            .map_err(Error::io(doing))?;
        let guard = Self { page };
        guard.word().get().store(WHOLE, Relaxed);
        Ok(guard)
    }

    pub(crate) fn state(&self) -> State {
        match self.word().get().load(Relaxed) {
            WHOLE => State::Whole,
            FORKED => State::Forked,
            _ => State::Corrupt,
        }
    }

    /// Marks the connection as corrupt, for both halves. `false`: it was not whole.
    pub(crate) fn give_up(&self) -> bool {
        let whole = self.state() == State::Whole;
        if whole {
            self.word().get().store(CORRUPT, Relaxed);
        }
        whole
    }

    pub(crate) fn word(&self) -> GuardWord {
        let page = self.page.as_mut_ptr().cast::<AtomicU64>();
        GuardWord(NonNull::new(page).expect("no mapping lies at address 0"))
    }
}

/// The way to the word for the hot path. Its holder keeps the `Guard`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GuardWord(NonNull<AtomicU64>);

// SAFETY: leads to an atomic.
unsafe impl Send for GuardWord {}

impl GuardWord {
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.get().load(Relaxed) == WHOLE
    }

    #[inline(always)]
    fn get(&self) -> &AtomicU64 {
        // SAFETY: G1; the holder keeps the page.
        unsafe { self.0.as_ref() }
    }
}
