//! Errors that say which name they are about.

use std::{error::Error, fmt, io};

use rustix::io::Errno;

use crate::Name;

/// What went wrong with a name.
#[derive(Debug)]
struct NamedError {
    name: Name,
    source: io::Error,
}

impl Name {
    /// The same kind of error with this name in its text. What the system has said, with its number, is the source. That the
    /// descriptors have run out is not about a name, and stays as it is.
    pub(crate) fn in_error(&self, source: io::Error) -> io::Error {
        match Errno::from_io_error(&source) {
            Some(Errno::MFILE | Errno::NFILE) => source,
            _ => io::Error::new(source.kind(), NamedError { name: self.clone(), source }),
        }
    }
}

impl fmt::Display for NamedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.source)
    }
}

impl Error for NamedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}
