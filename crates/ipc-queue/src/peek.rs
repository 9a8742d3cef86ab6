//! Looking at elements without taking them.

use crate::{Consumer, Element};

/// The elements that were there when `peek` looked. They stay in the ring until [`consume`](Self::consume).
///
/// A peer that breaks the rules can change them at any time: two calls of [`get`](Self::get) may give different values, each of
/// them a valid `T`.
#[derive(Debug)]
pub struct Peek<'a, T: Element> {
    pub(crate) consumer: &'a mut Consumer<T>,
    pub(crate) n: usize,
}

impl<T: Element> Peek<'_, T> {
    /// How many there are: at least one.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.n
    }

    /// A copy of the element at `index`, counted from the oldest. `None` beyond the last, once the other half has found that
    /// the peer broke the format, and in a forked child.
    pub fn get(&self, index: usize) -> Option<T> {
        let position = self.consumer.half.position().wrapping_add(index as u64);
        (index < self.n && self.consumer.half.is_whole()).then(|| self.consumer.slots.take(position))
    }

    /// The elements in place: the second slice is empty unless the ring wraps.
    ///
    /// # Safety
    ///
    /// The contract of the *trusted peer*: the other process runs this crate, or follows its rules, so that it does not write to
    /// published slots before they are given back. The slices must not be used in a forked child, which does not have the memory.
    #[allow(unsafe_code, reason = "the contract of the trusted peer")]
    pub unsafe fn as_slices(&self) -> (&[T], &[T]) {
        // SAFETY: the caller's promise; `n` slots are available, which is at most the ring.
        unsafe { self.consumer.slots.slices(self.consumer.half.position(), self.n) }
    }

    /// Gives the `k` oldest back to the peer.
    ///
    /// # Panics
    ///
    /// If `k` is more than there are.
    pub fn consume(self, k: usize) {
        assert!(k <= self.n, "{k} elements consumed of {}", self.n);
        if self.consumer.half.is_whole() {
            self.consumer.half.publish(k as u64);
        }
    }
}
