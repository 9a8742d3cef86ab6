//! A socket that keeps messages whole, for tokio.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd},
};

use ::tokio::io::Interest;
use fdpass::{set_pass_credentials, try_send_message};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::registered::Registered;
use crate::{
    Attached, Error,
    forms::{LengthPrefix, forms, length_behind, length_must_be, without_prefix},
    seqpacket,
    timeout::MayWait,
};

/// A Unix socket that keeps messages whole, as [`crate::Socket`] is one: the end, empty messages, and how long they can be are
/// described there.
///
/// Several tasks may use one socket at once.
///
/// # Cancel safety
///
/// Everything is cancel safe: a future that is dropped before it is ready has sent or received nothing.
#[derive(Debug)]
pub struct Socket(Registered);

impl Socket {
    /// Two ends of a new connection, close-on-exec both.
    ///
    /// # Errors
    ///
    /// See socketpair(2) and epoll_ctl(2); outside of a runtime.
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = crate::Socket::pair()?;
        Ok((one.try_into()?, other.try_into()?))
    }

    /// Has each message bring the credentials of its sender: see [`crate::Socket::set_pass_credentials`].
    ///
    /// # Errors
    ///
    /// See setsockopt(2).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(set_pass_credentials(&self.0, on)?)
    }

    /// Sends one message that consists of these pieces, at most 1024, when there is room.
    ///
    /// # Errors
    ///
    /// As [`crate::Socket::send_iovec`], without `WouldBlock` and `TimedOut`.
    pub async fn send_iovec(&self, pieces: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        let sent = self.0.when(Interest::WRITABLE, || try_send_message(&self.0, pieces, fds)).await;
        sent.map_err(|error| seqpacket::closed_or_too_long(error, &self.0, pieces))
    }

    /// Receives one message into these buffers, one behind the other, and returns its length.
    ///
    /// # Errors
    ///
    /// As [`crate::Socket::recv_iovec`], without `WouldBlock` and `TimedOut`.
    pub async fn recv_iovec<A: Attached>(&self, buffers: &mut [IoSliceMut<'_>]) -> Result<(usize, A), Error> {
        let receive = || seqpacket::receive(&self.0, buffers, A::MAX, MayWait::No);
        seqpacket::attached(self.0.when(Interest::READABLE, receive).await?)
    }

    /// Receives one message whatever its length.
    async fn recv_whole<A: Attached>(&self) -> Result<(Vec<u8>, A), Error> {
        let receive = || seqpacket::receive_whole(&self.0, A::MAX, MayWait::No);
        let (bytes, received) = self.0.when(Interest::READABLE, receive).await?;
        Ok((bytes, seqpacket::attached(received)?.1))
    }
}

forms!(Socket, async, await);

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl TryFrom<crate::Socket> for Socket {
    type Error = io::Error;

    /// The socket's timeouts are forgotten.
    ///
    /// # Errors
    ///
    /// See epoll_ctl(2); outside of a runtime. The socket is dropped then.
    fn try_from(socket: crate::Socket) -> io::Result<Self> {
        Ok(Self(Registered::new(OwnedFd::from(socket))?))
    }
}

impl TryFrom<Socket> for crate::Socket {
    type Error = io::Error;

    /// A socket that waits, if it was not made nonblocking.
    ///
    /// # Errors
    ///
    /// As `TryFrom<OwnedFd>`.
    fn try_from(socket: Socket) -> io::Result<Self> {
        Self::try_from(OwnedFd::from(socket.0))
    }
}
