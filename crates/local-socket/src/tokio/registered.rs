//! A descriptor that the runtime watches.
#![allow(unsafe_code, reason = "the runtime is promised that the descriptor stays open")]

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use ::tokio::{
    io::{Interest, unix::AsyncFd},
    runtime::Handle as Runtime,
};

use crate::Error;

/// A seqpacket socket in the runtime's hands. No call on it waits in the kernel, whatever its `O_NONBLOCK` says.
#[derive(Debug)]
pub(crate) struct Registered(AsyncFd<OwnedFd>);

impl Registered {
    pub(super) fn new(fd: OwnedFd) -> io::Result<Self> {
        Runtime::try_current().map_err(io::Error::other)?;
        // SAFETY: an `OwnedFd` is open and stays the same as long as it lives, and it lives in there.
        Ok(Self(unsafe { AsyncFd::register(fd) }?))
    }

    /// Makes a call that does not wait each time the socket is ready, until it is one that need not wait.
    pub(super) async fn when<T>(
        &self,
        interest: Interest,
        mut call: impl FnMut() -> Result<T, fdpass::Error>,
    ) -> Result<T, Error> {
        // Only `WouldBlock` may come out as an error: it makes the runtime wait for the next event.
        let outcome = self.0.async_io(interest, |_| match call() {
            Err(fdpass::Error::WouldBlock) => Err(io::ErrorKind::WouldBlock.into()),
            result => Ok(result),
        });
        Ok(outcome.await??)
    }
}

impl From<Registered> for OwnedFd {
    fn from(registered: Registered) -> Self {
        registered.0.into_inner()
    }
}

impl AsFd for Registered {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
