//! The one file that knows about loom and ThreadSanitizer: the atomics that the ring is made of.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use core::hint::spin_loop;

/// loom has no compiler to hold back: it sees exactly the accesses that are made.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}

/// What happened before the value last loaded from `word` was stored there happens before what follows.
#[cfg(not(tsan))]
#[inline(always)]
pub(crate) fn acquire(_word: &AtomicU64) {
    fence(Ordering::Acquire);
}

/// ThreadSanitizer takes no notice of fences; a second load does at least as much.
#[cfg(tsan)]
pub(crate) fn acquire(word: &AtomicU64) {
    word.load(Ordering::Acquire);
}
