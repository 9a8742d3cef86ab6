//! Descriptors that come from elsewhere.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use rustix::{
    io::{Errno, FdFlags, fcntl_setfd, ioctl_fionbio},
    net::{
        AddressFamily, SocketType,
        sockopt::{socket_acceptconn, socket_domain, socket_type},
    },
};

/// A descriptor that is sure to be a Unix stream socket that listens: `SO_DOMAIN`, `SO_TYPE`, `SO_ACCEPTCONN` in socket(7). It is
/// nonblocking and close-on-exec from here on.
pub(crate) fn listening(fd: OwnedFd) -> io::Result<UnixListener> {
    let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    match socket_domain(&fd) {
        Ok(AddressFamily::UNIX) => {}
        Ok(_) => return invalid("the descriptor is a socket of another family than Unix"),
        Err(Errno::NOTSOCK) => return invalid("the descriptor is not a socket"),
        Err(errno) => return Err(errno.into()),
    }
    if socket_type(&fd)? != SocketType::STREAM {
        return invalid("the descriptor is a Unix socket of another type than stream");
    }
    if !socket_acceptconn(&fd)? {
        return invalid("the descriptor is a socket that does not listen");
    }
    fcntl_setfd(&fd, FdFlags::CLOEXEC)?;
    ioctl_fionbio(&fd, true)?;
    Ok(fd.into())
}
