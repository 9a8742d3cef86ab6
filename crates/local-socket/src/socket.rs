//! A socket that keeps messages whole.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
    time::Duration,
};

use fdpass::{send_message, set_pass_credentials, try_send_message};
use rustix::{
    event::PollFlags,
    io::{FdFlags, fcntl_getfd, fcntl_setfd, ioctl_fionbio},
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    Attached, Error, adopt,
    forms::{LengthPrefix, forms, length_behind, length_must_be, without_prefix},
    seqpacket,
    timeout::{Limit, MayWait},
};

/// A Unix socket that keeps messages whole: what one call sends, one call receives, with its descriptors. `SOCK_SEQPACKET`, unix(7).
///
/// Every sending function takes the descriptors that go with the message, and leaves them open here; the type parameter of every
/// receiving function says how many may come and where they go: see [`Attached`].
///
/// ```
/// use local_socket::Socket;
/// use std::{fs::File, os::fd::{AsFd, OwnedFd}};
///
/// let (here, there) = Socket::pair()?;
/// let log = File::open("/dev/null")?;
/// here.send_slice(b"the log", &[log.as_fd()])?;
///
/// let mut buffer = [0; 64];
/// let (length, [log]) = there.recv_slice::<[OwnedFd; 1]>(&mut buffer)?;
/// assert_eq!(&buffer[..length], b"the log");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Both ends can send and receive, and several threads may use one end at once: messages do not mix, and each is received by one. Calls
/// wait for a message or for room unless the socket is [nonblocking](Self::set_nonblocking) or has a
/// [timeout](Self::set_recv_timeout); signals end no wait and lengthen none. Sending to an end that is gone is [`Error::Closed`] and
/// never a SIGPIPE.
///
/// # The end, and empty messages
///
/// A message may be empty. When the other end is gone, everything that it sent can still be received, and then each call is
/// [`Error::EndOfFile`]. The kernel answers 0 bytes to both. They are told apart by whether the other end is still there, and whether anything
/// is behind; so only empty messages at the very end, with no byte behind them, look like the end when the other end is gone already. With
/// [credentials](Self::set_pass_credentials), which every message has and the end has not, nothing does.
///
/// The kernel also reports, once, that a peer was gone before it had received everything (`ECONNRESET`), even if there are messages
/// of that peer to receive. That report is passed over: the messages come first, and then the end.
///
/// # How long a message can be
///
/// As long as the sending socket's buffer has room (`SO_SNDBUF` in socket(7)): 212 960 bytes if the system's setting is
/// the usual one. A longer one is [`Error::TooLong`], and a [channel](crate::raw_channel) sends messages of any length.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    recv_timeout: Limit,
    send_timeout: Limit,
}

impl Socket {
    /// Two ends of a new connection, close-on-exec both.
    ///
    /// # Errors
    ///
    /// See socketpair(2).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = seqpacket::pair()?;
        Ok((one.try_into()?, other.try_into()?))
    }

    /// The same as [`pair`](Self::pair).
    ///
    /// # Errors
    ///
    /// As [`pair`](Self::pair).
    pub fn new_socketpair() -> io::Result<(Self, Self)> {
        Self::pair()
    }

    /// Leaves the descriptor open in programs that this process starts: `FD_CLOEXEC` is taken off. See execve(2).
    ///
    /// # Errors
    ///
    /// See fcntl(2).
    pub fn keep_on_exec(&self) -> io::Result<()> {
        let flags = fcntl_getfd(&self.fd)?;
        Ok(fcntl_setfd(&self.fd, flags - FdFlags::CLOEXEC)?)
    }

    /// Another handle of the same end, close-on-exec. A message is received by one of them, and the end is gone when all are dropped.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        let (recv_timeout, send_timeout) = (self.recv_timeout.clone(), self.send_timeout.clone());
        Ok(Self { fd: self.fd.try_clone()?, recv_timeout, send_timeout })
    }

    /// Lets calls answer [`Error::WouldBlock`] instead of waiting. The setting is shared by all copies of the socket, also those in
    /// other processes.
    ///
    /// # Errors
    ///
    /// See ioctl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(ioctl_fionbio(&self.fd, nonblocking)?)
    }

    /// How long a call waits for a message, before it ends with [`Error::TimedOut`]; `None`, as at first, for as long as it takes.
    ///
    /// Each call has the whole time. The timeout belongs to this `Socket`, not to the descriptor; a [clone](Self::try_clone) takes it
    /// over and then has its own. A nonblocking socket waits for nothing, whatever its timeouts.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_recv_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.recv_timeout.set(timeout)
    }

    /// How long a call waits for room, otherwise as [`set_recv_timeout`](Self::set_recv_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_send_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.send_timeout.set(timeout)
    }

    /// Has each message bring the credentials of its sender: [`Attached`] says how they are received. `SO_PASSCRED` in unix(7); it
    /// costs about 0.15 µs a message, and gives a socket that sends an address in the abstract namespace.
    ///
    /// Messages that were sent before come without a pid and with a user that is nobody's. The setting is shared by all copies of the socket,
    /// also those in other processes.
    ///
    /// # Errors
    ///
    /// See setsockopt(2).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(set_pass_credentials(&self.fd, on)?)
    }

    /// Sends one message that consists of these pieces, at most 1024.
    ///
    /// # Errors
    ///
    /// - [`Error::Closed`], [`Error::TooLong`], [`Error::TooManyFds`];
    /// - [`Error::WouldBlock`], [`Error::TimedOut`];
    /// - otherwise [`Error::Io`], see sendmsg(2): `ETOOMANYREFS` says that the user has too many descriptors on their way.
    pub fn send_iovec(&self, pieces: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let sent = self.send_timeout.keep(self.as_fd(), PollFlags::OUT, |may_wait| match may_wait {
            MayWait::Yes => send_message(&self.fd, pieces, fds),
            MayWait::No => try_send_message(&self.fd, pieces, fds),
        });
        sent.map_err(|error| seqpacket::closed_or_too_long(error, &self.fd, pieces))
    }

    /// Receives one message into these buffers, one behind the other, and returns its length.
    ///
    /// # Errors
    ///
    /// - [`Error::EndOfFile`];
    /// - [`Error::TooLong`] for a message that the buffers have no room for, [`Error::WrongFds`] for one with other descriptors than asked for,
    ///   [`Error::FdsLost`]: the message is used up, its descriptors are closed;
    /// - [`Error::WouldBlock`], [`Error::TimedOut`];
    /// - otherwise [`Error::Io`], see recvmsg(2).
    pub fn recv_iovec<A: Attached>(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<(usize, A), Error> {
        let received = self
            .recv_timeout
            .keep(self.as_fd(), PollFlags::IN, |may_wait| seqpacket::receive(&self.fd, buffers, A::MAX, may_wait))?;
        seqpacket::attached(received)
    }

    /// Receives one message whatever its length.
    fn recv_whole<A: Attached>(&self) -> Result<(Vec<u8>, A), Error> {
        let (bytes, received) = self
            .recv_timeout
            .keep(self.as_fd(), PollFlags::IN, |may_wait| seqpacket::receive_whole(&self.fd, A::MAX, may_wait))?;
        Ok((bytes, seqpacket::attached(received)?.1))
    }
}

forms!(Socket);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

impl TryFrom<OwnedFd> for Socket {
    type Error = io::Error;

    /// Takes a seqpacket socket, and makes it close-on-exec.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no Unix seqpacket socket, or one that listens. The descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        let fd = adopt::seqpacket(fd)?;
        Ok(Self { fd, recv_timeout: Limit::default(), send_timeout: Limit::default() })
    }
}

impl From<Socket> for OwnedFd {
    fn from(socket: Socket) -> Self {
        socket.fd
    }
}
