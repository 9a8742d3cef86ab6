//! Filling slots in place.

use crate::{Element, Producer};

/// Slots to be filled in place. Dropping it aborts: nothing is sent.
///
/// **The peer can read the slots while they are filled, committed or not.** They hold what this side wrote there before.
///
/// A forked child does not have the memory: slices that were lent before the fork must not be used there.
#[derive(Debug)]
#[must_use = "a reservation publishes nothing until `commit` is called"]
pub struct Reservation<'a, T: Element> {
    pub(crate) producer: &'a mut Producer<T>,
    pub(crate) n: usize,
}

impl<T: Element> Reservation<'_, T> {
    /// How many slots there are.
    pub fn len(&self) -> usize {
        self.n
    }

    /// Whether it is a reservation of nothing.
    pub fn is_empty(&self) -> bool {
        self.n == 0
    }

    /// The slots in order: the second slice is empty unless the ring wraps.
    ///
    /// # Panics
    ///
    /// In a forked child.
    #[inline]
    pub fn as_mut_slices(&mut self) -> (&mut [T], &mut [T]) {
        assert!(!self.producer.half.is_forked(), "a forked child does not have the memory of this reservation");
        let position = self.producer.half.position();
        self.producer.slots.slices_mut(position, self.n)
    }

    /// The slots in order, one by one.
    ///
    /// # Panics
    ///
    /// In a forked child.
    #[inline]
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        let (first, second) = self.as_mut_slices();
        first.iter_mut().chain(second)
    }

    /// Publishes the first `k` slots. The others stay unsent.
    ///
    /// # Panics
    ///
    /// If `k` is more than were reserved.
    #[inline]
    pub fn commit(self, k: usize) {
        assert!(k <= self.n, "{k} elements committed, {} reserved", self.n);
        // Also where the other half has found meanwhile that the peer broke the format: `published` counts them.
        if !self.producer.half.is_forked() {
            self.producer.half.publish(k as u64);
        }
    }
}
