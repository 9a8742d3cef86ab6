//! Descriptors from elsewhere, and sockets for other programs.
#![allow(unsafe_code, reason = "an inherited descriptor is a number that nobody else owns")]

use std::{
    fs::File,
    io::ErrorKind,
    net::TcpListener,
    os::{
        fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
};

use local_socket::Socket;
use rustix::{
    fs::{OFlags, fcntl_getfl, readlink},
    io::{FdFlags, fcntl_getfd},
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, socketpair},
};

use crate::{
    files::identities,
    rig::{Directory, Peer, Watchdog, descriptors, unique},
};

#[test]
fn what_is_no_connected_seqpacket_socket_is_refused_and_closed() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let before = descriptors();
    let socket = |kind| socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None).unwrap();
    let seqpacket_that_listens = || {
        let listening = socket(SocketType::SEQPACKET);
        let address = SocketAddrUnix::new_abstract_name(unique().as_bytes()).unwrap();
        bind(&listening, &address).unwrap();
        listen(&listening, 1).unwrap();
        listening
    };
    let refused: [(&str, OwnedFd); 7] = [
        ("stream", UnixStream::pair().unwrap().0.into()),
        ("datagram", UnixDatagram::pair().unwrap().0.into()),
        ("stream that listens", UnixListener::bind(directory.path("socket")).unwrap().into()),
        ("seqpacket that listens", seqpacket_that_listens()),
        ("inet", TcpListener::bind("127.0.0.1:0").unwrap().into()),
        ("file", File::open("/dev/null").unwrap().into()),
        ("pipe", std::io::pipe().unwrap().0.into()),
    ];
    for (what, fd) in refused {
        let error = Socket::try_from(fd).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{what}: {error}");
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn a_seqpacket_socket_is_taken_made_close_on_exec_and_given_back() {
    let _watchdog = Watchdog::new();
    let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::empty(), None).unwrap();
    let (number, which) = (one.as_raw_fd(), identities(&[&one, &other]));
    let here = Socket::try_from(one).unwrap();
    let there = Socket::try_from(other).unwrap();
    assert_eq!((here.as_raw_fd(), here.as_fd().as_raw_fd()), (number, number));
    assert_eq!(identities(&[&here, &there]), which);
    let (new, newer) = Socket::new_socketpair().unwrap();
    for socket in [&here, &there, &new, &newer, &here.try_clone().unwrap()] {
        assert!(fcntl_getfd(socket).unwrap().contains(FdFlags::CLOEXEC));
    }
    let fd = OwnedFd::from(here);
    assert_eq!(fd.as_raw_fd(), number);
    Socket::try_from(fd).unwrap().send_slice(b"as before", &[]).unwrap();
    assert_eq!(there.recv_vec::<[_; 0]>(64).unwrap().0, b"as before");
    new.set_nonblocking(true).unwrap();
    assert!(fcntl_getfl(new.try_clone().unwrap()).unwrap().contains(OFlags::NONBLOCK));
}

fn which(number: &str) -> Option<Vec<u8>> {
    readlink(format!("/proc/self/fd/{number}"), Vec::new()).ok().map(std::ffi::CString::into_bytes)
}

/// In a program of its own: the one number is the socket, the other nothing that the program started with.
pub(crate) fn inherits(kept: &str, other: &str) {
    assert!(which(kept).unwrap().starts_with(b"socket:"));
    // SAFETY: nobody else has used the number in this process.
    let socket = unsafe { OwnedFd::from_raw_fd(kept.parse().unwrap()) };
    Socket::try_from(socket).unwrap().send_slice(&which(other).unwrap_or_default(), &[]).unwrap();
}

#[test]
fn a_program_inherits_the_socket_that_is_kept_and_no_other() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    // What comes may be empty.
    here.set_pass_credentials(true).unwrap();
    let (other, _more) = Socket::pair().unwrap();
    there.keep_on_exec().unwrap();
    let numbers = [there.as_raw_fd(), other.as_raw_fd()].map(|number| number.to_string());
    Peer::start("inherits", &[&numbers[0], &numbers[1]]).succeeds();
    drop(there);
    // What the number of the other is there, if it is anything.
    let theirs = here.recv_vec::<[_; 0]>(64).unwrap().0;
    assert_ne!(Some(theirs), which(&numbers[1]));
    here.recv_vec::<[_; 0]>(64).unwrap_err();
}
