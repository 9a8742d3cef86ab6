//! How to listen.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
    time::{Duration, Instant},
};

use rustix::{
    fs::Mode,
    io::Errno,
    net::{AddressFamily, SocketFlags, SocketType, bind, listen, socket_with},
};

use crate::{
    Listener, Name,
    hold::Hold,
    place::{Terms, bind_at},
};

/// How to listen.
///
/// ```
/// # use local_socket::{ListenerOptions, Name};
/// # let path = std::env::temp_dir().join(format!("listener-options.{}", std::process::id()));
/// let listener = ListenerOptions::new(Name::path(path)?).mode(0o600).create_sync()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ListenerOptions {
    name: Name,
    mode: Option<u32>,
    pub(crate) nonblocking: ListenerNonblockingMode,
    reclaim_name: bool,
    try_overwrite: bool,
    max_spin_time: Duration,
    backlog: u32,
}

/// What answers `WouldBlock` instead of waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListenerNonblockingMode {
    /// Nothing does.
    #[default]
    Neither,
    /// [`Listener::accept`].
    Accept,
    /// Reads and writes of accepted streams.
    Stream,
    /// All of these.
    Both,
}

impl ListenerNonblockingMode {
    pub(crate) fn accept(self) -> bool {
        matches!(self, Self::Accept | Self::Both)
    }

    pub(crate) fn stream(self) -> bool {
        matches!(self, Self::Stream | Self::Both)
    }
}

impl ListenerOptions {
    /// Everything that waits does so, the name is reclaimed, a live server is left alone, the umask decides the mode, the system the
    /// backlog.
    pub fn new(name: Name) -> Self {
        Self {
            name,
            mode: None,
            nonblocking: ListenerNonblockingMode::default(),
            reclaim_name: true,
            try_overwrite: false,
            max_spin_time: Duration::from_secs(1),
            // Which the kernel lowers to its own limit.
            backlog: u32::MAX,
        }
    }

    /// The permissions of the socket, `0o600` for example, whatever the umask: a client needs to be allowed to write. They are set
    /// before anybody can connect. Only a path has permissions.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// What answers `WouldBlock` instead of waiting: nothing, if this is not called.
    #[must_use]
    pub fn nonblocking(mut self, mode: ListenerNonblockingMode) -> Self {
        self.nonblocking = mode;
        self
    }

    /// Whether the listener removes its path when it is dropped, as it does if this is not called. See [`Listener`].
    #[must_use]
    pub fn reclaim_name(mut self, reclaim_name: bool) -> Self {
        self.reclaim_name = reclaim_name;
        self
    }

    /// Whether a path at which a live server listens is taken from it: in one step, so that every client reaches one of the two. The
    /// other server goes on with the clients that it has. Without this, such a path is in use. Only what is a socket of this user is
    /// ever replaced.
    #[must_use]
    pub fn try_overwrite(mut self, try_overwrite: bool) -> Self {
        self.try_overwrite = try_overwrite;
        self
    }

    /// How long [`create_sync`](Self::create_sync) may wait for other servers that are replacing a socket in the same directory: 1
    /// second, if this is not called.
    #[must_use]
    pub fn max_spin_time(mut self, max_spin_time: Duration) -> Self {
        self.max_spin_time = max_spin_time;
        self
    }

    /// How many clients may wait to be accepted: as many as the system allows, if this is not called. The kernel lets in one more,
    /// and no more than `net.core.somaxconn`, listen(2).
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Listens. A socket that nobody listens to any more is replaced.
    ///
    /// A server is not bothered by others who look whether it lives. What somebody puts at the path while a socket is replaced or removed
    /// there comes back to it; only on a file system without the flags of rename(2), such as a network's, can it get lost.
    ///
    /// # Errors
    ///
    /// Each text begins with the name. What the system has said, with its number, is the [`source`](std::error::Error::source).
    ///
    /// - `AddrInUse`: another process listens there, or is about to; in the abstract namespace it cannot be displaced.
    /// - `AlreadyExists`: something lies at the path that is not a socket.
    /// - `PermissionDenied`: the socket at the path belongs to another user; or its mode forbids this one to connect, so that nobody can
    ///   tell whether a process listens there; or see bind(2).
    /// - `ResourceBusy`: somebody keeps the directory of a dead socket locked (flock(2)) for longer than
    ///   [`max_spin_time`](Self::max_spin_time).
    /// - `InvalidInput`: a mode for a name in the abstract namespace, or one that is over `0o7777`.
    /// - `Unsupported`: without `/proc` mounted, a mode that the umask does not allow, or a path of nearly 107 bytes; on a file system
    ///   that knows neither `RENAME_NOREPLACE` nor hard links, any path.
    /// - Others: see bind(2). `EMFILE` and `ENFILE` are given as they are.
    pub fn create_sync(&self) -> io::Result<Listener> {
        let (socket, hold) = self.bind().map_err(|error| self.name.in_error(error))?;
        Ok(Listener::new(socket, hold, self.nonblocking))
    }

    /// A nonblocking socket that listens, and what is to be done about its name in the end.
    pub(crate) fn bind(&self) -> io::Result<(UnixListener, Option<Hold>)> {
        let mode = self.checked_mode()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let backlog = self.backlog.try_into().unwrap_or(i32::MAX);
        let hold = match self.name.as_path() {
            None => {
                self.bind_abstract(&socket)?;
                listen(&socket, backlog)?;
                Hold::of_socket()
            }
            Some(path) => {
                let until = Instant::now().checked_add(self.max_spin_time);
                let terms = Terms { mode, backlog, overwrite: self.try_overwrite, until };
                Hold::of_path(path, bind_at(path, &socket, &terms)?)
            }
        };
        Ok((socket.into(), self.reclaim_name.then_some(hold)))
    }

    fn bind_abstract(&self, socket: &OwnedFd) -> io::Result<()> {
        bind(socket, self.name.address()).map_err(|errno| match errno {
            Errno::ADDRINUSE if self.try_overwrite => io::Error::new(
                io::ErrorKind::AddrInUse,
                "another process has this name, and cannot be displaced in the abstract namespace",
            ),
            Errno::ADDRINUSE => io::Error::new(io::ErrorKind::AddrInUse, "another process has this name"),
            errno => errno.into(),
        })
    }

    fn checked_mode(&self) -> io::Result<Option<Mode>> {
        let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        match self.mode {
            Some(_) if self.name.as_path().is_none() => invalid("a name in the abstract namespace has no mode"),
            Some(mode) if mode > 0o7777 => invalid("a mode is at most 0o7777"),
            mode => Ok(mode.map(Mode::from_raw_mode)),
        }
    }
}
