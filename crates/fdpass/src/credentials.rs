//! Who is at the other end.

use std::{num::NonZero, os::fd::AsFd};

use nix::{
    errno::Errno,
    sys::socket::{getsockopt, setsockopt, sockopt},
};

use crate::{Error, control};

/// A process at the other end, as it was at a certain moment, after which it may have changed its user, passed the socket on, or ended.
///
/// Those of [`peer_credentials`] are of `connect`, `listen` or `socketpair`, those of a
/// [message](crate::Received::credentials) of the moment when it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Credentials {
    /// Its process id, `None` if it has none in this process's pid namespace.
    pub pid: Option<NonZero<i32>>,
    /// Its effective user id.
    pub uid: u32,
    /// Its effective group id.
    pub gid: u32,
}

/// Asks the kernel who made the other end of a connected socket: `SO_PEERCRED`, see unix(7).
///
/// A user or group that this process's user namespace does not map shows as the overflow id, 65534
/// if nobody changed it. On a socket without a peer the pid is `None` and both ids are `u32::MAX`.
///
/// # Errors
/// [`Error::Io`], for example for a descriptor that is no socket.
pub fn peer_credentials(socket: impl AsFd) -> Result<Credentials, Error> {
    let peer = getsockopt(&socket, sockopt::PeerCredentials).map_err(Error::from_errno)?;
    Ok(Credentials { pid: NonZero::new(peer.pid()), uid: peer.uid(), gid: peer.gid() })
}

/// Says whether messages received on this socket bring the credentials of their sender: `SO_PASSCRED`, see unix(7).
///
/// They arrive as [`Received::credentials`](crate::Received::credentials), and unlike [`peer_credentials`] they are those of the process
/// that sent the bytes; the kernel checks what a sender claims. With this on, the end of a seqpacket
/// socket is told from every empty message. A socket without an address that sends while this is on gets one in the abstract namespace.
///
/// # Errors
/// [`Error::Io`], for example for a descriptor that is no socket.
pub fn set_pass_credentials(socket: impl AsFd, on: bool) -> Result<(), Error> {
    setsockopt(&socket, sockopt::PassCred, &on).map_err(Error::from_errno)
}

/// Says whether messages received on this socket bring a pidfd of their sender: `SO_PASSPIDFD`,
/// Linux 6.5.
///
/// It arrives as [`Received::pidfd`](crate::Received::pidfd). Unlike [`peer_credentials`] it names the
/// process that sent the bytes. Messages that were sent before the option was on may come without.
/// Change it while no other thread or process receives on the socket: a receive in progress
/// has made its room before.
///
/// # Errors
/// [`Error::Unsupported`] on an older kernel, otherwise [`Error::Io`].
pub fn set_pass_pidfd(socket: impl AsFd, on: bool) -> Result<(), Error> {
    match control::set_option(socket.as_fd(), control::SO_PASSPIDFD, on.into()) {
        Err(Errno::ENOPROTOOPT) => Err(Error::Unsupported),
        result => result.map_err(Error::from_errno),
    }
}
