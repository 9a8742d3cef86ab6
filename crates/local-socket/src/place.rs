//! Getting a listening socket to its path: there is a server there or there is not, and never one that does not listen yet.

use std::{
    fs, io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::Path,
    time::Instant,
};

use rustix::{
    fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, chmodat, fchmod, fstat, openat, statat, unlinkat},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, listen, socket_with},
    process::geteuid,
};

use crate::{
    directory::{Directory, Lock, names_beside},
    proc,
    rename::{Replaced, move_over, move_to_free},
    wait::uninterrupted,
};

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
    let made = identity(&beside)?;
    let placed = make_ready(&beside, socket, terms).and_then(|()| place(&directory, &beside, path, terms));
    if placed.is_err() && is(&beside, made) {
        let _ = fs::remove_file(&beside);
    }
    placed.map(|()| made)
}

/// The mode first: to a socket that does not listen yet nobody can connect.
fn make_ready(beside: &Path, socket: &OwnedFd, terms: &Terms) -> io::Result<()> {
    if let Some(mode) = terms.mode {
        set_mode(CWD, beside, FileType::Socket, mode)?;
    }
    Ok(listen(socket, terms.backlog)?)
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
    let path = proc::path_of(&file, "the mode of a new file is as the umask makes it")?;
    Ok(chmodat(CWD, path, mode, AtFlags::empty())?)
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
        match move_to_free(ours, path) {
            Err(Errno::EXIST) => {}
            Err(Errno::OPNOTSUPP) => {
                let why = "the file system knows neither RENAME_NOREPLACE nor hard links, without which no socket can be put there";
                return Err(io::Error::new(io::ErrorKind::Unsupported, why));
            }
            result => return Ok(result?),
        }
        let replaced = may_be_replaced(directory, path, terms.overwrite)
            .and_then(|()| replace(directory, ours, path, terms.overwrite));
        match replaced {
            // What was there has gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_over(terms.until) => {}
            result => return result,
        }
    }
}

fn is_over(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// The same where something is there, which may be something else by now than what was judged: so it is judged again once it has our
/// own name, of which nobody else knows, and put back if need be.
fn replace(directory: &Directory, ours: &Path, path: &Path, overwrite: bool) -> io::Result<()> {
    let came_out = ours;
    if move_over(ours, path)? == Replaced::Lost {
        return Ok(());
    }
    if let Err(refused) = may_be_replaced(directory, came_out, overwrite) {
        // Ours is no longer there either if somebody has removed it.
        if move_over(came_out, path).is_err() && move_to_free(came_out, path).is_err() {
            return Err(io::Error::other(format!("what somebody put at this path is now {}", came_out.display())));
        }
        return Err(refused);
    }
    // Ours is in its place, whatever comes of this.
    let _ = fs::remove_file(came_out);
    Ok(())
}

/// Whether what is there is a dead socket, or one that may be displaced.
fn may_be_replaced(directory: &Directory, path: &Path, overwrite: bool) -> io::Result<()> {
    let refused = |kind, why: &str| Err(io::Error::new(kind, why));
    if !is_socket(path)? {
        return refused(io::ErrorKind::AlreadyExists, "something that is not a socket lies at this path");
    }
    if !overwrite {
        // Without the lock, another server that takes the place of the dead one meanwhile is noticed too, and put back.
        if *directory.lock() == Lock::Others {
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
    Ok(())
}

/// Whether this is a socket of no process: connecting says so, but says the same of any other file. `PermissionDenied` where this
/// process may not ask.
///
/// Who asks has a socket of another type than a stream, with which nobody can connect to a stream: a server is not bothered by the
/// question, also one that has bound its socket and does not listen yet. EPROTOTYPE in connect(2).
pub(crate) fn is_dead(path: &Path) -> io::Result<bool> {
    if !is_socket(path)? {
        return Ok(false);
    }
    let probe = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
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

fn is(path: &Path, made: Identity) -> bool {
    identity(path).is_ok_and(|found| found == made)
}

/// Removes what was made, and nothing that somebody has put in its place meanwhile.
pub(crate) fn remove_made(path: &Path, made: Identity) {
    if is(path, made) {
        take_away(path, made);
    }
}

/// Looking and removing are two steps: so what is there is given a name of which nobody else knows, judged, and removed or put back.
/// Nothing can be done about an error.
fn take_away(path: &Path, made: Identity) {
    for aside in names_beside(path) {
        match move_to_free(path, &aside) {
            Err(Errno::EXIST) => continue,
            Err(_) => {}
            Ok(()) if is(&aside, made) => drop(fs::remove_file(&aside)),
            Ok(()) => drop(move_to_free(&aside, path)),
        }
        return;
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::ErrorKind,
        os::unix::{fs::PermissionsExt, net::UnixListener},
        path::PathBuf,
    };

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

    #[test]
    fn what_somebody_puts_at_the_path_in_the_last_moment_comes_back_to_it() {
        let directory = std::env::temp_dir().join(format!("local-socket-late.{}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let (ours, path) = (directory.join("ours"), directory.join("path"));
        let _bound = UnixListener::bind(&ours).expect("a free path");
        let locked = Directory::of(&path, None).expect("a directory");
        let made = identity(&ours).expect("a socket");
        let refused_to_replace = |late: &dyn Fn() -> ErrorKind| {
            let expected = late();
            let theirs = identity(&path).expect("what came late");
            // The first look was before that.
            let error = replace(&locked, &ours, &path, false).expect_err("not to be replaced");
            assert_eq!(error.kind(), expected);
            // And the one who ends has looked before that too.
            take_away(&path, made);
            assert!(is(&path, theirs) && is(&ours, made));
            assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 2);
        };
        refused_to_replace(&|| {
            fs::write(&path, "contents").expect("a file");
            ErrorKind::AlreadyExists
        });
        fs::remove_file(&path).expect("one's own file");
        refused_to_replace(&|| {
            fs::create_dir(&path).expect("a directory");
            ErrorKind::AlreadyExists
        });
        fs::remove_dir(&path).expect("one's own directory");
        let live = UnixListener::bind(&path).expect("a free path");
        refused_to_replace(&|| ErrorKind::AddrInUse);
        drop(live);
        replace(&locked, &ours, &path, false).expect("a dead socket");
        assert!(is(&path, made) && !ours.exists());
        take_away(&path, made);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0);
        fs::remove_dir(&directory).expect("one's own directory");
    }
}
