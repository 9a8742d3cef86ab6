//! Messages over a seqpacket pair, each with a descriptor or without one.

use std::{
    fs::File,
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    cmsg_space,
    io::retry_on_intr,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
    },
};

use crate::{
    contents::{fill, number},
    exchange::{self, Exchange},
    plan::{Load, Messages, Plan},
};

/// Runs a plan between this process and another one. Nanoseconds.
pub fn run(system: Messages, load: Load, plan: Plan) -> io::Result<f64> {
    match system {
        Messages::Ours => between(plan, load, local_socket::Socket::pair().map_err(io::Error::other)?),
        Messages::Bare => {
            let flags = SocketFlags::CLOEXEC;
            between(plan, load, socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?)
        }
    }
}

fn between<S: Packets>(plan: Plan, load: Load, (near, far): (S, S)) -> io::Result<f64> {
    exchange::run(plan, End::new(near, load, plan.bytes)?, End::new(far, load, plan.bytes)?)
}

/// One end of a pair.
trait Packets {
    fn send(&self, message: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()>;

    /// Takes a message and the descriptors that come with it, which are closed. Their numbers.
    fn receive(&self, buffer: &mut [u8], load: Load) -> io::Result<(usize, usize)>;
}

impl Packets for local_socket::Socket {
    #[inline]
    fn send(&self, message: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()> {
        self.send_slice(message, passed).map_err(io::Error::other)
    }

    #[inline]
    fn receive(&self, buffer: &mut [u8], load: Load) -> io::Result<(usize, usize)> {
        match load {
            Load::Nothing => self.recv_slice::<[OwnedFd; 0]>(buffer).map(|(bytes, passed)| (bytes, passed.len())),
            Load::Descriptor => self.recv_slice::<[OwnedFd; 1]>(buffer).map(|(bytes, passed)| (bytes, passed.len())),
        }
        .map_err(io::Error::other)
    }
}

/// The least that is right: a try for each interruption, room for one descriptor, and no message that was cut.
impl Packets for OwnedFd {
    #[inline]
    fn send(&self, message: &[u8], passed: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !passed.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(passed)), "more than one descriptor");
        }
        let sent = retry_on_intr(|| sendmsg(self, &[IoSlice::new(message)], &mut control, SendFlags::NOSIGNAL))?;
        assert_eq!(sent, message.len(), "half a message sent");
        Ok(())
    }

    #[inline]
    fn receive(&self, buffer: &mut [u8], _: Load) -> io::Result<(usize, usize)> {
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = retry_on_intr(|| recvmsg(self, &mut [IoSliceMut::new(buffer)], &mut control, flags))?;
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::Error::other("a message was cut"));
        }
        let mut passed = 0;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(descriptors) = message {
                passed += descriptors.count();
            }
        }
        Ok((received.bytes, passed))
    }
}

struct End<S> {
    socket: S,
    load: Load,
    passed: Option<File>,
    message: Vec<u8>,
    buffer: Vec<u8>,
}

impl<S> End<S> {
    fn new(socket: S, load: Load, bytes: usize) -> io::Result<Self> {
        let passed = match load {
            Load::Nothing => None,
            Load::Descriptor => Some(File::open("/dev/null")?),
        };
        Ok(Self { socket, load, passed, message: vec![0; bytes], buffer: vec![0; bytes] })
    }
}

impl<S: Packets> Exchange for End<S> {
    #[inline]
    fn send(&mut self, number: u64) -> io::Result<()> {
        fill(&mut self.message, number);
        self.socket.send(&self.message, self.passed.as_ref().map(AsFd::as_fd).as_slice())
    }

    #[inline]
    fn receive(&mut self) -> io::Result<u64> {
        let (bytes, passed) = self.socket.receive(&mut self.buffer, self.load)?;
        assert_eq!(passed, usize::from(self.passed.is_some()), "other descriptors");
        Ok(number(&self.buffer[..bytes], self.message.len()))
    }
}
