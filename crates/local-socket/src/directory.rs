//! The directory in which a socket is replaced.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FileType, FlockOperation, Mode, OFlags, flock, open},
    io::Errno,
    net::bind,
    thread::{Timespec, nanosleep},
};

use crate::{
    Name,
    place::{is_dead, remove_own},
    proc,
    wait::uninterrupted,
};

/// The directory of a path, locked while this lives, if possible: two servers that find the same dead socket must not both
/// replace it. The lock, flock(2), is on the directory itself and ends with the process.
pub(crate) struct Directory {
    fd: OwnedFd,
    lock: Lock,
}

/// Who has the lock.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    /// Others who follow the rules are kept out.
    Ours,
    Others,
    /// The file system knows no locks, or the directory may only be written and searched.
    Nobody,
}

/// How long between two tries to get the lock, and how long to try for a listener that is dropped. Nobody who follows the rules holds
/// it for longer than a few system calls.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
const PATIENCE: Duration = Duration::from_secs(1);
/// Names that are tried beside a path, and how many this process has tried.
const NAMES: u32 = 1000;
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Directory {
    /// The one of `path`, after waiting for the lock until then.
    pub(crate) fn of(path: &Path, until: Option<Instant>) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = |access| uninterrupted(|| open(parent, access | flags, Mode::empty()));
        let fd = open(OFlags::RDONLY)
            .or_else(|errno| if errno == Errno::ACCESS { open(OFlags::PATH) } else { Err(errno) })?;
        let lock = loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break Lock::Ours,
                // The standard library takes it for granted that a process may sleep.
                Err(Errno::WOULDBLOCK | Errno::INTR) if until.is_none_or(|until| Instant::now() < until) => {
                    drop(nanosleep(&PAUSE));
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => break Lock::Others,
                Err(_) => break Lock::Nobody,
            }
        };
        Ok(Self { fd, lock })
    }

    /// For a listener that is dropped.
    pub(crate) fn of_patiently(path: &Path) -> io::Result<Self> {
        Self::of(path, Instant::now().checked_add(PATIENCE))
    }

    pub(crate) fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Binds `socket` under a name of its own beside `path`. A process that was killed between binding and moving may have left its own
    /// there, and have had the same number in another namespace.
    pub(crate) fn bind_beside(&self, path: &Path, socket: &OwnedFd) -> io::Result<PathBuf> {
        for beside in names_beside(path) {
            let (beside, name) = self.reachable(beside)?;
            match bind(socket, name.address()) {
                Err(Errno::ADDRINUSE) => {}
                result => return Ok(result.map(|()| beside)?),
            }
            // Under the lock nobody else finds the same and binds anew.
            if self.lock == Lock::Ours && is_dead(&beside).unwrap_or(false) {
                remove_own(CWD, &beside, FileType::Socket);
            }
        }
        let such_as =
            names_beside(path).map(|taken| format!(", such as {}", taken.display())).next().unwrap_or_default();
        Err(io::Error::new(io::ErrorKind::AddrInUse, format!("{NAMES} names beside this path are taken{such_as}")))
    }

    /// A path of this directory as a name. Where it is longer than a socket's may be, it leads through the open directory.
    fn reachable(&self, path: PathBuf) -> io::Result<(PathBuf, Name)> {
        if let Ok(name) = Name::path(&path) {
            return Ok((path, name));
        }
        let directory = proc::path_of(&self.fd, "a path must leave some more bytes for a name beside it")?;
        let through = directory.join(path.file_name().unwrap_or_default());
        let name = Name::path(&through)?;
        Ok((through, name))
    }
}

/// Names beside `path` that nobody else in this pid namespace uses.
pub(crate) fn names_beside(path: &Path) -> impl Iterator<Item = PathBuf> {
    (0..NAMES).map(|_| path.with_file_name(format!(".{:x}.{:x}", process::id(), COUNT.fetch_add(1, Relaxed))))
}

impl Drop for Directory {
    /// Another thread may have forked meanwhile, and a child's copy of the descriptor would keep the lock.
    fn drop(&mut self) {
        if self.lock == Lock::Ours {
            let _ = flock(&self.fd, FlockOperation::Unlock);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::{
            fs::{FileTypeExt, symlink},
            net::{UnixListener, UnixStream},
        },
    };

    use super::*;
    use crate::{Listener, ListenerOptions};

    fn new_directory(name: &str) -> PathBuf {
        let directory = std::env::temp_dir().join(format!("local-socket-{name}.{}", process::id()));
        fs::create_dir(&directory).expect("a new directory");
        directory
    }

    fn listen(path: &Path) -> Listener {
        let name = Name::path(path).expect("a good path");
        ListenerOptions::new(name).create_sync().expect("a free path")
    }

    #[test]
    fn a_child_that_another_thread_forks_does_not_keep_the_lock() {
        let directory = new_directory("forked");
        let path = directory.join("socket");
        let ours = Directory::of(&path, None).expect("a directory");
        // As fork(2) makes one.
        let of_child = ours.fd.try_clone().expect("a copy");
        assert_eq!(Directory::of(&path, Some(Instant::now())).expect("a directory").lock, Lock::Others);
        drop(ours);
        assert_eq!(Directory::of(&path, Some(Instant::now())).expect("a directory").lock, Lock::Ours);
        drop(of_child);
        fs::remove_dir(&directory).expect("an empty directory");
    }

    #[test]
    fn what_an_interrupted_server_left_beside_the_path_is_in_nobodys_way() {
        let directory = new_directory("beside");
        let path = directory.join("socket");
        // The next names that this process would take. Each is closed at once, so that nobody listens there.
        let next = COUNT.load(Relaxed);
        for number in next..next + 5 {
            UnixListener::bind(directory.join(format!(".{:x}.{number:x}", process::id()))).expect("a free name");
        }
        let listener = listen(&path);
        UnixStream::connect(&path).expect("somebody listens");
        drop(listener);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0, "nothing is left");
        fs::remove_dir(&directory).expect("an empty directory");
    }

    #[test]
    fn whatever_else_has_a_name_of_ours_beside_the_path_is_untouched() {
        let directory = new_directory("foreign");
        let next = COUNT.load(Relaxed);
        let name = |number| directory.join(format!(".{:x}.{:x}", process::id(), next + number));
        fs::write(name(0), "contents").expect("a file");
        fs::create_dir(name(1)).expect("a directory");
        // Where it leads to is a dead socket, which alone would be removed.
        let dead = directory.join("dead");
        drop(UnixListener::bind(&dead).expect("a free name"));
        symlink(&dead, name(2)).expect("a link");
        symlink("nowhere", name(3)).expect("a link");
        let live = UnixListener::bind(name(4)).expect("a free name");
        let listener = listen(&directory.join("socket"));
        assert_eq!(COUNT.load(Relaxed), next + 6, "each of the names was in the way");
        drop(listener);
        assert_eq!(fs::read_to_string(name(0)).expect("the file"), "contents");
        assert!(name(1).is_dir());
        assert_eq!(fs::read_link(name(2)).expect("the link"), dead);
        assert!(fs::symlink_metadata(&dead).expect("what the link leads to").file_type().is_socket());
        assert_eq!(fs::read_link(name(3)).expect("the link"), Path::new("nowhere"));
        UnixStream::connect(name(4)).expect("somebody listens");
        drop(live);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 6, "nothing else is left");
        fs::remove_dir_all(&directory).expect("a directory");
    }

    #[test]
    fn what_has_taken_the_place_of_a_listener_is_not_even_moved() {
        let directory = new_directory("taken");
        let path = directory.join("socket");
        let first = listen(&path);
        fs::remove_file(&path).expect("the first socket");
        let second = listen(&path);
        let next = COUNT.load(Relaxed);
        drop(first);
        assert_eq!(COUNT.load(Relaxed), next, "no name was taken to which it could be moved");
        UnixStream::connect(&path).expect("somebody listens");
        drop(second);
        fs::remove_dir(&directory).expect("an empty directory");
    }
}
