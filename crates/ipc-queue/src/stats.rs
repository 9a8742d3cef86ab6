//! Counters for people.

use crate::{
    half::{Half, HalfSide},
    layout::Counter,
};

/// What a half has counted since the connection was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Bells rung for the peer.
    pub bells: u64,
    /// Times this half went to sleep.
    pub parks: u64,
    /// Times it woke from that.
    pub wakes: u64,
    /// Times an operation that never waits found the ring full.
    pub full: u64,
}

impl Stats {
    pub(crate) fn of<S: HalfSide>(half: &Half<S>) -> Self {
        if half.check_guard().is_err() {
            return Self::default();
        }
        Self {
            bells: half.counter(Counter::Bells),
            parks: half.counter(Counter::Parks),
            wakes: half.counter(Counter::Wakes),
            full: half.counter(Counter::Full),
        }
    }
}
