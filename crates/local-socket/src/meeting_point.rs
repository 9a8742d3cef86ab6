//! A path at which one process of the same user, and nobody else, is waited for.

use std::{
    env, fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::DirBuilderExt,
    },
    path::{self, Path, PathBuf},
    process,
};

use rustix::{
    io::Errno,
    net::{Shutdown, SocketFlags, accept_with, bind, listen, shutdown},
    process::geteuid,
};

use crate::{
    Name,
    place::{Identity, identity, remove_made},
    random, runtime_directory, seqpacket,
};

/// A seqpacket socket that listens at a path.
#[derive(Debug)]
pub(crate) struct MeetingPoint {
    /// Nonblocking, so that the wait for who connects can end.
    pub(crate) socket: OwnedFd,
    pub(crate) place: Place,
}

/// Where it listens. The path is removed when this is dropped, if it is still its own, and with it the directory that was made for it.
#[derive(Debug)]
pub(crate) struct Place {
    path: PathBuf,
    made: Identity,
    directory: Option<PathBuf>,
    /// The process that made it: a forked child removes nothing.
    owner: u32,
}

impl MeetingPoint {
    /// In a new directory that nobody else may enter: in the user's runtime directory, or else where temporary files are.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = new_directory(&runtime_directory::find().unwrap_or_else(|_| env::temp_dir()))?;
        let mut point = Self::bind(&directory.join("socket")).inspect_err(|_| {
            let _ = fs::remove_dir(&directory);
        })?;
        point.place.directory = Some(directory);
        Ok(point)
    }

    /// At a path at which nothing lies.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let name = Name::path(path)?;
        // The child, or this process later, may have another working directory.
        let path = path::absolute(name.as_path().expect("a path was asked for"))?;
        let socket = seqpacket::socket(SocketFlags::NONBLOCK)?;
        bind(&socket, name.address()).map_err(|errno| name.in_error(errno.into()))?;
        let place = Place { made: identity(&path)?, path, directory: None, owner: process::id() };
        // Whoever comes before this is refused.
        listen(&socket, 1)?;
        Ok(Self { socket, place })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.place.path
    }
}

/// The next who has connected to a meeting point, if it is a process of this user: others are hung up on. `WouldBlock` when nobody has.
pub(crate) fn accept_own(socket: impl AsFd) -> Result<OwnedFd, fdpass::Error> {
    loop {
        match accept_with(&socket, SocketFlags::CLOEXEC) {
            Ok(peer) if fdpass::peer_credentials(&peer)?.uid == geteuid().as_raw() => {
                // What it might send would lie there, and nobody would read it.
                shutdown(&peer, Shutdown::Read).map_err(|errno| fdpass::Error::Io(errno.into()))?;
                return Ok(peer);
            }
            // It may have sent what would hold up the close.
            Ok(stranger) => fdpass::hang_up(&stranger),
            Err(Errno::INTR | Errno::CONNABORTED) => {}
            Err(Errno::AGAIN) => return Err(fdpass::Error::WouldBlock),
            Err(errno) => return Err(fdpass::Error::Io(errno.into())),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.owner != process::id() {
            return;
        }
        remove_made(&self.path, self.made);
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}

/// A directory of mode 0700 with a name that nobody can guess.
fn new_directory(parent: &Path) -> io::Result<PathBuf> {
    loop {
        let number = u64::from_ne_bytes(random::bytes()?);
        let directory = parent.join(format!("local-socket-{number:016x}"));
        match fs::DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result.map(|()| directory),
        }
    }
}
