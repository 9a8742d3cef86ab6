//! Descriptors that come from elsewhere.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixListener},
};

use fdpass::discard;
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
    must_be_unix(&fd)?;
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

/// A descriptor that is sure to be a Unix seqpacket socket and no listening one. It is close-on-exec from here on.
///
/// Otherwise it is closed without waiting: a peer may have sent it.
pub(crate) fn seqpacket(fd: OwnedFd) -> io::Result<OwnedFd> {
    let judged = must_be_seqpacket(&fd).and_then(|()| Ok(fcntl_setfd(&fd, FdFlags::CLOEXEC)?));
    match judged {
        Ok(()) => Ok(fd),
        Err(error) => {
            discard([fd]);
            Err(error)
        }
    }
}

fn must_be_seqpacket(fd: &OwnedFd) -> io::Result<()> {
    must_be_unix(fd)?;
    if socket_type(fd)? != SocketType::SEQPACKET {
        return invalid("the descriptor is a Unix socket of another type than seqpacket");
    }
    if socket_acceptconn(fd)? {
        return invalid("the descriptor is a socket that listens");
    }
    Ok(())
}

fn must_be_unix(fd: &OwnedFd) -> io::Result<()> {
    match socket_domain(fd) {
        Ok(AddressFamily::UNIX) => Ok(()),
        Ok(_) => invalid("the descriptor is a socket of another family than Unix"),
        Err(Errno::NOTSOCK) => invalid("the descriptor is not a socket"),
        Err(errno) => Err(errno.into()),
    }
}

fn invalid<T>(why: &'static str) -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::InvalidInput, why))
}
