//! Listening sockets that come from a supervisor.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::TcpListener,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
};

use local_socket::{Listener, Stream};
use rustix::{
    io::{FdFlags, fcntl_getfd, fcntl_setfd},
    net::{AddressFamily, SocketType, socket},
};

use crate::rig::{Directory, Peer, Watchdog};

/// Serves one client on the socket that it was started with.
pub(crate) fn adopt() {
    let listener = Listener::try_from(std::io::stdin().as_fd().try_clone_to_owned().unwrap()).unwrap();
    listener.accept().unwrap().write_all(b"served").unwrap();
}

fn served(directory: &Directory) -> String {
    let mut text = String::new();
    Stream::connect(directory.name("socket")).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn a_server_leaves_its_supervisors_socket_and_clients_as_they_are() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let supervisor = UnixListener::bind(directory.path("socket")).unwrap();
    // One server after the other, each started for a client.
    for _ in 0..2 {
        let program = std::env::current_exe().unwrap();
        let socket = supervisor.try_clone().unwrap();
        let peer = Peer::start_with(&program, "adopt", &[], |command| {
            command.stdin(OwnedFd::from(socket));
        });
        assert_eq!(served(&directory), "served");
        peer.succeeds();
    }
    // The next client waits for the next server, while one goes.
    let listener = Listener::try_from(OwnedFd::from(supervisor.try_clone().unwrap())).unwrap();
    let mut client = Stream::connect(directory.name("socket")).unwrap();
    drop(listener);
    assert_eq!(directory.names(), ["socket"]);
    supervisor.set_nonblocking(false).unwrap();
    let (mut server, _) = supervisor.accept().unwrap();
    server.write_all(b"x").unwrap();
    client.read_exact(&mut [0]).unwrap();
}

#[test]
fn an_adopted_socket_is_not_inherited_any_further() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let socket = OwnedFd::from(UnixListener::bind(directory.path("socket")).unwrap());
    fcntl_setfd(&socket, FdFlags::empty()).unwrap();
    let listener = Listener::try_from(socket).unwrap();
    assert!(fcntl_getfd(&listener).unwrap().contains(FdFlags::CLOEXEC));
}

#[test]
fn what_does_not_listen_is_refused_with_a_reason() {
    let _watchdog = Watchdog::new();
    let unconnected = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    let cases: [(OwnedFd, &str); 6] = [
        (File::open("/dev/null").unwrap().into(), "the descriptor is not a socket"),
        (TcpListener::bind("127.0.0.1:0").unwrap().into(), "the descriptor is a socket of another family than Unix"),
        (UnixDatagram::unbound().unwrap().into(), "the descriptor is a Unix socket of another type than stream"),
        (
            socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap(),
            "the descriptor is a Unix socket of another type than stream",
        ),
        (UnixStream::pair().unwrap().0.into(), "the descriptor is a socket that does not listen"),
        (unconnected, "the descriptor is a socket that does not listen"),
    ];
    for (fd, why) in cases {
        let error = Listener::try_from(fd).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, why));
    }
}
