//! Memory that is used again for the next value.

use std::cell::Cell;

/// More is given back to the system.
const MOST: usize = 1 << 20;

thread_local! {
    static BYTES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// An empty vector, with room if there is some.
pub(crate) fn take() -> Vec<u8> {
    BYTES.try_with(Cell::take).unwrap_or_default()
}

/// For the next to [`take`], also on another thread.
pub(crate) fn give_back(mut bytes: Vec<u8>) {
    if bytes.capacity() <= MOST {
        bytes.clear();
        let _ = BYTES.try_with(|place| place.set(bytes));
    }
}
