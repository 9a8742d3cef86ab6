//! Connecting to a server.

use std::{
    io,
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use rustix::{
    io::{Errno, ioctl_fionbio},
    net::{
        AddressFamily, SocketFlags, SocketType, connect, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::{Name, Stream, wait::uninterrupted};

/// How to connect.
///
/// ```
/// # use local_socket::{ConnectOptions, ConnectWaitMode, ListenerOptions, Name};
/// # let name = Name::namespaced(format!("connect-options.{}", std::process::id()))?;
/// # let listener = ListenerOptions::new(name.clone()).create_sync()?;
/// use std::time::Duration;
///
/// let wait = ConnectWaitMode::Timeout(Duration::from_secs(1));
/// let stream = ConnectOptions::new(name).wait_mode(wait).connect_sync()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ConnectOptions {
    pub(crate) name: Name,
    pub(crate) wait_mode: ConnectWaitMode,
    nonblocking: bool,
}

/// How long to wait for a server whose backlog is full: one that has many clients to accept, or accepts nobody.
///
/// A server that is not there is never waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectWaitMode {
    /// As long as it takes.
    #[default]
    Unbounded,
    /// Up to this long; then the error is `TimedOut`. Signals do not lengthen it.
    Timeout(Duration),
    /// Not at all: the error is `WouldBlock`, and nothing is under way then. On Linux there is no connection that completes later.
    Deferred,
}

impl ConnectOptions {
    /// Waits without bound, for a stream that blocks.
    pub fn new(name: Name) -> Self {
        Self { name, wait_mode: ConnectWaitMode::default(), nonblocking: false }
    }

    /// How long to wait for a server whose backlog is full.
    #[must_use]
    pub fn wait_mode(mut self, wait_mode: ConnectWaitMode) -> Self {
        self.wait_mode = wait_mode;
        self
    }

    /// Whether reads and writes of the connected stream answer `WouldBlock` instead of waiting. Connecting is not affected.
    #[must_use]
    pub fn nonblocking_stream(mut self, nonblocking: bool) -> Self {
        self.nonblocking = nonblocking;
        self
    }

    /// Connects. The connection is there when this returns, although the server may still have to accept it.
    ///
    /// # Errors
    ///
    /// `NotFound` or `ConnectionRefused` where nobody listens, `TimedOut` and `WouldBlock` as [`ConnectWaitMode`] says,
    /// `PermissionDenied`; see connect(2). Each text begins with the name. What the system has said, with its number, is the
    /// [`source`](std::error::Error::source); but `EMFILE` and `ENFILE`, which are about no name, are given as they are.
    pub fn connect_sync(&self) -> io::Result<Stream> {
        let (socket, is_nonblocking) = match self.wait_mode {
            ConnectWaitMode::Unbounded => (connect_until(&self.name, None), false),
            ConnectWaitMode::Timeout(timeout) => {
                (connect_until(&self.name, Instant::now().checked_add(timeout)), false)
            }
            ConnectWaitMode::Deferred => (connect_now(&self.name), true),
        };
        let socket = socket.map_err(|error| self.name.in_error(error))?;
        if self.nonblocking != is_nonblocking {
            ioctl_fionbio(&socket, self.nonblocking)?;
        }
        Ok(Stream::from(socket))
    }
}

/// A nonblocking socket, connected without waiting; `WouldBlock` where the backlog is full.
pub(crate) fn connect_now(name: &Name) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    match uninterrupted(|| connect(&socket, name.address())) {
        // With a Unix socket this is no connection under way, connect(2).
        Err(Errno::AGAIN) => {
            Err(io::Error::new(io::ErrorKind::WouldBlock, "the server's backlog is full: not connected, try again"))
        }
        result => Ok(result.map(|()| socket.into())?),
    }
}

/// A full backlog is waited for by connect(2), as long as `SO_SNDTIMEO` says, socket(7).
fn connect_until(name: &Name, until: Option<Instant>) -> io::Result<UnixStream> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        // No time at all would mean that there is no limit.
        let limit = left.map(|left| left.max(LEAST_TIME)).filter(|limit| *limit < LONGEST_TIME);
        if limit.is_some() {
            set_socket_timeout(&socket, Timeout::Send, limit)?;
        }
        match connect(&socket, name.address()) {
            Err(Errno::AGAIN | Errno::INTR) if left == Some(Duration::ZERO) => {
                return Err(backlog_was_full());
            }
            // After a signal nothing is under way, unix(7).
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => {
                result?;
                if limit.is_some() {
                    set_socket_timeout(&socket, Timeout::Send, None)?;
                }
                return Ok(socket.into());
            }
        }
    }
}

/// A timeout that passed.
pub(crate) fn backlog_was_full() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "the server's backlog was full all the time")
}

/// What the kernel takes for a timeout: at least a microsecond, and no more than it can count.
const LEAST_TIME: Duration = Duration::from_micros(1);
const LONGEST_TIME: Duration = Duration::from_secs(1 << 31);
