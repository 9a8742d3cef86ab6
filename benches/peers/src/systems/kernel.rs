//! What the kernel has of its own, between two processes: stream sockets, packet sockets and pipes.
//!
//! Descriptors are nonblocking if the ends are to spin.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::{
    fcntl::{FcntlArg, OFlag, fcntl},
    sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt::SndBuf},
    unistd::pipe2,
};

use super::streams::{self, In, Out};
use crate::system::{Abilities, BetweenProcesses, Receiver, Sender, Shape, Side, System, Waiting, Words};

const ABILITIES: Abilities =
    Abilities { blocks: true, batches: true, lends: false, notices_death: true, largest: 1 << 30 };

pub struct StreamSocket;

impl System for StreamSocket {
    const NAME: &'static str = "stream socket";
    const ABILITIES: Abilities = ABILITIES;
}

impl BetweenProcesses for StreamSocket {
    fn open<const N: usize>(_: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        socket_ends(stream.into(), shape)
    }
}

pub struct PacketSocket;

impl System for PacketSocket {
    const NAME: &'static str = "packet socket";
    /// A packet must fit in the socket's buffer as a whole.
    const ABILITIES: Abilities = Abilities { largest: 64 << 10, ..ABILITIES };
}

impl BetweenProcesses for PacketSocket {
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let [socket] = shared(side, &stream, || {
            let kind = (AddressFamily::Unix, SockType::SeqPacket, SockFlag::SOCK_CLOEXEC);
            let (here, there) = socketpair(kind.0, kind.1, None, kind.2).expect("two sockets");
            [(here, there)]
        });
        socket_ends(socket, shape)
    }
}

pub struct Pipes;

impl System for Pipes {
    const NAME: &'static str = "pipes";
    const ABILITIES: Abilities = ABILITIES;
}

impl BetweenProcesses for Pipes {
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let [out, back] = shared(side, &stream, || {
            let ((there_in, here_out), (here_in, there_out)) = (pipe(), pipe());
            [(here_out, there_out), (here_in, there_in)]
        });
        // A pipe that cannot be so large stays as it is.
        let _ = fcntl(&out, FcntlArg::F_SETPIPE_SZ((shape.capacity * size_of::<Words<N>>()) as i32));
        ends(out, back, shape)
    }
}

fn pipe() -> (OwnedFd, OwnedFd) {
    pipe2(OFlag::O_CLOEXEC).expect("a pipe")
}

/// Descriptors that the near end makes: it keeps the first of each pair, and the far end is sent the second.
fn shared<const D: usize>(
    side: Side,
    stream: &UnixStream,
    make: impl FnOnce() -> [(OwnedFd, OwnedFd); D],
) -> [OwnedFd; D] {
    match side {
        Side::Near => make().map(|(here, there)| {
            fdpass::send_fds(stream, b"end", &[there.as_fd()]).expect("a socket");
            here
        }),
        Side::Far => [(); D].map(|()| {
            let mut payload = [0; 3];
            fdpass::recv_fds(stream, &mut payload, 1).expect("a descriptor").fds.remove(0)
        }),
    }
}

/// Both ends on one socket, whose buffer is as large as the ring that others are given.
fn socket_ends<const N: usize>(socket: OwnedFd, shape: Shape) -> (Out<File>, In<File, N>) {
    setsockopt(&socket, SndBuf, &(shape.capacity * size_of::<Words<N>>())).expect("a size");
    let copy = socket.try_clone().expect("a descriptor");
    ends(socket, copy, shape)
}

/// `out` may be `back` once more.
fn ends<const N: usize>(out: OwnedFd, back: OwnedFd, shape: Shape) -> (Out<File>, In<File, N>) {
    if shape.waiting == Waiting::Spin {
        for descriptor in [&out, &back] {
            fcntl(descriptor, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
        }
    }
    streams::ends(File::from(out), File::from(back))
}
