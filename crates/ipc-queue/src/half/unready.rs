//! Why a half has no slots to work on, and what that is called on either side.

use crate::{Corrupt, RecvError, XmitError, XmitErrorKind};

/// Why a half has no slots to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    Finished,
    Closed,
    Disconnected,
    Corrupt(Corrupt),
    ForkedChild,
    TimedOut,
    Stopped,
    TooLong { asked: usize, capacity: usize },
}

impl From<Unready> for RecvError {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Finished | Unready::Closed => Self::Finished,
            Unready::Disconnected => Self::Disconnected,
            Unready::Corrupt(rule) => Self::Corrupt(rule),
            Unready::ForkedChild => Self::ForkedChild,
            Unready::TimedOut => Self::TimedOut,
            Unready::Stopped => Self::Stopped,
            Unready::TooLong { asked, capacity } => Self::TooLong { asked, capacity },
        }
    }
}

impl From<Unready> for XmitErrorKind {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Finished | Unready::Closed => Self::Closed,
            Unready::Disconnected => Self::Disconnected,
            Unready::Corrupt(rule) => Self::Corrupt(rule),
            Unready::ForkedChild => Self::ForkedChild,
            Unready::TimedOut => Self::TimedOut,
            Unready::Stopped => Self::Stopped,
            Unready::TooLong { asked, capacity } => Self::TooLong { asked, capacity },
        }
    }
}

/// For `map_err`: an operation without a value could not send.
pub(crate) fn nothing_sent(unready: Unready) -> XmitError<()> {
    XmitError { kind: unready.into(), value: () }
}
