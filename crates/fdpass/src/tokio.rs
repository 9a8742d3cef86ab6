//! The same functions for the sockets of tokio.
//!
//! Each waits for readiness and then does what the blocking function of the same name does, so errors
//! and limits are described there. None of them starts a task or blocks a thread.

use std::{
    future::Future,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use ::tokio::{
    io::{Interest, Ready},
    net::{UnixDatagram, UnixStream},
};

use crate::{
    Error, Received, control,
    tagged::{Incoming, Outgoing},
    try_recv_fds, try_send_fds,
};

/// A Unix socket of tokio: [`UnixStream`] or [`UnixDatagram`].
pub trait Socket: AsFd + Sync + sealed::Sealed {
    #[doc(hidden)]
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send;
    #[doc(hidden)]
    fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R>;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for ::tokio::net::UnixStream {}
    impl Sealed for ::tokio::net::UnixDatagram {}
}

impl Socket for UnixStream {
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send {
        self.ready(interest)
    }

    fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(interest, io)
    }
}

impl Socket for UnixDatagram {
    fn ready(&self, interest: Interest) -> impl Future<Output = io::Result<Ready>> + Send {
        self.ready(interest)
    }

    fn try_io<R>(&self, interest: Interest, io: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
        self.try_io(interest, io)
    }
}

/// Sends `payload` and, with its first byte, `fds`, when the socket has room. See [`crate::send_fds`].
///
/// Returns how many bytes went: on a stream possibly fewer than the payload has.
///
/// # Errors
/// As [`crate::send_fds`], without [`Error::WouldBlock`].
///
/// # Cancel safety
/// Cancel safe: if the future is dropped before it is ready, nothing has been sent.
pub async fn send_fds(socket: &impl Socket, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    when(socket, Interest::WRITABLE, |_| try_send_fds(socket, payload, fds)).await
}

/// Receives what is there, or the next that comes. See [`crate::recv_fds`].
///
/// # Errors
/// As [`crate::recv_fds`], without [`Error::WouldBlock`].
///
/// # Cancel safety
/// Cancel safe: if the future is dropped before it is ready, nothing has been received.
pub async fn recv_fds(socket: &impl Socket, buf: &mut [u8], max: usize) -> Result<Received, Error> {
    when(socket, Interest::READABLE, |_| try_recv_fds(socket, buf, max)).await
}

/// Sends one descriptor with its tag. See [`crate::send_fd`].
///
/// # Errors
/// As [`crate::send_fd`], without [`Error::WouldBlock`].
///
/// # Cancel safety
/// If the future is dropped before it is ready, nothing has been sent, unless the kernel had taken
/// part of the tag and no room for the rest: then the descriptor and a part of the tag are on their
/// way, and a stream is of no more use. Linux takes a message as short as a tag whole or not at all,
/// but nothing promises that.
pub async fn send_fd(socket: &impl Socket, fd: impl AsFd, tag: &[u8]) -> Result<(), Error> {
    let mut outgoing = Outgoing::new(fd.as_fd(), tag)?;
    while !outgoing.is_done() {
        when(socket, Interest::WRITABLE, |_| outgoing.step(|payload, fds| try_send_fds(socket, payload, fds))).await?;
    }
    Ok(())
}

/// Receives one descriptor that was sent with exactly this `tag`. See [`crate::recv_fd`].
///
/// On a stream it begins to read when as many bytes as the tag has are there; only then does it see
/// whether they differ from it. A connection that ends before that leaves what came unread.
///
/// # Errors
/// As [`crate::recv_fd`], without [`Error::WouldBlock`].
///
/// # Cancel safety
/// Cancel safe while nobody else reads from this socket: if the future is dropped before it is ready,
/// nothing has been received, and the next call finds the whole tag and its descriptor. Another
/// reader could take bytes in between; then a dropped future may have used up a part of the tag.
pub async fn recv_fd(socket: &impl Socket, tag: &[u8]) -> Result<OwnedFd, Error> {
    let mut incoming = Incoming::new(tag)?;
    let is_stream =
        control::option(socket.as_fd(), nix::libc::SO_TYPE).map_err(Error::from_errno)? == nix::libc::SOCK_STREAM;
    when(socket, Interest::READABLE, |ready| {
        if is_stream {
            let unread = control::unread(socket.as_fd()).map_err(Error::from_errno)?;
            if unread < incoming.missing() {
                // `ready` is older than `unread`, so what was sent before the end is counted in it.
                if !ready.is_read_closed() {
                    return Err(Error::WouldBlock);
                }
                if unread > 0 {
                    return Err(Error::EndOfFile);
                }
            }
        }
        while !incoming.is_done() {
            incoming.step(socket.as_fd(), |buf, max| try_recv_fds(socket, buf, max))?;
        }
        Ok(())
    })
    .await?;
    incoming.finish()
}

/// Calls `operation` each time the socket is ready, until it no longer says that it would have to wait.
async fn when<R>(
    socket: &impl Socket,
    interest: Interest,
    mut operation: impl FnMut(Ready) -> Result<R, Error>,
) -> Result<R, Error> {
    loop {
        let ready = socket.ready(interest).await.map_err(Error::Io)?;
        // Only `WouldBlock` may come out as an error: it makes tokio wait for the next event.
        let outcome = socket.try_io(interest, || match operation(ready) {
            Err(Error::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            result => Ok(result),
        });
        match outcome {
            Ok(result) => return result,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Error::Io(error)),
        }
    }
}
