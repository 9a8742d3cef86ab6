//! Messages of a channel made byte by byte, as their description says, and descriptors of all kinds.

use std::{
    fs::File,
    io::{IoSlice, PipeReader, Read, Write},
    net::{TcpListener, TcpStream},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use fdpass::{Received, send_message, try_recv_message};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create},
    net::{AddressFamily, SocketFlags, SocketType, socketpair, sockopt::set_socket_linger},
};

pub(crate) const IN_MEMORY: u16 = 1;
pub(crate) const AHEAD: u16 = 2;
pub(crate) const CAME_AHEAD: u16 = 3;
/// The longest payload in a message itself.
pub(crate) const INLINE: usize = 192 * 1024 - 16;

pub(crate) fn header(kind: u16, fds: u16, length: u64) -> Vec<u8> {
    [b"lsc\x01".as_slice(), &kind.to_le_bytes(), &fds.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// A whole message, if it is short enough.
pub(crate) fn message(fds: u16, payload: &[u8]) -> Vec<u8> {
    [&header(0, fds, payload.len() as u64), payload].concat()
}

/// Half of a message: what says under this ticket that a payload comes ahead, or that one came.
pub(crate) fn half(kind: u16, fds: u16, length: u64, ticket: u64) -> Vec<u8> {
    [header(kind, fds, length), ticket.to_le_bytes().to_vec()].concat()
}

pub(crate) fn seqpacket_pair() -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap()
}

/// Sends a message through a bare socket, and closes the descriptors here.
pub(crate) fn send(socket: impl AsFd, bytes: &[u8], fds: Vec<OwnedFd>) {
    send_message(socket, &[IoSlice::new(bytes)], &borrowed(&fds)).unwrap();
}

/// The next message as it lies there, of at most 256 KiB.
pub(crate) fn receive(socket: impl AsFd) -> (Vec<u8>, Vec<OwnedFd>) {
    let mut bytes = vec![0; 256 << 10];
    let received = try_recv_message(socket, &mut [std::io::IoSliceMut::new(&mut bytes)], fdpass::MAX_FDS);
    let Received { len, fds, .. } = received.unwrap();
    bytes.truncate(len);
    (bytes, fds)
}

pub(crate) const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

pub(crate) fn memory(content: &[u8], seals: SealFlags) -> OwnedFd {
    let mut file = File::from(memfd_create(c"test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap());
    file.write_all(content).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file.into()
}

pub(crate) fn sealed(content: &[u8]) -> OwnedFd {
    memory(content, SEALS)
}

/// Different files, so many.
pub(crate) fn files(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| memfd_create(c"one of many", MemfdFlags::CLOEXEC).unwrap()).collect()
}

pub(crate) fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Which files these are.
pub(crate) fn identities<F: AsFd>(fds: &[F]) -> Vec<(u64, u64)> {
    fds.iter().map(|fd| fstat(fd).unwrap()).map(|stat| (stat.st_dev, stat.st_ino)).collect()
}

/// A descriptor to send, and what tells whether any copy of it is open anywhere.
pub(crate) fn traced() -> (OwnedFd, Traced) {
    let (reader, writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&reader, true).unwrap();
    (writer.into(), Traced(reader))
}

pub(crate) struct Traced(PipeReader);

impl Traced {
    pub(crate) fn is_open(&self) -> bool {
        match (&self.0).read(&mut [0]) {
            Ok(0) => false,
            Ok(_) => panic!("nobody writes into it"),
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock || panic!("{error}"),
        }
    }
}

/// How long a lingering socket holds whoever closes it last: longer than the watchdog waits.
const HELD: Duration = Duration::from_secs(60);

/// A socket that holds whoever closes it last inside close(2), as long as the other one lives: its data is never acknowledged.
pub(crate) fn lingering() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (reader, _) = listener.accept().unwrap();
    set_socket_linger(&socket, Some(HELD)).unwrap();
    socket.set_nonblocking(true).unwrap();
    while socket.write(&[0; 1 << 16]).is_ok() {}
    (socket.into(), reader)
}
