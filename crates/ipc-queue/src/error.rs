//! What can go wrong: setting up (`Error`), receiving (`RecvError`), sending (`XmitError`), and a peer that broke the format
//! (`Corrupt`).

use std::{fmt, io, time::Duration};

use crate::Refused;

/// Why a queue or an interface could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A capacity of zero.
    ZeroCapacity,
    /// The segment would be larger than [`Options::max_segment`](crate::Options::max_segment) allows.
    TooLarge {
        /// Elements asked for.
        capacity: usize,
        /// Bytes of one element.
        element_size: usize,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The name is longer than 255 bytes.
    NameTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The schema is longer than 255 bytes.
    SchemaTooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// The descriptor given is not a connected Unix stream socket.
    NotAUnixStream,
    /// The segment is larger than this process may make a file (`RLIMIT_FSIZE`, setrlimit(2)).
    FileSizeLimit {
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// The kernel lacks something that safety rests on.
    Unsupported {
        /// What it lacks, and since when it is there.
        what: &'static str,
    },
    /// The two ends do not fit together, or one of them broke the handshake.
    Refused(Refused),
    /// The peer did not complete the handshake in time.
    TimedOut {
        /// How long it had.
        after: Duration,
    },
    /// The peer closed the connection during the handshake and said nothing.
    Disconnected,
    /// The system refused something.
    Io {
        /// What was being done.
        doing: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: the system's answer with what was being done.
    pub(crate) fn io<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Io { doing, source: source.into() }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroCapacity => write!(f, "a capacity of 0 elements: at least 1 is needed"),
            Self::TooLarge { capacity, element_size, limit } => write!(
                f,
                "a capacity of {capacity} elements of {element_size} bytes is over the limit of {limit} bytes a segment"
            ),
            Self::NameTooLong { length } => write!(f, "the name has {length} bytes, at most 255 are allowed"),
            Self::SchemaTooLong { length } => write!(f, "the schema has {length} bytes, at most 255 are allowed"),
            Self::NotAUnixStream => write!(f, "the socket is not a connected unix stream socket"),
            Self::FileSizeLimit { needed, limit } => write!(
                f,
                "the segment needs {needed} bytes, but this process may make files of {limit} bytes only (RLIMIT_FSIZE)"
            ),
            Self::Unsupported { what } => write!(f, "this kernel is too old: {what}"),
            Self::Refused(refused) => refused.fmt(f),
            Self::TimedOut { after } => write!(
                f,
                "the peer did not complete the handshake within {after:?}: is it stopped or busy, or a server as well, or were both ends made on \
                 one thread (`Interface::pair()` does that)?"
            ),
            Self::Disconnected => write!(f, "the peer closed the connection during the handshake"),
            Self::Io { doing, source } => write!(f, "{doing}: {source}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Io { source, .. } => source.kind(),
            Error::TimedOut { .. } => io::ErrorKind::TimedOut,
            Error::Disconnected => io::ErrorKind::UnexpectedEof,
            Error::Refused(_) => io::ErrorKind::ConnectionRefused,
            Error::Unsupported { .. } => io::ErrorKind::Unsupported,
            _ => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

/// The rule of the format that the peer broke, with the numbers seen.
///
/// The connection is given up for ever, in both directions: nothing more is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Corrupt {
    /// The peer's tail went back, or is more than a ring ahead of what was taken.
    TailOutOfRange {
        /// What the peer published.
        tail: u64,
        /// What was taken so far.
        head: u64,
        /// Slots in the ring.
        count: u64,
    },
    /// The peer's head went back, or is ahead of what was published.
    HeadOutOfRange {
        /// What the peer says it has taken.
        head: u64,
        /// What was published so far.
        tail: u64,
        /// Slots in the ring.
        count: u64,
    },
    /// The word that says "finished" is neither 0 nor 1.
    Finished {
        /// What it is.
        value: u64,
    },
    /// A message on the control channel of a kind that does not exist.
    ControlKind {
        /// What its kind says.
        kind: u64,
    },
    /// A message on the control channel carried descriptors.
    Descriptors,
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TailOutOfRange { tail, head, count } => {
                write!(f, "tail {tail} is out of range for a head of {head} and {count} slots")
            }
            Self::HeadOutOfRange { head, tail, count } => {
                write!(f, "head {head} is out of range for a tail of {tail} and {count} slots")
            }
            Self::Finished { value } => write!(f, "the finished word is {value}, not 0 or 1"),
            Self::ControlKind { kind } => write!(f, "a control message of kind {kind}"),
            Self::Descriptors => write!(f, "a control message that carries descriptors"),
        }
    }
}

/// Why nothing was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// There is nothing now; there may be later. Also as long as the system has no memory for a bell that the peer waits for.
    Empty,
    /// The peer said that no more will come, and everything it published has been delivered.
    Finished,
    /// The peer is gone without saying so, and everything it published has been delivered.
    Disconnected,
    /// The peer broke the format.
    Corrupt(Corrupt),
    /// Nothing came before the deadline.
    TimedOut,
    /// The descriptor that ends the wait became readable.
    Stopped,
    /// More elements were asked for than a ring holds.
    TooLong {
        /// Elements asked for.
        asked: usize,
        /// Elements that the ring holds.
        capacity: usize,
    },
    /// This process is a fork of the one that owns the handle.
    ForkedChild,
}

impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "the ring is empty"),
            Self::Finished => write!(f, "the peer has finished"),
            Self::Disconnected => write!(f, "the peer is gone"),
            Self::Corrupt(rule) => write!(f, "the peer broke the format: {rule}"),
            Self::TimedOut => write!(f, "timed out"),
            Self::Stopped => write!(f, "stopped"),
            Self::TooLong { asked, capacity } => too_long(f, *asked, *capacity),
            Self::ForkedChild => write!(f, "the handle belongs to the parent of this forked process"),
        }
    }
}

impl std::error::Error for RecvError {}

/// Why nothing was sent, without the value: see [`XmitError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum XmitErrorKind {
    /// The ring is full now; there may be room later. Also as long as the system has no memory for a bell that the peer waits for.
    Full,
    /// This side has said that no more will come (`finish`).
    Closed,
    /// The peer is gone.
    Disconnected,
    /// The peer broke the format.
    Corrupt(Corrupt),
    /// There was no room before the deadline.
    TimedOut,
    /// The descriptor that ends the wait became readable.
    Stopped,
    /// More elements were asked for than the ring holds.
    TooLong {
        /// Elements asked for.
        asked: usize,
        /// Elements that the ring holds.
        capacity: usize,
    },
    /// This process is a fork of the one that owns the handle.
    ForkedChild,
}

impl fmt::Display for XmitErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => write!(f, "the ring is full"),
            Self::Closed => write!(f, "this side has finished"),
            Self::Disconnected => RecvError::Disconnected.fmt(f),
            Self::Corrupt(rule) => RecvError::Corrupt(*rule).fmt(f),
            Self::TimedOut => RecvError::TimedOut.fmt(f),
            Self::Stopped => RecvError::Stopped.fmt(f),
            Self::TooLong { asked, capacity } => too_long(f, *asked, *capacity),
            Self::ForkedChild => RecvError::ForkedChild.fmt(f),
        }
    }
}

fn too_long(f: &mut fmt::Formatter<'_>, asked: usize, capacity: usize) -> fmt::Result {
    write!(f, "{asked} elements at once, but the ring holds {capacity}")
}

/// A value that could not be sent, and why. Operations that carry no value of their own give `XmitError<()>`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct XmitError<T> {
    /// Why.
    pub kind: XmitErrorKind,
    /// The value, back.
    pub value: T,
}

impl<T> XmitError<T> {
    /// The value, back.
    pub fn into_inner(self) -> T {
        self.value
    }

    /// Whether a later attempt can succeed because the peer takes something.
    pub fn is_full(&self) -> bool {
        self.kind == XmitErrorKind::Full
    }
}

impl<T> fmt::Debug for XmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XmitError").field("kind", &self.kind).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for XmitError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl<T> std::error::Error for XmitError<T> {}
