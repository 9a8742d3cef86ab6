//! Seqpacket sockets, as both [`Socket`](crate::Socket) and the channels use them: what the kernel's answers mean.

use std::{
    io::{self, IoSlice, IoSliceMut},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use fdpass::{Received, recv_message, try_recv_message};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SocketFlags, SocketType, connect, recv, socket_with, socketpair,
        sockopt::socket_send_buffer_size,
    },
};

use crate::{Error, Name, attached::Attached, room, timeout::MayWait, wait::uninterrupted};

/// What the kernel keeps for itself of a send buffer, `unix_dgram_sendmsg` in Linux.
const OVERHEAD: usize = 32;

/// Two connected sockets, close-on-exec.
pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

/// A socket that is not connected yet, close-on-exec.
pub(crate) fn socket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC | flags, None)?)
}

/// Connects to whoever listens at this path.
pub(crate) fn connect_to(path: &Path) -> io::Result<OwnedFd> {
    let socket = socket(SocketFlags::empty())?;
    let name = Name::path(path)?;
    uninterrupted(|| connect(&socket, name.address())).map_err(|errno| name.in_error(errno.into()))?;
    Ok(socket)
}

/// Receives one message.
pub(crate) fn receive(
    socket: impl AsFd,
    parts: &mut [IoSliceMut<'_>],
    max: usize,
    may_wait: MayWait,
) -> Result<Received, fdpass::Error> {
    past_reset(|| match may_wait {
        MayWait::Yes => recv_message(&socket, parts, max),
        MayWait::No => try_recv_message(&socket, parts, max),
    })
}

/// Room for every message that a socket takes if nobody has given it more than it has by default.
const USUAL: usize = 256 * 1024;

/// Receives one message whatever its length, and at most `max` descriptors.
///
/// The length is asked for first, and others may receive that message meanwhile: so there is room for any usual one.
pub(crate) fn receive_whole(
    socket: impl AsFd,
    max: usize,
    may_wait: MayWait,
) -> Result<(Vec<u8>, Received), fdpass::Error> {
    let length = next_length(&socket, may_wait)?;
    room::with(length.max(USUAL), |room| {
        let received = receive(&socket, &mut [IoSliceMut::new(room)], max, may_wait)?;
        Ok((room[..received.len].to_vec(), received))
    })
}

/// Makes a receiving call that may be told once that the peer was gone before it had received everything, though there are messages to
/// receive: the next call finds them, or the end.
fn past_reset<T>(mut call: impl FnMut() -> Result<T, fdpass::Error>) -> Result<T, fdpass::Error> {
    loop {
        match call() {
            Err(fdpass::Error::Io(error)) if error.kind() == io::ErrorKind::ConnectionReset => {}
            result => return result,
        }
    }
}

/// The length of the next message, which stays where it is. 0 also at the end.
fn next_length(socket: impl AsFd, may_wait: MayWait) -> Result<usize, fdpass::Error> {
    let wait = if may_wait == MayWait::Yes { RecvFlags::empty() } else { RecvFlags::DONTWAIT };
    let flags = RecvFlags::PEEK | RecvFlags::TRUNC | wait;
    past_reset(|| match uninterrupted(|| recv(&socket, &mut [0_u8; 0], flags)) {
        Err(Errno::AGAIN) => Err(fdpass::Error::WouldBlock),
        result => result.map(|(_, length)| length).map_err(|errno| fdpass::Error::Io(errno.into())),
    })
}

/// What came beside the bytes, as it was asked for.
pub(crate) fn attached<A: Attached>(received: Received) -> Result<(usize, A), Error> {
    Ok((received.len, A::take(received.fds, received.credentials)?))
}

/// A failure to send, in the words of this crate: there are two in which the kernel says that nobody will receive.
pub(crate) fn closed(error: Error) -> Error {
    match &error {
        Error::Io(inner) if matches!(Errno::from_io_error(inner), Some(Errno::PIPE | Errno::CONNRESET)) => {
            Error::Closed
        }
        _ => error,
    }
}

/// The same, for messages that may be too long.
pub(crate) fn closed_or_too_long(error: Error, socket: impl AsFd, pieces: &[IoSlice<'_>]) -> Error {
    match closed(error) {
        Error::Io(error) if Errno::from_io_error(&error) == Some(Errno::MSGSIZE) => {
            let length = pieces.iter().map(|piece| piece.len()).sum();
            let room = socket_send_buffer_size(socket).unwrap_or(0).saturating_sub(OVERHEAD);
            // More pieces than a call takes are no matter of length.
            if length > room { Error::TooLong { length, room } } else { Error::Io(error) }
        }
        error => error,
    }
}
