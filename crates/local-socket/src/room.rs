//! Room for a message that is to come, used again for the next one.

use std::cell::Cell;

thread_local! {
    /// Away while somebody has it.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Runs with so many bytes at least, of any content.
pub(crate) fn with<T>(length: usize, run: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut room = ROOM.try_with(Cell::take).unwrap_or_default();
    if room.len() < length {
        room.resize(length, 0);
    }
    let result = run(&mut room[..length]);
    let _ = ROOM.try_with(|place| place.set(room));
    result
}
