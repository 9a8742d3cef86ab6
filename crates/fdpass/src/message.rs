//! Whole messages of seqpacket and datagram sockets, in parts, and empty ones too.

use std::{
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
};

use nix::libc;

use crate::{Error, Received, recv::recv_parts, send::send_parts};

/// Sends one message of a seqpacket or datagram socket: `parts` one behind the other, and `fds` with it.
///
/// It goes whole or not at all, and the receiver sees one message whatever the parts were. It may be empty, with and without
/// descriptors. The call waits while the socket has no room, unless the socket is non-blocking; a signal does not end it, and a closed
/// peer raises no `SIGPIPE`. At most 1024 parts, writev(2).
///
/// # Errors
/// [`Error::TooManyFds`] above [`MAX_FDS`](crate::MAX_FDS), [`Error::WouldBlock`] on a non-blocking socket without room, otherwise
/// [`Error::Io`]: `EMSGSIZE` for a message that is too long for the socket's buffer, `BrokenPipe` for a closed peer. After an error
/// nothing has been sent.
pub fn send_message(socket: impl AsFd, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    send_parts(socket.as_fd(), parts, fds, 0).map(drop)
}

/// The same as [`send_message`], and never waits, whatever the socket's `O_NONBLOCK` says.
///
/// # Errors
/// As [`send_message`]; [`Error::WouldBlock`] if the socket has no room now.
pub fn try_send_message(socket: impl AsFd, parts: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
    send_parts(socket.as_fd(), parts, fds, libc::MSG_DONTWAIT).map(drop)
}

/// Receives one message of a seqpacket or datagram socket into `parts`, and at most `max` descriptors.
///
/// As [`recv_fds`](crate::recv_fds), but the room may be in parts, and there may be none at all, for an empty message.
///
/// # Errors
/// As [`recv_fds`](crate::recv_fds), without [`Error::EmptyBuffer`]; [`Error::MessageTruncated`] has both lengths.
pub fn recv_message(socket: impl AsFd, parts: &mut [IoSliceMut<'_>], max: usize) -> Result<Received, Error> {
    recv_parts(socket.as_fd(), parts, max, libc::MSG_TRUNC)
}

/// The same as [`recv_message`], and never waits, whatever the socket's `O_NONBLOCK` says.
///
/// # Errors
/// As [`recv_message`]; [`Error::WouldBlock`] if nothing is there now.
pub fn try_recv_message(socket: impl AsFd, parts: &mut [IoSliceMut<'_>], max: usize) -> Result<Received, Error> {
    recv_parts(socket.as_fd(), parts, max, libc::MSG_TRUNC | libc::MSG_DONTWAIT)
}
