//! Ways of passing a descriptor on.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
};
use sendfd::{RecvWithFd, SendWithFd};

use crate::measures::passing::Passing;

/// Ours.
pub struct Fdpass;

impl Passing for Fdpass {
    const NAME: &'static str = "fdpass";

    fn send(stream: &UnixStream, payload: &[u8], descriptor: BorrowedFd<'_>) {
        fdpass::send_fds(stream, payload, &[descriptor]).expect("sent");
    }

    fn receive(stream: &UnixStream, payload: &mut [u8]) -> OwnedFd {
        fdpass::recv_fds(stream, payload, 1).expect("received").fds.remove(0)
    }
}

/// `sendmsg` and `recvmsg`, as `nix` wraps them, with buffers that are made once.
pub struct Bare;

impl Passing for Bare {
    const NAME: &'static str = "bare sendmsg";

    fn send(stream: &UnixStream, payload: &[u8], descriptor: BorrowedFd<'_>) {
        let descriptors = [descriptor.as_raw_fd()];
        let control = [ControlMessage::ScmRights(&descriptors)];
        let payload = [IoSlice::new(payload)];
        sendmsg::<()>(stream.as_raw_fd(), &payload, &control, MsgFlags::MSG_NOSIGNAL, None).expect("sent");
    }

    fn receive(stream: &UnixStream, payload: &mut [u8]) -> OwnedFd {
        let mut space = nix::cmsg_space!([i32; 1]);
        let mut payload = [IoSliceMut::new(payload)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(stream.as_raw_fd(), &mut payload, Some(&mut space), flags).expect("received");
        let message = received.cmsgs().expect("not truncated").next();
        let Some(ControlMessageOwned::ScmRights(descriptors)) = message else { panic!("no descriptor") };
        // SAFETY: the kernel has just made it for whoever receives it, which is nobody but this.
        unsafe { OwnedFd::from_raw_fd(descriptors[0]) }
    }
}

pub struct Rustix;

impl Passing for Rustix {
    const NAME: &'static str = "rustix";

    fn send(stream: &UnixStream, payload: &[u8], descriptor: BorrowedFd<'_>) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let descriptors = [descriptor];
        assert!(control.push(SendAncillaryMessage::ScmRights(&descriptors)));
        let payload = [IoSlice::new(payload)];
        rustix::net::sendmsg(stream, &payload, &mut control, SendFlags::NOSIGNAL).expect("sent");
    }

    fn receive(stream: &UnixStream, payload: &mut [u8]) -> OwnedFd {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut payload = [IoSliceMut::new(payload)];
        rustix::net::recvmsg(stream, &mut payload, &mut control, RecvFlags::CMSG_CLOEXEC).expect("received");
        let Some(RecvAncillaryMessage::ScmRights(mut descriptors)) = control.drain().next() else {
            panic!("no descriptor")
        };
        descriptors.next().expect("one descriptor")
    }
}

pub struct Sendfd;

impl Passing for Sendfd {
    const NAME: &'static str = "sendfd";

    fn send(stream: &UnixStream, payload: &[u8], descriptor: BorrowedFd<'_>) {
        stream.send_with_fd(payload, &[descriptor.as_raw_fd()]).expect("sent");
    }

    fn receive(stream: &UnixStream, payload: &mut [u8]) -> OwnedFd {
        let mut descriptors = [-1];
        assert_eq!(stream.recv_with_fd(payload, &mut descriptors).expect("received").1, 1);
        // SAFETY: the kernel has just made it for whoever receives it, which is nobody but this.
        unsafe { OwnedFd::from_raw_fd(descriptors[0]) }
    }
}
