//! Descriptors in a `UnixStream` that are none.

use std::{
    fs::File,
    net::{TcpListener, TcpStream},
    os::{
        fd::OwnedFd,
        unix::net::{UnixDatagram, UnixListener, UnixStream},
    },
};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket, socketpair};

/// The stream of this name, and what keeps it as it is.
pub(crate) fn stream(kind: &str) -> (UnixStream, Vec<OwnedFd>) {
    match kind {
        "tcp" => {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (server, _) = listener.accept().unwrap();
            (OwnedFd::from(client).into(), vec![server.into(), listener.into()])
        }
        "listening" => {
            let path = std::env::temp_dir().join(format!("memenpsf-listening.{}", std::process::id()));
            let listener = UnixListener::bind(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            (OwnedFd::from(listener).into(), vec![])
        }
        "unconnected" => (socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap().into(), vec![]),
        "datagram" => {
            let (ours, theirs) = UnixDatagram::pair().unwrap();
            (OwnedFd::from(ours).into(), vec![theirs.into()])
        }
        "seqpacket" => {
            let (ours, theirs) =
                socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
            (ours.into(), vec![theirs])
        }
        "file" => (OwnedFd::from(File::open("/dev/null").unwrap()).into(), vec![]),
        "pipe" => {
            let (reader, writer) = std::io::pipe().unwrap();
            (OwnedFd::from(reader).into(), vec![writer.into()])
        }
        "abandoned" => {
            let (ours, _) = UnixStream::pair().unwrap();
            (ours, vec![])
        }
        _ => panic!("no stream {kind}"),
    }
}
