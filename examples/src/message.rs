//! What the two programs say to each other: one type of fixed size, without padding, for which every bit pattern is a valid value.

use memenpsf::{
    Options,
    zerocopy::{FromBytes, Immutable, IntoBytes},
};

use crate::arguments::Outcome;

/// One cache line.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C)]
pub struct Message {
    /// [`ECHO`], [`KEEP`] or [`SUMMARY`]: enums cannot cross, since not every number would be one of them.
    pub kind: u32,
    /// How many of the `bytes` count. The other process wrote it, so it can be any number: see [`Message::payload`].
    pub length: u32,
    /// Counts up from 0, to see that nothing is lost, doubled or out of order.
    pub number: u64,
    /// The payload.
    pub bytes: [u8; 48],
}

/// "Send this back."
pub const ECHO: u32 = 0;
/// "Keep this, I want no answer."
pub const KEEP: u32 = 1;
/// "What have you kept?" The answer holds a [`Summary`].
pub const SUMMARY: u32 = 2;

/// What both programs say when they meet: other schemas and elements of another size are refused.
pub fn options(name: &str) -> Options {
    Options::new().name(name).schema("memenpsf-examples/1").capacity(4096)
}

impl Message {
    /// A message without payload.
    pub fn new(kind: u32, number: u64) -> Self {
        Self { kind, length: 0, number, bytes: [0; 48] }
    }

    /// A message with as much of `data` as it holds, which is also how much: up to 48 bytes.
    pub fn with_payload(kind: u32, number: u64, data: &[u8]) -> Self {
        let mut message = Self::new(kind, number);
        let length = data.len().min(message.bytes.len());
        message.bytes[..length].copy_from_slice(&data[..length]);
        message.length = length as u32;
        message
    }

    /// The bytes that count, however long the other process says they are.
    pub fn payload(&self) -> &[u8] {
        &self.bytes[..self.bytes.len().min(self.length as usize)]
    }

    /// Whether this is the message that is due.
    ///
    /// # Errors
    ///
    /// Another came.
    pub fn must_be(&self, number: u64) -> Outcome {
        if self.number == number {
            return Ok(());
        }
        Err(format!("message {} came where {number} was due", self.number).into())
    }
}

/// What one side has kept of a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C)]
pub struct Summary {
    /// How many messages.
    pub count: u64,
    /// How many of them were not the one that was due.
    pub misplaced: u64,
    /// A checksum of all payloads.
    pub checksum: u64,
}

impl Summary {
    /// Adds one message.
    pub fn keep(&mut self, message: &Message) {
        self.misplaced += u64::from(message.number != self.count);
        self.count += 1;
        // As FNV-1a, with a bit more so that leading zeros count.
        for byte in message.payload() {
            self.checksum = (self.checksum ^ u64::from(*byte) ^ 0x100).wrapping_mul(0x100_0000_01b3);
        }
    }

    /// The answer to a [`SUMMARY`].
    pub fn to_message(self) -> Message {
        Message::with_payload(SUMMARY, self.count, self.as_bytes())
    }

    /// What an answer to a [`SUMMARY`] says.
    ///
    /// # Errors
    ///
    /// Something else came.
    pub fn from_message(message: &Message) -> Outcome<Self> {
        match Self::read_from_bytes(message.payload()) {
            Ok(summary) if message.kind == SUMMARY => Ok(summary),
            _ => Err("the server gave another answer than was asked for".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn misplaced(numbers: &[u64]) -> u64 {
        let mut kept = Summary::default();
        numbers.iter().for_each(|number| kept.keep(&Message::new(KEEP, *number)));
        kept.misplaced
    }

    #[test]
    fn what_is_lost_doubled_or_swapped_shows_in_the_summary() {
        assert_eq!(misplaced(&[0, 1, 2, 3]), 0);
        assert_ne!(misplaced(&[0, 1, 3]), 0);
        assert_ne!(misplaced(&[0, 1, 1, 2]), 0);
        assert_ne!(misplaced(&[0, 2, 1, 3]), 0);
    }

    #[test]
    fn other_bytes_have_another_checksum() {
        let checksum = |data: &[u8]| {
            let mut kept = Summary::default();
            kept.keep(&Message::with_payload(KEEP, 0, data));
            kept.checksum
        };
        assert_eq!(checksum(b"data"), checksum(b"data"));
        assert_ne!(checksum(b"data"), checksum(b"dato"));
        assert_ne!(checksum(b"data"), checksum(b"daat"));
        assert_ne!(checksum(b"\0"), checksum(b""));
    }

    #[test]
    fn a_length_that_lies_ends_at_the_message() {
        let mut message = Message::with_payload(KEEP, 0, &[7; 100]);
        assert_eq!(message.payload(), [7; 48]);
        message.length = u32::MAX;
        assert_eq!(message.payload(), [7; 48]);
    }

    #[test]
    fn a_summary_survives_the_way() {
        let summary = Summary { count: 3, misplaced: 2, checksum: u64::MAX };
        assert_eq!(Summary::from_message(&summary.to_message()).ok(), Some(summary));
        assert!(Summary::from_message(&Message::new(ECHO, 3)).is_err());
    }
}
