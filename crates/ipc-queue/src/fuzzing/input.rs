//! Decisions out of bytes. Behind their end every answer is 0.

pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    /// A number below `bound`, of which there are at most 256.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound
    }

    pub(super) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    pub(super) fn u64(&mut self) -> u64 {
        u64::from_le_bytes(std::array::from_fn(|_| self.byte()))
    }

    /// Up to `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> &'a [u8] {
        let (front, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        front
    }

    /// A number near `near`, or near where counters break, or any.
    pub(super) fn position(&mut self, near: u64) -> u64 {
        let offset = u64::from(self.byte()).wrapping_sub(128);
        match self.below(8) {
            0..5 => near.wrapping_add((offset as i64 >> 3) as u64),
            5 => [0_u64, 1 << 31, 1 << 32, 1 << 63][self.below(4)].wrapping_add(offset),
            6 => near.wrapping_add(offset),
            _ => self.u64(),
        }
    }
}
