//! What a listener does about its name when it is dropped.

use std::{
    os::fd::BorrowedFd,
    path::{Path, PathBuf},
};

use rustix::net::{Shutdown, SocketFlags, accept_with, shutdown};

use crate::{
    directory::Directory,
    place::{Identity, remove_made},
};

/// A name that this process has taken.
#[derive(Debug)]
pub(crate) struct Hold {
    path: Option<(PathBuf, Identity)>,
    /// The process that took it: a forked child gives nothing back.
    owner: u32,
}

impl Hold {
    pub(crate) fn of_path(path: &Path, identity: Identity) -> Self {
        // The working directory may be another one by then.
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Self { path: Some((path, identity)), owner: std::process::id() }
    }

    /// The kernel looks after a name in the abstract namespace.
    pub(crate) fn of_socket() -> Self {
        Self { path: None, owner: std::process::id() }
    }

    /// Gives the name back, and ends the socket that listened under it.
    pub(crate) fn release(&self, listening: BorrowedFd<'_>) {
        if self.owner != std::process::id() {
            return;
        }
        if let Some((path, made)) = &self.path {
            // Without the lock too, also where no descriptor is left for it; the next one who binds copes with what stays.
            let _directory = Directory::of_patiently(path);
            remove_made(path, *made);
        }
        hang_up(listening);
    }
}

/// Who was not accepted may have sent what would hold up the close.
fn hang_up(listening: BorrowedFd<'_>) {
    if shutdown(listening, Shutdown::Both).is_err() {
        // Waiting for clients would not end.
        return;
    }
    while let Ok(client) = accept_with(listening, SocketFlags::CLOEXEC) {
        fdpass::hang_up(&client);
    }
}

#[cfg(test)]
mod tests {
    use std::os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    };

    use super::*;
    use crate::place::identity;

    #[test]
    fn another_process_than_the_one_that_took_a_name_gives_nothing_back() {
        let path = std::env::temp_dir().join(format!("local-socket-hold.{}", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a free path");
        let made = identity(&path).expect("a socket");
        let of_parent = Hold { path: Some((path.clone(), made)), owner: std::process::id() + 1 };
        of_parent.release(listener.as_fd());
        UnixStream::connect(&path).expect("somebody listens");
        Hold::of_path(&path, made).release(listener.as_fd());
        assert!(!path.exists(), "one's own is given back");
    }
}
