//! Receiving a payload and judging the descriptors that came with it.

use std::{
    io::IoSliceMut,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    libc::{self, c_int},
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    Credentials, Error, MAX_FDS,
    control::{self, Delivery},
    discard,
};

/// What one message, or one piece of a stream, brought.
#[derive(Debug)]
#[non_exhaustive]
pub struct Received {
    /// Bytes written to the beginning of the buffer. 0 only for an empty message.
    pub len: usize,
    /// The descriptors, in the order in which they were sent; all close-on-exec.
    pub fds: Vec<OwnedFd>,
    /// Who sent these bytes, if [`set_pass_credentials`](crate::set_pass_credentials) is on.
    pub credentials: Option<Credentials>,
    /// The process that sent these bytes, if [`set_pass_pidfd`](crate::set_pass_pidfd) is on and the
    /// kernel could name it; close-on-exec.
    pub pidfd: Option<OwnedFd>,
}

/// Receives at most `buf.len()` bytes and at most `max` descriptors: one `recvmsg`, see recvmsg(2).
///
/// Waits until something is there, unless the socket is non-blocking; a signal does not end the
/// wait. The descriptors are close-on-exec from the start.
///
/// A stream keeps no message boundaries, with one exception: a read ends after bytes that carry
/// descriptors. It can begin with earlier bytes that carry none, so descriptors belong to this
/// read's bytes and not to its first byte.
///
/// An empty datagram is a message like any other and gives `len` 0; so does a datagram socket that
/// was shut down for reading.
///
/// # Errors
/// - [`Error::EmptyBuffer`], [`Error::TooManyFds`] for `max` above [`MAX_FDS`]: nothing was received.
/// - [`Error::WouldBlock`]: nothing is there, and the socket is non-blocking.
/// - [`Error::EndOfFile`]: the peer of a stream or seqpacket socket is gone. On a seqpacket socket empty messages with no byte
///   behind them look the same once the peer is gone, unless [`set_pass_credentials`](crate::set_pass_credentials) is on.
/// - [`Error::Surplus`]: more than `max` descriptors were sent. [`Error::Truncated`]: fewer than
///   that could be taken. [`Error::MessageTruncated`]: a message longer than `buf`. The bytes that
///   came are in `buf` and used up, all descriptors are closed.
/// - [`Error::Io`] for everything else.
pub fn recv_fds(socket: impl AsFd, buf: &mut [u8], max: usize) -> Result<Received, Error> {
    recv_one(socket.as_fd(), buf, max, 0)
}

/// The same as [`recv_fds`], and never waits, whatever the socket's `O_NONBLOCK` says.
///
/// # Errors
/// As [`recv_fds`]; [`Error::WouldBlock`] if nothing is there now.
pub fn try_recv_fds(socket: impl AsFd, buf: &mut [u8], max: usize) -> Result<Received, Error> {
    recv_one(socket.as_fd(), buf, max, libc::MSG_DONTWAIT)
}

fn recv_one(socket: BorrowedFd<'_>, buf: &mut [u8], max: usize, flags: c_int) -> Result<Received, Error> {
    if buf.is_empty() {
        return Err(Error::EmptyBuffer);
    }
    recv_parts(socket, &mut [IoSliceMut::new(buf)], max, flags)
}

pub(crate) fn recv_parts(
    socket: BorrowedFd<'_>,
    parts: &mut [IoSliceMut<'_>],
    max: usize,
    flags: c_int,
) -> Result<Received, Error> {
    if max > MAX_FDS {
        return Err(Error::TooManyFds { requested: max });
    }
    let room = parts.iter().map(|part| part.len()).sum();
    let delivery = control::receive(socket, parts, flags).map_err(Error::from_errno)?;
    judge(socket, delivery, room, max)
}

/// Whether nothing came because nothing comes any more, and not in an empty message.
fn is_the_end(socket: BorrowedFd<'_>, credentials: Option<Credentials>) -> Result<bool, Errno> {
    match control::option(socket, libc::SO_TYPE)? {
        libc::SOCK_DGRAM => Ok(false),
        // Where they are asked for they come with every message, and never with the end. Where they are not: a peer that can still
        // send has not ended, and what is still there was sent before the end.
        libc::SOCK_SEQPACKET => Ok(credentials.is_none() && has_hung_up(socket)? && control::unread(socket)? == 0),
        _ => Ok(true),
    }
}

/// The peer is gone, or has said that it sends no more: `POLLRDHUP`, poll(2).
fn has_hung_up(socket: BorrowedFd<'_>) -> Result<bool, Errno> {
    let hung_up = PollFlags::from_bits_retain(libc::POLLRDHUP);
    loop {
        match poll(&mut [PollFd::new(socket, hung_up)], PollTimeout::ZERO) {
            Err(Errno::EINTR) => {}
            result => return result.map(|ready| ready > 0),
        }
    }
}

/// With an error, every descriptor of the delivery is closed.
fn judge(socket: BorrowedFd<'_>, delivery: Delivery, room: usize, max: usize) -> Result<Received, Error> {
    let Delivery { len, fds, credentials, pidfd, control_truncated, payload_truncated } = delivery;
    let got = fds.len();
    let error = if got > max {
        Error::Surplus { allowed: max, got }
    } else if control_truncated && got == max && max < MAX_FDS {
        // At least one more was dropped.
        Error::Surplus { allowed: max, got: got + 1 }
    } else if control_truncated {
        Error::Truncated { allowed: max, got }
    } else if payload_truncated {
        // The kernel tells the whole length to who has asked for it.
        Error::MessageTruncated { length: (len > room).then_some(len), room }
    } else if len == 0 && got == 0 && is_the_end(socket, credentials).map_err(Error::from_errno)? {
        Error::EndOfFile
    } else {
        return Ok(Received { len, fds, credentials, pidfd });
    };
    discard(fds);
    Err(error)
}
