//! Waiting for clients.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use ::tokio::net::UnixListener;

use super::Stream;
use crate::ListenerOptions;

/// Waits for clients under a name: made by [`ListenerOptions::create_tokio`].
///
/// What [`crate::Listener`] says about names, clients that were not accepted, and sockets from a supervisor holds here too.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    /// The same socket, with what is to be done about its name in the end.
    listener: crate::Listener,
}

impl ListenerOptions {
    /// Listens as [`create_sync`](Self::create_sync) does. What is said about nonblocking makes no difference here.
    ///
    /// This is quick, but blocks the thread while another server replaces a socket in the same directory, for at most
    /// [`max_spin_time`](Self::max_spin_time).
    ///
    /// # Errors
    ///
    /// As [`create_sync`](Self::create_sync).
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O.
    pub fn create_tokio(&self) -> io::Result<Listener> {
        self.create_sync()?.try_into()
    }
}

impl Listener {
    /// Waits for the next client. A client that was gone again before is one too: its stream tells. Several tasks can wait at once.
    ///
    /// # Errors
    ///
    /// See accept(2); at the limit of descriptors (`EMFILE`) the client stays and the next call can accept it.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, no client has been accepted.
    pub async fn accept(&self) -> io::Result<Stream> {
        loop {
            match self.socket.accept().await {
                Err(error) if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted) => {
                }
                result => return result.map(|(socket, _)| socket.into()),
            }
        }
    }

    /// Leaves the path where it is when the listener is dropped, and the socket as it is for whoever has a copy of it.
    pub fn do_not_reclaim_name_on_drop(&mut self) {
        self.listener.do_not_reclaim_name_on_drop();
    }
}

impl TryFrom<crate::Listener> for Listener {
    type Error = io::Error;

    /// # Errors
    ///
    /// When the process has no descriptor left; see epoll_ctl(2). The listener is dropped then.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O.
    fn try_from(listener: crate::Listener) -> io::Result<Self> {
        let socket = listener.as_fd().try_clone_to_owned()?;
        Ok(Self { socket: UnixListener::from_std(socket.into())?, listener })
    }
}

impl TryFrom<OwnedFd> for Listener {
    type Error = io::Error;

    /// Takes a socket that listens already, from a supervisor for example: see [`crate::Listener`].
    ///
    /// # Errors
    ///
    /// `InvalidInput` for what is not a Unix stream socket that listens. The descriptor is closed then.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O.
    fn try_from(fd: OwnedFd) -> io::Result<Self> {
        crate::Listener::try_from(fd)?.try_into()
    }
}

/// As it was made by [`ListenerOptions`], what is said about nonblocking too.
impl From<Listener> for crate::Listener {
    fn from(listener: Listener) -> Self {
        listener.listener
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
