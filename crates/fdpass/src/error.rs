//! The one error type, and what each kind becomes as an [`io::Error`].

use std::{fmt, io};

use nix::errno::Errno;

use crate::MAX_FDS;

/// Why descriptors or credentials could not be sent, received or asked for.
///
/// Whenever a receiving function returns an error, every descriptor that came with the message has
/// been closed. The payload bytes of that message are gone too, unless the text of a kind says
/// otherwise.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// More than [`MAX_FDS`] descriptors were to be sent, or asked for; nothing was sent or received.
    TooManyFds {
        /// How many were to be sent or asked for.
        requested: usize,
    },
    /// There was no byte to send; a stream socket carries descriptors only with at least one.
    EmptyPayload,
    /// There was no room to receive a byte; nothing was received.
    EmptyBuffer,
    /// A tag has 1 to 255 bytes; nothing was sent or received.
    BadTagLength {
        /// The length of the tag in bytes.
        length: usize,
    },
    /// The call would have had to wait; nothing was sent or received.
    ///
    /// On a blocking socket this is the end of its `SO_RCVTIMEO` or `SO_SNDTIMEO`.
    WouldBlock,
    /// The peer will send nothing more; descriptors of an unfinished tag have been closed.
    EndOfFile,
    /// More descriptors came than were allowed; all of them were closed.
    Surplus {
        /// How many were allowed.
        allowed: usize,
        /// At least this many were sent: the kernel does not tell how many more it dropped.
        got: usize,
    },
    /// The tag came without a descriptor.
    Missing,
    /// The kernel could not hand over all descriptors of the message; those that came were closed.
    ///
    /// The usual reason is a process that is at its limit of open descriptors (`RLIMIT_NOFILE`).
    Truncated {
        /// How many were allowed.
        allowed: usize,
        /// How many came.
        got: usize,
    },
    /// A datagram or seqpacket message was longer than the buffer; the kernel dropped the rest.
    MessageTruncated {
        /// The length of the message in bytes; only [`recv_message`](crate::recv_message) asks for it.
        length: Option<usize>,
        /// The length of the buffer in bytes; it holds the beginning of the message.
        room: usize,
    },
    /// Other bytes than the expected tag came, and are used up; a descriptor with them was closed.
    WrongTag,
    /// This kernel does not have the socket option.
    Unsupported,
    /// Any other answer of the kernel.
    Io(io::Error),
}

impl Error {
    /// For `map_err`: the kernel's answer.
    pub(crate) fn from_errno(errno: Errno) -> Self {
        match errno {
            Errno::EAGAIN => Self::WouldBlock,
            other => Self::Io(other.into()),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyFds { requested } => {
                write!(f, "{requested} descriptors are more than the {MAX_FDS} of one message")
            }
            Self::EmptyPayload => f.write_str("descriptors need at least one byte of payload"),
            Self::EmptyBuffer => f.write_str("the buffer has no room for a byte"),
            Self::BadTagLength { length } => {
                write!(f, "a tag has 1 to 255 bytes, not {length}")
            }
            Self::WouldBlock => f.write_str("the operation would have to wait"),
            Self::EndOfFile => f.write_str("the peer has closed the connection"),
            Self::Surplus { allowed, got } => {
                write!(f, "at least {got} descriptors came, {allowed} allowed")
            }
            Self::Missing => f.write_str("the tag came without a descriptor"),
            Self::Truncated { allowed, got } => {
                write!(f, "only {got} of the message's descriptors could be taken ({allowed} allowed)")
            }
            Self::MessageTruncated { length: Some(length), room } => {
                write!(f, "the message of {length} bytes was longer than the buffer of {room} bytes")
            }
            Self::MessageTruncated { length: None, room } => {
                write!(f, "the message was longer than the buffer of {room} bytes")
            }
            Self::WrongTag => f.write_str("another tag came than the expected one"),
            Self::Unsupported => f.write_str("this kernel does not have the socket option"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

/// [`Error::Io`] gives back what it holds; every other kind is wrapped, with the nearest [`io::ErrorKind`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::TooManyFds { .. } | Error::EmptyPayload | Error::EmptyBuffer | Error::BadTagLength { .. } => {
                io::ErrorKind::InvalidInput
            }
            Error::WouldBlock => io::ErrorKind::WouldBlock,
            Error::EndOfFile => io::ErrorKind::UnexpectedEof,
            Error::Surplus { .. } | Error::Missing | Error::MessageTruncated { .. } | Error::WrongTag => {
                io::ErrorKind::InvalidData
            }
            Error::Truncated { .. } => io::ErrorKind::Other,
            Error::Unsupported => io::ErrorKind::Unsupported,
        };
        io::Error::new(kind, error)
    }
}
