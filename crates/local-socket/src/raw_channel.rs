//! Channels for bytes and descriptors.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use fdpass::{Credentials, send_message, set_pass_credentials, try_send_message};
use rustix::{
    event::PollFlags,
    net::{Shutdown, shutdown},
};

use crate::{
    Error, adopt,
    attached::beside,
    incoming::{Inlet, Payload},
    outgoing::Outgoing,
    seqpacket::{self, connect_to},
    timeout::{MayWait, wait_for},
};

/// A one-way channel for bytes and descriptors between processes.
///
/// Messages of any length go through, in the order in which they were sent, each with up to [`fdpass::MAX_FDS`] descriptors. An end goes
/// to another process as a descriptor, as part of a value (feature `serde`), or by way of a `Bootstrapper`.
///
/// ```
/// let (sender, receiver) = local_socket::raw_channel()?;
/// sender.send(b"hello", &[])?;
/// let (bytes, fds) = receiver.recv()?;
/// assert_eq!((&bytes[..], fds.len()), (&b"hello"[..], 0));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// `docs/channels.md` describes the messages byte by byte, for who writes the other end in another language.
///
/// # Errors
///
/// See socketpair(2).
pub fn raw_channel() -> io::Result<(RawSender, RawReceiver)> {
    let (near, far) = seqpacket::pair()?;
    // What the receiving process might send into its end would lie there, and nobody would read it.
    shutdown(&near, Shutdown::Read)?;
    Ok((RawSender::try_from(near)?, RawReceiver::try_from(far)?))
}

/// The end of a [`raw_channel`] that sends.
///
/// Clones send into the same channel, from other threads or processes too: messages do not mix. The receiver finds the end when all of
/// them are dropped.
#[derive(Clone, Debug)]
pub struct RawSender {
    pub(crate) socket: Arc<OwnedFd>,
}

/// The end of a [`raw_channel`] that receives.
///
/// Several threads may receive at once; each message is received by one of them.
#[derive(Debug)]
pub struct RawReceiver {
    pub(crate) socket: Arc<OwnedFd>,
    pub(crate) inlet: Inlet,
}

/// How long a call waits.
#[derive(Clone, Copy)]
pub(crate) enum Wait {
    Never,
    Until(Option<Instant>),
}

impl Wait {
    pub(crate) const FOREVER: Self = Self::Until(None);

    pub(crate) fn for_at_most(timeout: Duration) -> Self {
        Self::Until(Instant::now().checked_add(timeout))
    }

    /// Makes a call until it is one that need not wait, whatever the `O_NONBLOCK` of the socket says.
    pub(crate) fn for_call<T>(
        self,
        socket: &OwnedFd,
        what: PollFlags,
        mut call: impl FnMut(MayWait) -> Result<T, fdpass::Error>,
    ) -> Result<T, Error> {
        let may_wait = if matches!(self, Self::Until(None)) { MayWait::Yes } else { MayWait::No };
        match (call(may_wait), self) {
            (Err(fdpass::Error::WouldBlock), Self::Until(until)) => {
                wait_for(socket.as_fd(), what, until, || call(MayWait::No))
            }
            (result, _) => Ok(result?),
        }
    }
}

impl RawSender {
    /// Sends one message, and waits for room.
    ///
    /// The descriptors stay open here.
    ///
    /// # Errors
    ///
    /// [`Error::Closed`], [`Error::TooManyFds`]; otherwise [`Error::Io`], see sendmsg(2) and, for a message of more than 192 KiB,
    /// memfd_create(2). `ETOOMANYREFS` says that the user has too many descriptors on their way. Nothing was sent then.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        self.send_waiting(Wait::FOREVER, bytes, fds)
    }

    /// The same, and waits for so long at most; not at all with [`Duration::ZERO`].
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], otherwise as [`send`](Self::send).
    pub fn send_timeout(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], timeout: Duration) -> Result<(), Error> {
        self.send_waiting(Wait::for_at_most(timeout), bytes, fds)
    }

    pub(crate) fn send_waiting(&self, wait: Wait, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut outgoing = Outgoing::new(bytes, fds)?;
        let sent = wait.for_call(&self.socket, PollFlags::OUT, |may_wait| {
            outgoing.send_by(|pieces, fds| match may_wait {
                MayWait::Yes => send_message(&self.socket, pieces, fds),
                MayWait::No => try_send_message(&self.socket, pieces, fds),
            })
        });
        sent.map_err(seqpacket::closed)
    }
}

impl RawReceiver {
    /// Connects to a `Bootstrapper`, by the path that it gave to this process.
    ///
    /// # Errors
    ///
    /// `NotFound` or `ConnectionRefused` where nobody waits; see connect(2).
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        connect_to(path.as_ref())?.try_into()
    }

    /// Waits for a message: its bytes and its descriptors, which are close-on-exec.
    ///
    /// # Errors
    ///
    /// - [`Error::EndOfFile`] when all senders are dropped and everything that they sent was received;
    /// - [`Error::TooLong`] over [the limit](Self::set_limit), [`Error::FdsLost`], and for what no sender of this crate sends
    ///   [`Error::Malformed`], [`Error::WrongLength`], [`Error::WrongFds`]: this message is used up, the next can be received;
    /// - otherwise [`Error::Io`], see recvmsg(2).
    pub fn recv(&self) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        self.recv_waiting(Wait::FOREVER, message)
    }

    /// The same, and does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], otherwise as [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        self.recv_waiting(Wait::Never, message)
    }

    /// The same, and waits for so long at most.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        self.recv_waiting(Wait::for_at_most(timeout), message)
    }

    /// Waits for a message, and says who sent it: the process, user and group at that moment, vouched for by the kernel. To be
    /// [asked for](Self::set_pass_credentials) before the message is sent.
    ///
    /// # Errors
    ///
    /// [`Error::NoCredentials`], otherwise as [`recv`](Self::recv).
    pub fn recv_with_credentials(&self) -> Result<(Vec<u8>, Vec<OwnedFd>, Credentials), Error> {
        self.recv_waiting(Wait::FOREVER, message_and_sender)
    }

    /// Has each message bring the credentials of its sender: `SO_PASSCRED` in unix(7), which costs about 0.15 µs a message.
    ///
    /// Messages that were sent before come without a pid and with a user that is nobody's. The setting is the channel's, and goes with the
    /// receiver to another process.
    ///
    /// # Errors
    ///
    /// See setsockopt(2).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(set_pass_credentials(self, on)?)
    }

    /// The most bytes that a message may have, 64 MiB if this is not called: no more is ever allocated for the bytes of one.
    ///
    /// The setting belongs to this receiver and does not go with it to another process.
    pub fn set_limit(&self, bytes: usize) {
        self.inlet.set_limit(bytes);
    }

    pub(crate) fn into_parts(self) -> (OwnedFd, Inlet) {
        (sole(self.socket), self.inlet)
    }

    pub(crate) fn recv_waiting<T>(
        &self,
        wait: Wait,
        take: impl Fn(Payload<'_>, Vec<OwnedFd>, Option<Credentials>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        wait.for_call(&self.socket, PollFlags::IN, |may_wait| self.inlet.receive_by(self.as_fd(), may_wait, &take))?
    }
}

/// The socket of a receiver, which has no clones.
pub(crate) fn sole<S>(socket: Arc<S>) -> S {
    Arc::into_inner(socket).expect("a receiver is shared only while it is being sent")
}

/// The bytes and descriptors of a message.
pub(crate) fn message(
    bytes: Payload<'_>,
    fds: Vec<OwnedFd>,
    _: Option<Credentials>,
) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
    Ok((bytes.into_owned(), fds))
}

pub(crate) fn message_and_sender(
    bytes: Payload<'_>,
    fds: Vec<OwnedFd>,
    sender: Option<Credentials>,
) -> Result<(Vec<u8>, Vec<OwnedFd>, Credentials), Error> {
    let (sender, fds) = beside(sender.ok_or(Error::NoCredentials), fds)?;
    Ok((bytes.into_owned(), fds, sender))
}

impl AsFd for RawSender {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsFd for RawReceiver {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl TryFrom<OwnedFd> for RawSender {
    type Error = io::Error;

    /// Takes the end of a channel that another process or another library has made. It is close-on-exec from here on.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is no Unix seqpacket socket, or one that listens. The descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: Arc::new(adopt::seqpacket(fd)?) })
    }
}

impl TryFrom<OwnedFd> for RawReceiver {
    type Error = io::Error;

    /// The same as for [`RawSender`].
    ///
    /// # Errors
    ///
    /// As for [`RawSender`].
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        Ok(Self { socket: Arc::new(adopt::seqpacket(fd)?), inlet: Inlet::default() })
    }
}

impl TryFrom<RawSender> for OwnedFd {
    type Error = io::Error;

    /// # Errors
    ///
    /// When there is a clone of the sender, and the process has no descriptor left.
    fn try_from(sender: RawSender) -> io::Result<Self> {
        Arc::try_unwrap(sender.socket).or_else(|shared| shared.try_clone())
    }
}

impl From<RawReceiver> for OwnedFd {
    fn from(receiver: RawReceiver) -> Self {
        receiver.into_parts().0
    }
}
