//! Where everything lies in a segment: `docs/memory-layout.md`, version 1, as constants.

/// The version of everything in this file.
pub(crate) const LAYOUT_VERSION: u16 = 1;

/// The first eight bytes of a segment.
pub(crate) const SEGMENT_MAGIC: [u8; 8] = *b"memenpsf";

/// Bytes in a page of the format. A format constant, whatever the machine's own page size is.
pub(crate) const PAGE: usize = 4096;

/// Where the live words begin.
pub(crate) const LIVE: usize = PAGE;

/// Where the slots begin.
pub(crate) const SLOTS: usize = 2 * PAGE;

/// The live words, each by its byte offset in the live page. All are written by the segment's owner only.
///
/// Words written by one half share a pair of 128-byte lines with no word of the other half, so that the two halves can
/// work on two cores without taking lines from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Word {
    /// Sending half: the next position to publish.
    Tail = 0,
    /// Receiving half: the next position to take from the peer's ring.
    Head = 128,
    /// Receiving half: "ring me when your tail reaches this".
    WakeTail = 256,
    /// Sending half: "ring me when your head reaches this".
    WakeHead = 384,
    /// Sending half: 1 once it said that no more will come.
    Finished = 392,
    /// Sending half: four counters for people and tools.
    SendingCounters = 512,
    /// Receiving half: four counters for people and tools.
    ReceivingCounters = 640,
}

/// The four counters of a half, as offsets in bytes from the start of its group.
#[derive(Clone, Copy, Debug)]
#[repr(usize)]
pub(crate) enum Counter {
    Bells = 0,
    Parks = 8,
    Wakes = 16,
    Full = 24,
}

/// What page 0 holds for people and tools. Nothing is decided by it.
#[derive(Clone, Copy, zerocopy::IntoBytes, zerocopy::Immutable)]
#[repr(C)]
pub(crate) struct Header {
    pub(crate) magic: [u8; 8],
    pub(crate) layout_version: u16,
    pub(crate) page: u16,
    pub(crate) pid: u32,
    pub(crate) slot_count: u64,
    pub(crate) element_size: u64,
    pub(crate) element_align: u32,
    pub(crate) name_length: u32,
    pub(crate) name: [u8; 256],
}

const _: () = {
    use core::mem::{offset_of, size_of};
    assert!(offset_of!(Header, layout_version) == 8);
    assert!(offset_of!(Header, pid) == 12);
    assert!(offset_of!(Header, slot_count) == 16);
    assert!(offset_of!(Header, element_size) == 24);
    assert!(offset_of!(Header, element_align) == 32);
    assert!(offset_of!(Header, name_length) == 36);
    assert!(offset_of!(Header, name) == 40);
    assert!(size_of::<Header>() == 296);
    assert!(Word::ReceivingCounters as usize + Counter::Full as usize + 8 <= PAGE);
};

/// Bytes of a segment with `count` slots of `stride` bytes; `None` if that is beyond 64 bits.
///
/// The size is rounded up to whole pages of the format; a side that sends nothing has `count == 0` and two pages.
pub(crate) fn segment_size(count: u64, stride: u64) -> Option<u64> {
    let slots = count.checked_mul(stride)?;
    slots.checked_next_multiple_of(PAGE as u64)?.checked_add(SLOTS as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segment_sizes_are_whole_pages_and_never_wrap() {
        assert_eq!(segment_size(0, 8), Some(8192));
        assert_eq!(segment_size(1, 1), Some(12288));
        assert_eq!(segment_size(1024, 8), Some(16384));
        assert_eq!(segment_size(1 << 61, 16), None);
        assert_eq!(segment_size(u64::MAX, 1), None);
    }
}
