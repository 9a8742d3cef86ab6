//! Receiving a payload and judging the descriptors that came with it.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::libc::{self, c_int};

use crate::{
    Error, MAX_FDS,
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
/// - [`Error::EndOfFile`]: the peer of a stream or seqpacket socket is gone. On a seqpacket socket an
///   empty message looks the same.
/// - [`Error::Surplus`]: more than `max` descriptors were sent. [`Error::Truncated`]: fewer than
///   that could be taken. [`Error::MessageTruncated`]: a message longer than `buf`. The bytes that
///   came are in `buf` and used up, all descriptors are closed.
/// - [`Error::Io`] for everything else.
pub fn recv_fds(socket: impl AsFd, buf: &mut [u8], max: usize) -> Result<Received, Error> {
    recv(socket.as_fd(), buf, max, 0)
}

/// The same as [`recv_fds`], and never waits, whatever the socket's `O_NONBLOCK` says.
///
/// # Errors
/// As [`recv_fds`]; [`Error::WouldBlock`] if nothing is there now.
pub fn try_recv_fds(socket: impl AsFd, buf: &mut [u8], max: usize) -> Result<Received, Error> {
    recv(socket.as_fd(), buf, max, libc::MSG_DONTWAIT)
}

fn recv(socket: BorrowedFd<'_>, buf: &mut [u8], max: usize, flags: c_int) -> Result<Received, Error> {
    if buf.is_empty() {
        return Err(Error::EmptyBuffer);
    }
    if max > MAX_FDS {
        return Err(Error::TooManyFds { requested: max });
    }
    let delivery = control::receive(socket, buf, flags).map_err(Error::from_errno)?;
    judge(socket, delivery, buf.len(), max)
}

/// With an error, every descriptor of the delivery is closed.
fn judge(socket: BorrowedFd<'_>, delivery: Delivery, room: usize, max: usize) -> Result<Received, Error> {
    let Delivery { len, fds, pidfd, control_truncated, payload_truncated } = delivery;
    let got = fds.len();
    let error = if got > max {
        Error::Surplus { allowed: max, got }
    } else if control_truncated && got == max {
        // At least one more was dropped.
        Error::Surplus { allowed: max, got: got + 1 }
    } else if control_truncated {
        Error::Truncated { allowed: max, got }
    } else if payload_truncated {
        Error::MessageTruncated { room }
    } else if len == 0
        && got == 0
        && control::option(socket, libc::SO_TYPE).map_err(Error::from_errno)? != libc::SOCK_DGRAM
    {
        Error::EndOfFile
    } else {
        return Ok(Received { len, fds, pidfd });
    };
    discard(fds);
    Err(error)
}
