//! Names under which processes meet.

use std::{ffi::OsStr, fmt, io, os::unix::ffi::OsStrExt, path::Path};

use rustix::net::SocketAddrUnix;

use crate::{NameText, runtime_directory};

/// Where a server listens and its clients find it: a path, or a name in the abstract namespace. See unix(7).
///
/// A name is ready for the kernel: making one checks everything that can be checked without looking for the server, and using one
/// allocates nothing. The kernel takes names of up to 107 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(SocketAddrUnix);

/// `sun_path` in unix(7), without the NUL that ends a path or begins an abstract name.
const LONGEST: usize = 107;

impl Name {
    /// A path in the file system. Who may connect is decided by the permissions of the socket and of its directory.
    ///
    /// A bare name, one without `/`, stands for the file of that name in the user's runtime directory, which nobody else may enter:
    /// `$XDG_RUNTIME_DIR`, or `/run/user/<uid>` if that is not set. To mean the working directory, write `./name`.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that is empty, has a NUL inside, or is over 107 bytes with its directory, and for a path that ends in
    /// `/`, `.` or `..`; for a bare name also where `XDG_RUNTIME_DIR` is not an absolute path. `NotFound` without a runtime directory,
    /// `PermissionDenied` where that is not a directory of this user with mode 0700.
    pub fn path(path: impl NameText) -> io::Result<Self> {
        let path = checked(path.bytes())?;
        if matches!(path.rsplit(|byte| *byte == b'/').next(), Some(b"" | b"." | b"..")) {
            return invalid("the path of a socket ends in the name of a file".into());
        }
        let found;
        let path = match path.contains(&b'/') {
            true => path,
            false => {
                found = runtime_directory::find()?.join(OsStr::from_bytes(path));
                checked(found.as_os_str().as_bytes())?
            }
        };
        Ok(Self(SocketAddrUnix::new(path)?))
    }

    /// A name in Linux' abstract namespace: no file, gone with the last copy of the listening socket, and seen by every user and every
    /// process of the network namespace. There are no permissions: [`peer_credentials`](crate::Stream::peer_credentials) tell who came.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a name that is empty, has a NUL inside, or is over 107 bytes.
    pub fn namespaced(name: impl NameText) -> io::Result<Self> {
        Ok(Self(SocketAddrUnix::new_abstract_name(checked(name.bytes())?)?))
    }

    /// The path, also where a bare name has led; `None` in the abstract namespace.
    pub fn as_path(&self) -> Option<&Path> {
        let path = self.0.path_bytes()?;
        // With the longest one comes the NUL that ends it.
        let path = path.strip_suffix(b"\0").unwrap_or(path);
        Some(Path::new(OsStr::from_bytes(path)))
    }

    pub(crate) fn address(&self) -> &SocketAddrUnix {
        &self.0
    }
}

fn invalid<T>(why: String) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}

fn checked(name: &[u8]) -> io::Result<&[u8]> {
    if name.is_empty() {
        return invalid("the name of a socket cannot be empty".into());
    }
    if name.contains(&0) {
        return invalid("the name of a socket cannot have a NUL in it".into());
    }
    if name.len() > LONGEST {
        return invalid(format!("the name of a socket has at most {LONGEST} bytes, not {}", name.len()));
    }
    Ok(name)
}

/// The path as it is, or `@` and the abstract name with what is not printable ASCII escaped.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.as_path() {
            Some(path) => path.display().fmt(f),
            None => write!(f, "@{}", self.0.abstract_name().unwrap_or_default().escape_ascii()),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}
