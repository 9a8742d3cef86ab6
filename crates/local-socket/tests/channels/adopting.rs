//! Descriptors from elsewhere that are to become ends of channels.

use std::{
    fs::File,
    io::ErrorKind,
    net::{TcpListener, UdpSocket},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixStream},
    },
};

use local_socket::{RawReceiver, RawSender};
use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket},
};

use crate::{
    by_hand::{lingering, seqpacket_pair, traced},
    rig::{Watchdog, descriptors, unique},
};

fn listening() -> OwnedFd {
    let socket = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
    bind(&socket, &SocketAddrUnix::new_abstract_name(unique().as_bytes()).unwrap()).unwrap();
    listen(&socket, 1).unwrap();
    socket
}

#[test]
fn what_is_no_end_of_a_channel_is_refused_with_the_reason_and_closed_at_once() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for sending in [true, false] {
        let (pipe, trace) = traced();
        let (slow, reader) = lingering();
        let things: [(&str, OwnedFd); 8] = [
            ("not a socket", File::open("/dev/null").unwrap().into()),
            ("not a socket", pipe),
            ("a socket of another family than Unix", TcpListener::bind(("127.0.0.1", 0)).unwrap().into()),
            ("a socket of another family than Unix", UdpSocket::bind(("127.0.0.1", 0)).unwrap().into()),
            ("a socket of another family than Unix", slow),
            ("a Unix socket of another type than seqpacket", UnixStream::pair().unwrap().0.into()),
            ("a Unix socket of another type than seqpacket", UnixDatagram::unbound().unwrap().into()),
            ("a socket that listens", listening()),
        ];
        for (what, thing) in things {
            let adopted = if sending { RawSender::try_from(thing).err() } else { RawReceiver::try_from(thing).err() };
            let error = adopted.unwrap_or_else(|| panic!("{what} was taken"));
            assert_eq!(
                (error.kind(), error.to_string()),
                (ErrorKind::InvalidInput, format!("the descriptor is {what}"))
            );
        }
        assert!(!trace.is_open());
        drop((trace, reader));
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn an_end_from_elsewhere_is_close_on_exec_from_then_on() {
    let _watchdog = Watchdog::new();
    let (one, other) = seqpacket_pair();
    for fd in [&one, &other] {
        fcntl_setfd(fd, FdFlags::empty()).unwrap();
    }
    let (sender, receiver) = (RawSender::try_from(one).unwrap(), RawReceiver::try_from(other).unwrap());
    assert!(fcntl_getfd(&sender).unwrap().contains(FdFlags::CLOEXEC));
    assert!(fcntl_getfd(&receiver).unwrap().contains(FdFlags::CLOEXEC));
}
