//! The elements that are exchanged: copied word by word, and in one block.

use ipc_queue::Element;

/// An element that shows whether it came whole.
pub(crate) trait Item: Element + Copy + PartialEq + std::fmt::Debug {
    /// The element with that number.
    fn of(number: u64) -> Self;
    /// Its number, if it is one that was sent.
    fn number(&self) -> Option<u64>;
}

impl Item for u64 {
    fn of(number: u64) -> Self {
        number
    }

    fn number(&self) -> Option<u64> {
        Some(*self)
    }
}

/// So large that an element is copied as one block.
pub(crate) type Large = [u64; 128];

impl Item for Large {
    fn of(number: u64) -> Self {
        [number; 128]
    }

    fn number(&self) -> Option<u64> {
        self.iter().all(|word| *word == self[0]).then_some(self[0])
    }
}
