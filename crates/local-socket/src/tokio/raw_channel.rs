//! Channels for bytes and descriptors, for tokio.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use ::tokio::io::Interest;
use fdpass::{Credentials, set_pass_credentials, try_send_message};

use super::registered::Registered;
use crate::{
    Error,
    incoming::{Inlet, Payload},
    outgoing::Outgoing,
    raw_channel::{message, message_and_sender, sole},
    seqpacket,
    timeout::MayWait,
};

/// A one-way channel for bytes and descriptors, as [`crate::raw_channel`] makes one.
///
/// # Errors
///
/// See socketpair(2) and epoll_ctl(2); outside of a runtime.
pub fn raw_channel() -> io::Result<(RawSender, RawReceiver)> {
    let (sender, receiver) = crate::raw_channel()?;
    Ok((sender.try_into()?, receiver.try_into()?))
}

/// The end of a [`raw_channel`] that sends, as [`crate::RawSender`] is one.
#[derive(Clone, Debug)]
pub struct RawSender {
    pub(crate) socket: Arc<Registered>,
}

/// The end of a [`raw_channel`] that receives, as [`crate::RawReceiver`] is one. Several tasks may receive at once.
#[derive(Debug)]
pub struct RawReceiver {
    pub(crate) socket: Arc<Registered>,
    inlet: Inlet,
}

impl RawSender {
    /// Sends one message, when there is room. The descriptors stay open here.
    ///
    /// # Errors
    ///
    /// As [`crate::RawSender::send`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped before it is ready has sent nothing.
    pub async fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let mut outgoing = Outgoing::new(bytes, fds)?;
        let sent = self
            .socket
            .when(Interest::WRITABLE, || outgoing.send_by(|pieces, fds| try_send_message(&self.socket, pieces, fds)));
        sent.await.map_err(seqpacket::closed)
    }
}

impl RawReceiver {
    /// Connects to a `Bootstrapper`, by the path that it gave to this process.
    ///
    /// # Errors
    ///
    /// As [`crate::RawReceiver::connect`], and epoll_ctl(2); outside of a runtime.
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        crate::RawReceiver::connect(path)?.try_into()
    }

    /// A message, when there is one: its bytes and its descriptors, which are close-on-exec.
    ///
    /// # Errors
    ///
    /// As [`crate::RawReceiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped before it is ready has received nothing.
    pub async fn recv(&self) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        self.recv_by(message).await
    }

    /// The same, and who sent it: see [`crate::RawReceiver::recv_with_credentials`].
    ///
    /// # Errors
    ///
    /// As [`crate::RawReceiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_with_credentials(&self) -> Result<(Vec<u8>, Vec<OwnedFd>, Credentials), Error> {
        self.recv_by(message_and_sender).await
    }

    /// A message, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], otherwise as [`crate::RawReceiver::recv`].
    pub fn try_recv(&self) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
        self.try_recv_by(message)
    }

    /// Has each message bring the credentials of its sender: see [`crate::RawReceiver::set_pass_credentials`].
    ///
    /// # Errors
    ///
    /// See setsockopt(2).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(set_pass_credentials(self, on)?)
    }

    /// The most bytes that a message may have, 64 MiB if this is not called: see [`crate::RawReceiver::set_limit`].
    pub fn set_limit(&self, bytes: usize) {
        self.inlet.set_limit(bytes);
    }

    pub(crate) async fn recv_by<T>(
        &self,
        take: impl Fn(Payload<'_>, Vec<OwnedFd>, Option<Credentials>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.socket.when(Interest::READABLE, || self.inlet.receive_by(self.as_fd(), MayWait::No, &take)).await?
    }

    pub(crate) fn try_recv_by<T>(
        &self,
        take: impl Fn(Payload<'_>, Vec<OwnedFd>, Option<Credentials>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.inlet.receive_by(self.as_fd(), MayWait::No, take)?
    }
}

impl TryFrom<OwnedFd> for RawSender {
    type Error = io::Error;

    /// # Errors
    ///
    /// As [`crate::RawSender`]'s, and epoll_ctl(2). The descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        crate::RawSender::try_from(fd)?.try_into()
    }
}

impl TryFrom<OwnedFd> for RawReceiver {
    type Error = io::Error;

    /// # Errors
    ///
    /// As [`crate::RawReceiver`]'s, and epoll_ctl(2). The descriptor is closed then.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        crate::RawReceiver::try_from(fd)?.try_into()
    }
}

impl TryFrom<crate::RawSender> for RawSender {
    type Error = io::Error;

    /// # Errors
    ///
    /// See epoll_ctl(2); when the sender has a clone, also that no descriptor is left. The sender is dropped then.
    fn try_from(sender: crate::RawSender) -> io::Result<Self> {
        Ok(Self { socket: Arc::new(Registered::new(sender.try_into()?)?) })
    }
}

impl TryFrom<crate::RawReceiver> for RawReceiver {
    type Error = io::Error;

    /// # Errors
    ///
    /// See epoll_ctl(2). The receiver is dropped then.
    fn try_from(receiver: crate::RawReceiver) -> io::Result<Self> {
        let (socket, inlet) = receiver.into_parts();
        Ok(Self { socket: Arc::new(Registered::new(socket)?), inlet })
    }
}

impl TryFrom<RawSender> for crate::RawSender {
    type Error = io::Error;

    /// # Errors
    ///
    /// When the sender has a clone, and no descriptor is left.
    fn try_from(sender: RawSender) -> io::Result<Self> {
        let own = Arc::try_unwrap(sender.socket).map(OwnedFd::from);
        own.or_else(|shared| shared.as_fd().try_clone_to_owned())?.try_into()
    }
}

impl TryFrom<RawReceiver> for crate::RawReceiver {
    type Error = io::Error;

    /// # Errors
    ///
    /// See setsockopt(2). The receiver is dropped then.
    fn try_from(receiver: RawReceiver) -> io::Result<Self> {
        Ok(Self { inlet: receiver.inlet, ..Self::try_from(OwnedFd::from(sole(receiver.socket)))? })
    }
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
