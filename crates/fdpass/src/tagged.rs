//! One descriptor with a tag that says what it is.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    libc,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{Error, Received, control, recv_fds, send_fds};

const MAX_TAG: usize = 255;

/// Sends one descriptor, and `tag` (1 to 255 bytes) as the payload that carries it.
///
/// The tag is on the wire as it is, without a length or an end mark; see unix(7) for how a
/// descriptor travels. The call returns when all of it has gone: it waits for room also on a
/// non-blocking socket, and a short write is followed by the rest.
///
/// # Errors
/// [`Error::BadTagLength`]; [`Error::WouldBlock`] if the `SO_SNDTIMEO` of a blocking socket ran out;
/// otherwise [`Error::Io`]. After these last two part of the tag may have gone, so a stream is of no
/// more use.
pub fn send_fd(socket: impl AsFd, fd: impl AsFd, tag: &[u8]) -> Result<(), Error> {
    let socket = socket.as_fd();
    let mut outgoing = Outgoing::new(fd.as_fd(), tag)?;
    while !outgoing.is_done() {
        match outgoing.step(|payload, fds| send_fds(socket, payload, fds)) {
            Err(Error::WouldBlock) => wait(socket, PollFlags::POLLOUT)?,
            result => result?,
        }
    }
    Ok(())
}

/// Receives one descriptor that was sent with exactly this `tag` (1 to 255 bytes).
///
/// Reads as many bytes as the tag has and never one more, so whatever follows on the stream stays
/// there. The call waits also on a non-blocking socket. A tag is refused at the first piece of it
/// that differs. The descriptor is close-on-exec.
///
/// # Errors
/// - [`Error::BadTagLength`]: nothing was received.
/// - [`Error::WrongTag`]: other bytes, or a message shorter than the tag.
///   [`Error::MessageTruncated`]: a datagram or seqpacket message longer than the tag.
/// - [`Error::Missing`], [`Error::Surplus`]: not one descriptor. [`Error::Truncated`]: it could not be taken.
/// - [`Error::EndOfFile`]: the peer closed before the tag was complete.
/// - [`Error::WouldBlock`]: the `SO_RCVTIMEO` of a blocking socket ran out. [`Error::Io`]: the rest.
///
/// After an error a stream may have stopped in the middle of a tag, and is of no more use.
pub fn recv_fd(socket: impl AsFd, tag: &[u8]) -> Result<OwnedFd, Error> {
    let socket = socket.as_fd();
    let mut incoming = Incoming::new(tag)?;
    while !incoming.is_done() {
        match incoming.step(socket, |buf, max| recv_fds(socket, buf, max)) {
            Err(Error::WouldBlock) => wait(socket, PollFlags::POLLIN)?,
            result => result?,
        }
    }
    incoming.finish()
}

fn check(tag: &[u8]) -> Result<(), Error> {
    match tag.len() {
        1..=MAX_TAG => Ok(()),
        length => Err(Error::BadTagLength { length }),
    }
}

/// Ends when the socket is ready, or broken: the next call on it then says how.
fn wait(socket: BorrowedFd<'_>, events: PollFlags) -> Result<(), Error> {
    let status = OFlag::from_bits_retain(fcntl(socket, FcntlArg::F_GETFL).map_err(Error::from_errno)?);
    if !status.contains(OFlag::O_NONBLOCK) {
        // The kernel has waited already, as long as the socket's time-out allows.
        return Err(Error::WouldBlock);
    }
    match poll(&mut [PollFd::new(socket, events)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::from_errno(errno)),
    }
}

/// A tag on its way out; the descriptor goes with the first byte.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    rest: &'a [u8],
    fd: Option<BorrowedFd<'a>>,
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(fd: BorrowedFd<'a>, tag: &'a [u8]) -> Result<Self, Error> {
        check(tag)?;
        Ok(Self { rest: tag, fd: Some(fd) })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// Sends what it can with one call of `send`.
    pub(crate) fn step(
        &mut self,
        send: impl FnOnce(&[u8], &[BorrowedFd<'_>]) -> Result<usize, Error>,
    ) -> Result<(), Error> {
        let sent = send(self.rest, self.fd.as_slice())?;
        self.rest = &self.rest[sent..];
        self.fd = None;
        Ok(())
    }
}

/// A tag on its way in, and the descriptor once it has come.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    rest: &'a [u8],
    fd: Option<OwnedFd>,
}

impl<'a> Incoming<'a> {
    pub(crate) fn new(tag: &'a [u8]) -> Result<Self, Error> {
        check(tag)?;
        Ok(Self { rest: tag, fd: None })
    }

    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes that are still to come.
    #[cfg(feature = "tokio")]
    pub(crate) fn missing(&self) -> usize {
        self.rest.len()
    }

    /// Receives what is there with one call of `recv`.
    pub(crate) fn step(
        &mut self,
        socket: BorrowedFd<'_>,
        recv: impl FnOnce(&mut [u8], usize) -> Result<Received, Error>,
    ) -> Result<(), Error> {
        let mut buf = [0; MAX_TAG];
        let buf = &mut buf[..self.rest.len()];
        let allowed = usize::from(self.fd.is_none());
        let Received { len, mut fds, .. } = match recv(buf, allowed) {
            Err(Error::Surplus { got, .. }) => {
                return Err(Error::Surplus { allowed: 1, got: got + 1 - allowed });
            }
            result => result?,
        };
        let (expected, rest) = self.rest.split_at(len);
        if buf[..len] != *expected {
            return Err(Error::WrongTag);
        }
        if !rest.is_empty() && control::option(socket, libc::SO_TYPE).map_err(Error::from_errno)? != libc::SOCK_STREAM {
            return Err(Error::WrongTag);
        }
        self.rest = rest;
        self.fd = self.fd.take().or(fds.pop());
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<OwnedFd, Error> {
        self.fd.ok_or(Error::Missing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_goes_with_the_first_part_of_a_short_write_only() {
        let file = std::fs::File::open("/dev/null").expect("/dev/null opens");
        let mut outgoing = Outgoing::new(file.as_fd(), b"tag").expect("a good tag");
        let mut calls = Vec::new();
        while !outgoing.is_done() {
            let sent = outgoing.step(|payload, fds| {
                calls.push((payload.to_vec(), fds.len()));
                Ok(1)
            });
            assert!(sent.is_ok());
        }
        let expected = [(&b"tag"[..], 1), (b"ag", 0), (b"g", 0)];
        assert_eq!(calls, expected.map(|(bytes, fds)| (bytes.to_vec(), fds)));
    }

    #[test]
    fn a_failed_write_keeps_the_descriptor_for_the_next() {
        let file = std::fs::File::open("/dev/null").expect("/dev/null opens");
        let mut outgoing = Outgoing::new(file.as_fd(), b"tag").expect("a good tag");
        let full = outgoing.step(|_, _| Err(Error::WouldBlock));
        assert!(matches!(full, Err(Error::WouldBlock)));
        let sent = outgoing.step(|payload, fds| {
            assert_eq!((payload, fds.len()), (&b"tag"[..], 1));
            Ok(3)
        });
        assert!(sent.is_ok() && outgoing.is_done());
    }
}
