//! Why two sides do not come together.

use std::fmt;

/// What does not fit, or which rule of the handshake was broken. The numbers are the codes of a Reject frame
/// (`docs/protocol.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u16)]
pub enum Reason {
    /// A frame does not begin with the magic.
    Magic = 1,
    /// The peer has another byte order.
    ByteOrder = 2,
    /// No version of the protocol is known to both.
    Version = 3,
    /// A frame that is not due now.
    OutOfOrder = 4,
    /// A frame whose length or content makes no sense.
    Malformed = 5,
    /// Both ends are clients.
    Role = 6,
    /// The directions do not fit: both ways needs both ways, produce needs consume.
    Direction = 7,
    /// The layout versions of the segments differ.
    Layout = 8,
    /// The sizes of the elements differ, in bytes.
    ElementSize = 9,
    /// The alignments of the elements differ, in bytes.
    ElementAlign = 10,
    /// The number of slots is not a power of two, or is 0 where there must be some, or not where there must be none.
    SlotCount = 11,
    /// The segment is over the limit, in bytes.
    SegmentTooLarge = 12,
    /// The schemas differ.
    Schema = 13,
    /// Descriptors are missing.
    DescriptorsMissing = 14,
    /// There are too many descriptors.
    DescriptorsSurplus = 15,
    /// What came in the segment's place is not a memfd.
    SegmentType = 16,
    /// The segment lacks seals.
    SegmentUnsealed = 17,
    /// The segment has not the size that was announced, in bytes.
    SegmentSize = 18,
    /// The segment has holes: fewer bytes are allocated than it has.
    SegmentSparse = 19,
    /// The segment could not be mapped; the peer's number is an errno.
    SegmentUnmappable = 20,
    /// What was given to ring at is not one end of a pair of Unix stream sockets.
    Socket = 21,
    /// The peer could not make its own segment, or had some other trouble of its own; its number is an errno.
    Trouble = 22,
}

impl Reason {
    pub(crate) const ALL: [Self; 22] = [
        Self::Magic,
        Self::ByteOrder,
        Self::Version,
        Self::OutOfOrder,
        Self::Malformed,
        Self::Role,
        Self::Direction,
        Self::Layout,
        Self::ElementSize,
        Self::ElementAlign,
        Self::SlotCount,
        Self::SegmentTooLarge,
        Self::Schema,
        Self::DescriptorsMissing,
        Self::DescriptorsSurplus,
        Self::SegmentType,
        Self::SegmentUnsealed,
        Self::SegmentSize,
        Self::SegmentSparse,
        Self::SegmentUnmappable,
        Self::Socket,
        Self::Trouble,
    ];

    pub(crate) fn from_code(code: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| *reason as u16 == code)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Magic => "not a frame of this protocol",
            Self::ByteOrder => "byte order",
            Self::Version => "protocol version",
            Self::OutOfOrder => "a frame of a kind that is not due",
            Self::Malformed => "a frame that makes no sense",
            Self::Role => "both ends are clients",
            Self::Direction => "direction",
            Self::Layout => "layout version",
            Self::ElementSize => "element size",
            Self::ElementAlign => "element alignment",
            Self::SlotCount => "number of slots",
            Self::SegmentTooLarge => "segment over the limit",
            Self::Schema => "schema",
            Self::DescriptorsMissing => "descriptors missing",
            Self::DescriptorsSurplus => "too many descriptors",
            Self::SegmentType => "the segment is not a memfd",
            Self::SegmentUnsealed => "the segment lacks seals",
            Self::SegmentSize => "the segment's size",
            Self::SegmentSparse => "the segment has holes",
            Self::SegmentUnmappable => "the segment cannot be mapped",
            Self::Socket => "the second socket is not one end of a pair of unix stream sockets",
            Self::Trouble => "one end could not go on",
        }
    }
}

/// A refused handshake: the exact reason, and what each side has. Both sides report the same reason, each with its own value
/// as `here`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    pub(crate) reason: Reason,
    pub(crate) here: u64,
    pub(crate) there: u64,
    pub(crate) texts: Option<(String, String)>,
    pub(crate) by_peer: bool,
}

impl Refused {
    pub(crate) fn new(reason: Reason, here: impl Into<u64>, there: impl Into<u64>) -> Self {
        Self { reason, here: here.into(), there: there.into(), texts: None, by_peer: false }
    }

    pub(crate) fn with_texts(mut self, here: &str, there: &str) -> Self {
        self.texts = Some((here.to_owned(), there.to_owned()));
        self
    }

    /// What does not fit.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The value on this side. For directions 0 is both ways, 1 produce, 2 consume; for frames the kind; for seals and file types
    /// the kernel's numbers.
    pub fn here(&self) -> u64 {
        self.here
    }

    /// The value on the peer's side.
    pub fn there(&self) -> u64 {
        self.there
    }

    /// Whether the peer refused; otherwise this side did.
    pub fn by_peer(&self) -> bool {
        self.by_peer
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = if self.by_peer { "refused by the peer" } else { "refused" };
        let (reason, here, there) = (self.reason.text(), self.here, self.there);
        match (self.reason, &self.texts) {
            (_, Some((here, there))) => {
                // A peer's text can hold anything: what could confuse a terminal is escaped.
                write!(f, "{who}: {reason}: \"{}\" here, \"{}\" there", here.escape_debug(), there.escape_debug())
            }
            (Reason::Magic | Reason::Role | Reason::Malformed | Reason::Socket, None) => write!(f, "{who}: {reason}"),
            (Reason::ByteOrder, None) => write!(f, "{who}: {reason}: {here:#010x} here, {there:#010x} there"),
            (Reason::SegmentType | Reason::SegmentUnsealed, None) => {
                write!(f, "{who}: {reason} ({here:#x} here, {there:#x} there)")
            }
            (Reason::Direction, None) => {
                write!(f, "{who}: {reason}: {} here, {} there", direction(here), direction(there))
            }
            (Reason::SegmentUnmappable | Reason::Trouble, None) => {
                let errno = if here == 0 { there } else { here };
                write!(f, "{who}: {reason}: {}", std::io::Error::from_raw_os_error(errno as i32))
            }
            _ => write!(f, "{who}: {reason}: {here} here, {there} there"),
        }
    }
}

impl std::error::Error for Refused {}

fn direction(number: u64) -> &'static str {
    match number {
        0 => "both ways",
        1 => "produce",
        2 => "consume",
        _ => "unknown",
    }
}
