//! Sending a payload and the descriptors that go with it.

use std::{
    io::IoSlice,
    os::fd::{AsFd, BorrowedFd},
};

use nix::libc::{self, c_int};

use crate::{Error, MAX_FDS, control};

/// Sends `payload` and, with its first byte, `fds`: one `sendmsg`, see sendmsg(2) and unix(7).
///
/// Returns how many bytes went. On a stream socket that can be fewer than the payload has; the
/// descriptors have gone with the first of them, so the rest is sent without. Datagram and seqpacket
/// messages go whole or not at all. The call waits while the socket has no room, unless the socket
/// is non-blocking; a signal does not end it, and a closed peer raises no `SIGPIPE`.
///
/// With no descriptors it sends just the payload, without a control message.
///
/// # Errors
/// [`Error::EmptyPayload`], [`Error::TooManyFds`] above [`MAX_FDS`], [`Error::WouldBlock`] on a
/// non-blocking socket without room, otherwise [`Error::Io`]; `BrokenPipe` is a closed peer. After an
/// error nothing has been sent.
pub fn send_fds(socket: impl AsFd, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    send(socket.as_fd(), payload, fds, 0)
}

/// The same as [`send_fds`], and never waits, whatever the socket's `O_NONBLOCK` says.
///
/// # Errors
/// As [`send_fds`]; [`Error::WouldBlock`] if the socket has no room now.
pub fn try_send_fds(socket: impl AsFd, payload: &[u8], fds: &[BorrowedFd<'_>]) -> Result<usize, Error> {
    send(socket.as_fd(), payload, fds, libc::MSG_DONTWAIT)
}

fn send(socket: BorrowedFd<'_>, payload: &[u8], fds: &[BorrowedFd<'_>], flags: c_int) -> Result<usize, Error> {
    if payload.is_empty() {
        return Err(Error::EmptyPayload);
    }
    send_parts(socket, &[IoSlice::new(payload)], fds, flags)
}

pub(crate) fn send_parts(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    flags: c_int,
) -> Result<usize, Error> {
    if fds.len() > MAX_FDS {
        return Err(Error::TooManyFds { requested: fds.len() });
    }
    control::send(socket, parts, fds, flags).map_err(Error::from_errno)
}
