//! The one file that knows about loom: the atomics that the ring is made of.

#[cfg(not(loom))]
pub(crate) use core::sync::atomic::{AtomicU64, Ordering, compiler_fence, fence};
#[cfg(loom)]
pub(crate) use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(not(loom))]
pub(crate) use core::hint::spin_loop;

/// loom has no compiler to hold back: it sees exactly the accesses that are made.
#[cfg(loom)]
pub(crate) fn compiler_fence(_: Ordering) {}
