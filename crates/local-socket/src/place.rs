//! Getting a listening socket to its path: there is a server there or there is not, and never one that does not listen yet.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    time::Instant,
};

use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, Stat, chmodat, fchmod, fstat, openat, renameat_with, statat,
        unlinkat,
    },
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, listen, socket_with},
    process::geteuid,
};

use crate::{directory::Directory, wait::uninterrupted};

/// What [`bind_at`] keeps to.
pub(crate) struct Terms {
    pub(crate) mode: Option<Mode>,
    pub(crate) backlog: i32,
    /// Whether a live server may be displaced.
    pub(crate) overwrite: bool,
    /// How long others are waited for.
    pub(crate) until: Option<Instant>,
}

/// Device and inode: what is removed must be what was made.
pub(crate) type Identity = (u64, u64);

/// Has `socket` listen at `path`: it is bound under a name of its own beside that, made ready, and then moved there in one step.
pub(crate) fn bind_at(path: &Path, socket: &OwnedFd, terms: &Terms) -> io::Result<Identity> {
    let directory = Directory::of(path, terms.until)?;
    if let Some(mode) = terms.mode {
        // From which bind(2) makes the mode of the file, less the umask. Where that takes nothing away no /proc is needed.
        fchmod(socket, mode)?;
    }
    let beside = directory.bind_beside(path, socket)?;
    let placed = make_ready(&beside, socket, terms).and_then(|identity| {
        place(&directory, &beside, path, terms)?;
        Ok(identity)
    });
    if placed.is_err() {
        remove_own(CWD, &beside, FileType::Socket);
    }
    placed
}

/// The mode first: to a socket that does not listen yet nobody can connect.
fn make_ready(beside: &Path, socket: &OwnedFd, terms: &Terms) -> io::Result<Identity> {
    if let Some(mode) = terms.mode {
        set_mode(CWD, beside, FileType::Socket, mode)?;
    }
    listen(socket, terms.backlog)?;
    identity(beside)
}

/// Adds what the umask took away from the mode of a new file.
pub(crate) fn set_mode(directory: impl AsFd, name: &Path, kind: FileType, mode: Mode) -> io::Result<()> {
    // Whoever may write in the directory could have put a link there, or a file whose mode is not theirs to change.
    let file = openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    let status = fstat(&file)?;
    if Mode::from_raw_mode(status.st_mode) == mode {
        return Ok(());
    }
    if !is_made_by_us(&status, kind) {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "somebody has replaced the new file"));
    }
    Ok(chmodat(CWD, format!("/proc/self/fd/{}", file.as_raw_fd()), mode, AtFlags::empty())?)
}

/// Removes a new file, unless somebody has put another kind of file or one of his own in its place. Nothing can be done about an error.
pub(crate) fn remove_own(directory: impl AsFd, name: &Path, kind: FileType) {
    let status = statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
    if status.is_ok_and(|status| is_made_by_us(&status, kind)) {
        let _ = unlinkat(directory, name, AtFlags::empty());
    }
}

fn is_made_by_us(status: &Stat, kind: FileType) -> bool {
    FileType::from_raw_mode(status.st_mode) == kind && status.st_uid == geteuid().as_raw()
}

/// Moves the listening socket `ours` to `path`, if nothing, a dead socket or one that may be displaced is there.
fn place(directory: &Directory, ours: &Path, path: &Path, terms: &Terms) -> io::Result<()> {
    loop {
        match renameat_with(CWD, ours, CWD, path, RenameFlags::NOREPLACE) {
            Err(Errno::EXIST) => {}
            result => return Ok(result?),
        }
        match replace(directory, ours, path, terms.overwrite) {
            // What was there has gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_over(terms.until) => {}
            result => return result,
        }
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// The same where something is there.
fn replace(directory: &Directory, ours: &Path, path: &Path, overwrite: bool) -> io::Result<()> {
    let refused = |kind, why: &str| Err(io::Error::new(kind, why));
    if !is_socket(path)? {
        return refused(io::ErrorKind::AlreadyExists, "something that is not a socket lies at this path");
    }
    if !overwrite {
        // Under the lock no other server can take the place of the dead one between the question and the answer.
        if !directory.is_locked() {
            let why = "somebody keeps the directory locked, so what lies at this path cannot be replaced";
            return refused(io::ErrorKind::ResourceBusy, why);
        }
        match is_dead(path) {
            Ok(true) => {}
            Ok(false) => return refused(io::ErrorKind::AddrInUse, "another process listens at this path"),
            // Whose it is says more.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && !is_own(path) => {}
            Err(error) => return Err(error),
        }
    }
    if !is_own(path) {
        return refused(io::ErrorKind::PermissionDenied, "the socket at this path belongs to another user");
    }
    fs::rename(ours, path)
}

/// Whether this is a socket that nobody listens to: connecting says so, but says the same of any other file. A full backlog is a sign
/// of life. `PermissionDenied` where this process may not ask.
pub(crate) fn is_dead(path: &Path) -> io::Result<bool> {
    if !is_socket(path)? {
        return Ok(false);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    let address = SocketAddrUnix::new(path)?;
    match uninterrupted(|| connect(&probe, &address)) {
        Err(Errno::CONNREFUSED) => Ok(true),
        Err(Errno::ACCESS) => {
            let why = "the mode of the socket at this path forbids to ask whether a process listens there";
            Err(io::Error::new(io::ErrorKind::PermissionDenied, why))
        }
        _ => Ok(false),
    }
}

fn is_socket(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.file_type().is_socket())
}

/// Whether this belongs to this process's user.
fn is_own(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|there| there.uid() == geteuid().as_raw())
}

pub(crate) fn identity(path: &Path) -> io::Result<Identity> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, path::PathBuf};

    use super::*;

    #[test]
    fn what_somebody_has_put_in_the_place_of_a_new_file_keeps_its_mode_and_stays() {
        let directory = std::env::temp_dir().join(format!("local-socket-swapped.{}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        // A file of this user's, which another one may rename in a directory that both may write in.
        let (secret, link): (PathBuf, PathBuf) = (directory.join("secret"), directory.join("link"));
        fs::write(&secret, "contents").expect("a file");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("one's own file");
        std::os::unix::fs::symlink(&secret, &link).expect("a link");
        for path in [&secret, &link] {
            for kind in [FileType::Socket, FileType::Fifo] {
                let error = set_mode(CWD, path, kind, Mode::from_raw_mode(0o666)).expect_err("not what was made");
                assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                remove_own(CWD, path, kind);
            }
        }
        let mode = fs::symlink_metadata(&secret).expect("the file").mode();
        assert_eq!(mode & 0o7777, 0o600);
        assert_eq!(fs::read_link(&link).expect("the link"), secret);
        fs::remove_dir_all(&directory).expect("one's own directory");
    }
}
