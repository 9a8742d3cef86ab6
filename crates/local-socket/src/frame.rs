//! How a message of a channel lies in a datagram: docs/channels.md, version 1.

use crate::Error;

/// The first bytes of every datagram: a name, and the version in the last byte.
const MAGIC: [u8; 4] = *b"lsc\x01";

/// Bytes of a header: magic, kind, number of descriptors, length of the payload; little-endian.
pub(crate) const HEADER: usize = 16;

/// The longest payload that goes in the datagram itself.
///
/// With the header it fits the send buffer that a socket has by default (`net.core.wmem_default`, 212 992). Copying through the socket
/// is several times cheaper than a memfd, whose pages are made one by one.
pub(crate) const INLINE: usize = 192 * 1024 - HEADER;

/// The longest datagram.
pub(crate) const LONGEST: usize = HEADER + INLINE;

/// By which two datagrams know that they belong together: what another sender does not have by chance.
pub(crate) type Ticket = [u8; 8];

/// Where the payload of a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Kind {
    /// Behind the header.
    Inline = 0,
    /// In a sealed memfd, which is the first descriptor.
    InMemory = 1,
    /// This is no message but the payload of one that is to come: in a sealed memfd, which is the only descriptor. Behind the header is
    /// a ticket. So goes a message with so many descriptors that there is no place for a memfd among them.
    Ahead = 2,
    /// Under this ticket, which is behind the header, it came ahead.
    CameAhead = 3,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Inline, Self::InMemory, Self::Ahead, Self::CameAhead];
}

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    /// Descriptors of the message, without the memfd.
    pub(crate) fds: u16,
    /// Bytes of the payload.
    pub(crate) length: u64,
}

impl Header {
    pub(crate) fn to_bytes(self) -> [u8; HEADER] {
        let mut bytes = [0; HEADER];
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&(self.kind as u16).to_le_bytes());
        bytes[6..8].copy_from_slice(&self.fds.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: [u8; HEADER]) -> Result<Self, Error> {
        let [m0, m1, m2, m3, k0, k1, n0, n1, length @ ..] = bytes;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(Error::Malformed { why: "the message is not of a channel, or of another version" });
        }
        let number = u16::from_le_bytes([k0, k1]);
        let Some(kind) = Kind::ALL.into_iter().find(|kind| *kind as u16 == number) else {
            return Err(Error::Malformed { why: "the message is of a kind that this version does not know" });
        };
        Ok(Self { kind, fds: u16::from_le_bytes([n0, n1]), length: u64::from_le_bytes(length) })
    }
}
