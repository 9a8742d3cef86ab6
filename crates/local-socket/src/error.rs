//! Why a message could not be sent or received.

use std::{fmt, io};

/// Why a message could not be sent or received.
///
/// Whoever gets an error from a receiving function has none of the message's descriptors: all were closed. Whoever gets one from a
/// sending function has sent nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The call would have had to wait, and was not to.
    WouldBlock,
    /// The time was up before there was a message, or room for one.
    TimedOut,
    /// Nobody will send any more, and everything that was sent has been received.
    EndOfFile,
    /// Nobody will receive it: the other end is closed, or was shut down for reading.
    Closed,
    /// A message is longer than what there is room for. One that was received is used up.
    TooLong {
        /// The length of the message in bytes.
        length: usize,
        /// The most that there is room for: in the buffer, by the limit of a receiver, or in the socket.
        room: usize,
    },
    /// A message has not the length that its type or its length prefix demands. It is used up.
    WrongLength {
        /// What it should have, in bytes.
        expected: u64,
        /// What it has, in bytes.
        got: u64,
    },
    /// More than [`fdpass::MAX_FDS`] descriptors were to be sent.
    TooManyFds {
        /// How many were to be sent.
        requested: usize,
    },
    /// A message did not bring as many descriptors as its receiver asked for. It is used up.
    WrongFds {
        /// How many were asked for.
        expected: usize,
        /// How many came: at least so many where it is more.
        got: usize,
    },
    /// A message came without the credentials of its sender, for which its receiver has to ask before it is sent
    /// ([`Socket::set_pass_credentials`](crate::Socket::set_pass_credentials) and its like). It is used up.
    NoCredentials,
    /// The kernel could not hand over the descriptors of a message, mostly because the process is at its limit of open
    /// descriptors (`RLIMIT_NOFILE`). It is used up.
    FdsLost {
        /// How many could be handed over.
        got: usize,
    },
    /// A message is not one of a channel. It is used up.
    Malformed {
        /// What is wrong with it.
        why: &'static str,
    },
    /// The value could not be put into bytes.
    Encode(Box<dyn std::error::Error + Send + Sync>),
    /// The bytes of a message, or its descriptors, are not those of a value. It is used up.
    Decode(Box<dyn std::error::Error + Send + Sync>),
    /// Any other answer of the system.
    Io(io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WouldBlock => f.write_str("the operation would have to wait"),
            Self::TimedOut => f.write_str("the peer did not get to it in time"),
            Self::EndOfFile => f.write_str("nobody will send any more, and everything that was sent was received"),
            Self::Closed => f.write_str("the other end is closed: nobody will receive this"),
            Self::TooLong { length, room } => {
                write!(f, "the message has {length} bytes, and there is room for {room}")
            }
            Self::WrongLength { expected, got } => {
                write!(f, "the message should have {expected} bytes, and has {got}")
            }
            Self::TooManyFds { requested } => {
                write!(f, "{requested} descriptors are more than the {} of one message", fdpass::MAX_FDS)
            }
            Self::WrongFds { expected, got } => write!(f, "{expected} descriptors were to come, and {got} came"),
            Self::NoCredentials => {
                f.write_str("the message came without credentials: call set_pass_credentials before")
            }
            Self::FdsLost { got } => write!(f, "only {got} of the message's descriptors could be taken"),
            Self::Malformed { why } => f.write_str(why),
            Self::Encode(error) => write!(f, "the value cannot be sent: {error}"),
            Self::Decode(error) => write!(f, "the message is not a value: {error}"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Encode(error) | Self::Decode(error) => Some(&**error),
            Self::Io(error) => error.source(),
            _ => None,
        }
    }
}

impl From<fdpass::Error> for Error {
    fn from(error: fdpass::Error) -> Self {
        match error {
            fdpass::Error::WouldBlock => Self::WouldBlock,
            fdpass::Error::EndOfFile => Self::EndOfFile,
            fdpass::Error::MessageTruncated { length, room } => {
                Self::TooLong { length: length.unwrap_or(room + 1), room }
            }
            fdpass::Error::TooManyFds { requested } => Self::TooManyFds { requested },
            fdpass::Error::Surplus { allowed, got } => Self::WrongFds { expected: allowed, got },
            fdpass::Error::Truncated { got, .. } => Self::FdsLost { got },
            other => Self::Io(other.into()),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock => Self::WouldBlock,
            io::ErrorKind::TimedOut => Self::TimedOut,
            _ => Self::Io(error),
        }
    }
}

/// [`Error::Io`] gives back what it holds; every other kind is wrapped, with the nearest [`io::ErrorKind`].
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Io(error) => return error,
            Error::WouldBlock => io::ErrorKind::WouldBlock,
            Error::TimedOut => io::ErrorKind::TimedOut,
            Error::EndOfFile => io::ErrorKind::UnexpectedEof,
            Error::Closed => io::ErrorKind::BrokenPipe,
            Error::TooManyFds { .. } | Error::NoCredentials | Error::Encode(_) => io::ErrorKind::InvalidInput,
            Error::FdsLost { .. } => io::ErrorKind::Other,
            Error::TooLong { .. }
            | Error::WrongLength { .. }
            | Error::WrongFds { .. }
            | Error::Malformed { .. }
            | Error::Decode(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, error)
    }
}
