//! Waiting for clients.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    io::Errno,
    net::{SocketFlags, accept_with},
};

use crate::{ListenerNonblockingMode, Stream, adopt, hold::Hold, wait::ready};

/// Waits for clients under a name: made by [`ListenerOptions`](crate::ListenerOptions).
///
/// When the listener is dropped, its path is removed if it is still its own, and whoever has connected and was not accepted is hung up
/// on, whoever else has copies of the socket. A forked child that drops its copy does nothing of the kind: the parent still listens
/// there. After a SIGKILL the path stays, and the next server at that path replaces it. Like making a listener, dropping one takes the
/// lock of the directory, flock(2), and waits for it up to 1 second. A process that has no descriptor left removes the path all the same,
/// but who was not accepted is then hung up on by the kernel, when the last copy of the socket is closed.
///
/// # Sockets from a supervisor
///
/// A supervisor that starts a server when its first client comes, such as systemd with a `.socket` unit, passes the listening socket as
/// a descriptor and says so in `LISTEN_FDS`, sd_listen_fds(3). The crate `listenfd` reads that, and `TryFrom` makes a listener of it:
///
/// ```text
/// let socket = listenfd::ListenFd::from_env().take_unix_listener(0)?.ok_or("not started by a supervisor")?;
/// let listener = Listener::try_from(OwnedFd::from(socket))?;
/// ```
#[derive(Debug)]
pub struct Listener {
    /// Nonblocking always, so that a wait for the next client can end: between poll(2) and accept(2) another thread may take it.
    socket: UnixListener,
    hold: Option<Hold>,
    accept_nonblocking: AtomicBool,
    stream_nonblocking: AtomicBool,
}

impl Listener {
    pub(crate) fn new(socket: UnixListener, hold: Option<Hold>, mode: ListenerNonblockingMode) -> Self {
        let (accept, stream) = (mode.accept().into(), mode.stream().into());
        Self { socket, hold, accept_nonblocking: accept, stream_nonblocking: stream }
    }

    /// Waits for the next client. A client that was gone again before is one too: its stream tells.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when nobody is there and the listener is [nonblocking](Self::set_nonblocking). See accept(2); at the limit of
    /// descriptors (`EMFILE`) the client stays and the next call can accept it.
    pub fn accept(&self) -> io::Result<Stream> {
        if self.accept_nonblocking.load(Relaxed) {
            return Ok(self.try_accept()?.into());
        }
        self.accept_until(None)
    }

    /// Waits for the next client for so long at most, also where the listener is nonblocking. Signals do not lengthen it.
    ///
    /// # Errors
    ///
    /// `TimedOut`, otherwise as [`accept`](Self::accept).
    pub fn accept_timeout(&self, timeout: Duration) -> io::Result<Stream> {
        self.accept_until(Instant::now().checked_add(timeout))
    }

    /// The results of [`accept`](Self::accept), without end.
    pub fn incoming(&self) -> impl Iterator<Item = io::Result<Stream>> {
        std::iter::repeat_with(|| self.accept())
    }

    /// What answers `WouldBlock` instead of waiting from now on. Streams that have been accepted stay as they are.
    pub fn set_nonblocking(&self, mode: ListenerNonblockingMode) {
        self.accept_nonblocking.store(mode.accept(), Relaxed);
        self.stream_nonblocking.store(mode.stream(), Relaxed);
    }

    /// Leaves the path where it is when the listener is dropped, and the socket as it is for whoever has a copy of it.
    pub fn do_not_reclaim_name_on_drop(&mut self) {
        self.hold = None;
    }

    fn accept_until(&self, until: Option<Instant>) -> io::Result<Stream> {
        loop {
            match self.try_accept() {
                Err(Errno::AGAIN) if ready(&self.socket, PollFlags::IN, until)? => {}
                Err(Errno::AGAIN) => return Err(io::Error::new(io::ErrorKind::TimedOut, "no client came in time")),
                result => return Ok(result?.into()),
            }
        }
    }

    fn try_accept(&self) -> Result<UnixStream, Errno> {
        let nonblocking = self.stream_nonblocking.load(Relaxed);
        let flags = if nonblocking { SocketFlags::NONBLOCK } else { SocketFlags::empty() };
        loop {
            match accept_with(&self.socket, SocketFlags::CLOEXEC | flags) {
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                result => return result.map(UnixStream::from),
            }
        }
    }
}

impl AsFd for Listener {
    /// Readable when a client waits. The descriptor itself is nonblocking.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl TryFrom<OwnedFd> for Listener {
    type Error = io::Error;

    /// Takes a socket that listens already, from a supervisor for example, and makes it nonblocking and close-on-exec. Dropping the
    /// listener does nothing to its name, and nothing to the clients who wait: they are the supervisor's.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is not a Unix stream socket that listens. The descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self::new(adopt::listening(fd)?, None, ListenerNonblockingMode::default()))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(hold) = &self.hold {
            hold.release(self.socket.as_fd());
        }
    }
}
