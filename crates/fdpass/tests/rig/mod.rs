//! What the tests stand on: socket pairs, descriptors that can be told apart, and a watchdog.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    reason = "each test file takes what it needs, and a failure here is a failed test"
)]

use std::{
    fs,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use nix::{
    sys::{
        memfd::{MFdFlags, memfd_create},
        socket::{AddressFamily, SockFlag, socketpair},
        stat::fstat,
    },
    unistd::alarm,
};

pub use nix::sys::socket::SockType;

pub const KINDS: [SockType; 3] = [SockType::Stream, SockType::SeqPacket, SockType::Datagram];

/// Ends the process by `SIGALRM` if the test is not done after half a minute.
#[must_use]
pub struct Watchdog(());

impl Watchdog {
    pub fn new() -> Self {
        alarm::set(30);
        Self(())
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        alarm::cancel();
    }
}

pub fn pair(kind: SockType) -> (OwnedFd, OwnedFd) {
    socketpair(AddressFamily::Unix, kind, None, SockFlag::SOCK_CLOEXEC).unwrap()
}

pub fn nonblocking_pair(kind: SockType) -> (OwnedFd, OwnedFd) {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socketpair(AddressFamily::Unix, kind, None, flags).unwrap()
}

/// Descriptors of as many different files.
pub fn files(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| memfd_create("fdpass", MFdFlags::MFD_CLOEXEC).unwrap()).collect()
}

pub fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Which file a descriptor stands for.
pub fn identity(fd: impl AsFd) -> (u64, u64) {
    let status = fstat(fd).unwrap();
    (status.st_dev, status.st_ino)
}

pub fn identities(fds: &[OwnedFd]) -> Vec<(u64, u64)> {
    fds.iter().map(identity).collect()
}

/// How many descriptors this process has open.
pub fn open_descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Sends until the socket takes no more, and returns how many bytes went.
pub fn fill(socket: impl AsFd) -> usize {
    let mut total = 0;
    for size in [4096, 1] {
        loop {
            match fdpass::try_send_fds(&socket, &vec![b'.'; size], &[]) {
                Ok(sent) => total += sent,
                Err(fdpass::Error::WouldBlock) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    total
}
