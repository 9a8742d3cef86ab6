//! Descriptors to send, and how they are known again.

use std::{
    io::{self, Read},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{MemfdFlags, fstat, memfd_create},
    io::{FdFlags, fcntl_getfd, ioctl_fionbio},
};

/// So many different files. Close-on-exec, which is no property of a file, is off: whoever receives them must set it.
pub(crate) fn files(number: usize) -> Vec<OwnedFd> {
    (0..number).map(|_| memfd_create("sent", MemfdFlags::empty()).unwrap()).collect()
}

pub(crate) fn borrowed(fds: &[OwnedFd]) -> Vec<BorrowedFd<'_>> {
    fds.iter().map(AsFd::as_fd).collect()
}

/// Which files these are.
pub(crate) fn identities(fds: &[impl AsFd]) -> Vec<(u64, u64)> {
    let identity = |fd: &_| fstat(fd).map(|stat| (stat.st_dev, stat.st_ino)).unwrap();
    fds.iter().map(identity).collect()
}

/// What was received is what was sent, in order, and no other program inherits it.
pub(crate) fn assert_same(received: &[OwnedFd], sent: &[impl AsFd]) {
    assert_eq!(identities(received), identities(sent));
    assert!(received.iter().all(|fd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
}

/// Sees whether all copies of a descriptor are closed, also those on their way.
pub(crate) struct Witness(io::PipeReader);

impl Witness {
    /// The descriptor goes into the message.
    pub(crate) fn new() -> (Self, OwnedFd) {
        let (reader, writer) = io::pipe().unwrap();
        ioctl_fionbio(&reader, true).unwrap();
        (Self(reader), writer.into())
    }

    pub(crate) fn all_closed(&mut self) -> bool {
        matches!(self.0.read(&mut [0]), Ok(0))
    }
}
