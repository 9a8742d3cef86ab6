//! Meeting under a path.

use std::{
    fs, io,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags, flock},
    io::Errno,
    net::{
        AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, socket_with,
        sockopt::{self, Timeout},
    },
    thread::{Timespec, nanosleep},
};

use crate::{Credentials, Element, Error, Interface, Options, Role};

/// Waits for clients under a path in the file system.
///
/// When the listener is dropped its path is removed, and whoever has connected and was not accepted is hung up on; but not by a forked
/// child, whose parent still listens there. After a SIGKILL the path stays, and the next `bind` replaces it: a socket that nobody listens
/// to, never a live one and never another kind of file.
#[derive(Debug)]
pub struct Listener {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: what is removed must be what was made.
    identity: (u64, u64),
    owner: u32,
}

impl Listener {
    /// Listens at `path`, which must have a `/` in it: bare names are no paths here.
    ///
    /// Who may connect is decided by the mode of the socket, which the umask sets, and by the directory.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: `AddrInUse` when another process listens there, `AlreadyExists` when something lies there that is not a
    /// socket, `InvalidInput` for a path without `/` or over 107 bytes.
    pub fn bind(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        check(path)?;
        bind_at(path).map_err(|source| Error::Io { doing: "listening", source })
    }

    /// Waits for the next client. It has only connected yet: [`Pending::open`] does the handshake, so a client that falls
    /// silent holds up nobody but the thread that opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], see accept(2).
    pub fn accept(&self) -> Result<Pending, Error> {
        let accepting = |source| Error::Io { doing: "accepting a client", source };
        let (stream, _) = self.listener.accept().map_err(accepting)?;
        let credentials = fdpass::peer_credentials(&stream).map_err(|error| accepting(error.into()))?;
        Ok(Pending { stream: Some(stream), credentials, owner: std::process::id() })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl AsFd for Listener {
    /// Readable when a client waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if self.owner != std::process::id() {
            return;
        }
        // Nothing can be done about an error here, and the next `bind` copes with what stays.
        let _directory = Directory::of(&self.path);
        if identity(&self.path).is_ok_and(|found| found == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
        self.hang_up();
    }
}

impl Listener {
    /// Who was not accepted may have sent what would hold up the close.
    fn hang_up(&self) {
        if rustix::net::shutdown(&self.listener, Shutdown::Both).is_err() {
            // Waiting for clients would not end.
            return;
        }
        while let Ok((stream, _)) = self.listener.accept() {
            fdpass::hang_up(&stream);
        }
    }
}

/// A client that has connected.
///
/// Dropping it hangs up on the client, whoever has copies of its stream; a forked child that drops its copy does not.
#[derive(Debug)]
pub struct Pending {
    /// There until the drop.
    stream: Option<UnixStream>,
    credentials: Credentials,
    owner: u32,
}

impl Pending {
    /// Who it is.
    pub fn credentials(&self) -> Credentials {
        self.credentials
    }

    /// Waits for the client's side of the handshake.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn open<T>(mut self, options: &Options) -> Result<Interface<T>, Error>
    where
        T: Element,
    {
        let stream = self.stream.take().expect("there until the drop");
        Interface::with_options(stream, Role::Server, options)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // What nobody will read could hold up the close.
        if let Some(stream) = self.stream.take_if(|_| self.owner == std::process::id()) {
            fdpass::hang_up(&stream);
        }
    }
}

impl<T> Interface<T> {
    /// Connects to the [`Listener`] at `path` and **waits until it has answered**, up to
    /// [`handshake_timeout`](Options::handshake_timeout) in all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: `NotFound` where there is no such path, `ConnectionRefused` where nobody listens, `InvalidInput` for a path
    /// without `/`. Otherwise see [`Error`].
    pub fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, Error>
    where
        T: Element,
    {
        let path = path.as_ref();
        check(path)?;
        std::os::unix::net::SocketAddr::from_pathname(path)
            .map_err(|source| Error::Io { doing: "reading the path of the socket", source })?;
        let after = options.get_handshake_timeout();
        let deadline = Instant::now().checked_add(after);
        let stream = connect_until(path, deadline).map_err(|errno| match errno {
            Errno::AGAIN => Error::TimedOut { after },
            errno => Error::Io { doing: "connecting", source: errno.into() },
        })?;
        let left = deadline.map_or(after, |deadline| deadline.saturating_duration_since(Instant::now()));
        Self::with_options(stream, Role::Client, &options.clone().handshake_timeout(left)).map_err(
            |error| match error {
                Error::TimedOut { .. } => Error::TimedOut { after },
                error => error,
            },
        )
    }
}

/// A server that accepts nobody has a full backlog, which connect(2) waits for: as long as `SO_SNDTIMEO` says, socket(7).
fn connect_until(path: &Path, deadline: Option<Instant>) -> Result<UnixStream, Errno> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let address = SocketAddrUnix::new(path)?;
    loop {
        // No time at all would mean that there is no limit.
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()).max(LEAST_TIME));
        sockopt::set_socket_timeout(&socket, Timeout::Send, left.filter(|left| *left < LONGEST_TIME))?;
        match rustix::net::connect(&socket, &address) {
            // A signal: nothing is under way, unix(7).
            Err(Errno::INTR) if deadline.is_some_and(|deadline| Instant::now() >= deadline) => {
                return Err(Errno::AGAIN);
            }
            Err(Errno::INTR) => {}
            result => {
                result?;
                sockopt::set_socket_timeout(&socket, Timeout::Send, None)?;
                return Ok(socket.into());
            }
        }
    }
}

/// What the kernel takes for a time-out: at least a microsecond, and no more than it can count.
const LEAST_TIME: Duration = Duration::from_micros(1);
const LONGEST_TIME: Duration = Duration::from_secs(1 << 31);

fn check(path: &Path) -> Result<(), Error> {
    if path.as_os_str().as_encoded_bytes().contains(&b'/') {
        return Ok(());
    }
    let source = io::Error::new(io::ErrorKind::InvalidInput, "a path with a `/` is needed, such as ./name");
    Err(Error::Io { doing: "reading the path of the socket", source })
}

/// Binds under a name of its own beside `path` and then moves it there in one step, so that a socket which is not listening yet is
/// never seen.
fn bind_at(path: &Path) -> io::Result<Listener> {
    // Checked for the path itself, since the one beside it is another.
    std::os::unix::net::SocketAddr::from_pathname(path)?;
    let directory = Directory::of(path)?;
    let (beside, listener) = directory.bind_beside(path)?;
    let placed = identity(&beside).and_then(|identity| {
        place(&directory, &beside, path)?;
        Ok(identity)
    });
    if placed.is_err() {
        let _ = fs::remove_file(&beside);
    }
    Ok(Listener { listener, path: path.to_owned(), identity: placed?, owner: std::process::id() })
}

/// The directory of a path, locked while this lives, if possible: two servers that find the same dead socket must not both
/// replace it. The lock, flock(2), is on the directory itself and ends with the process.
struct Directory {
    fd: OwnedFd,
    locked: bool,
}

/// How long a lock is waited for, and how long between two tries. Nobody who follows the rules holds it for longer than a few
/// system calls.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
const LOCK_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };
/// Names that are tried beside a path, and how many this process has tried.
const NAMES: u32 = 1000;
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Directory {
    fn of(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let open = |access| rustix::fs::open(parent, access | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        // One that may be written and searched only cannot be locked.
        let fd = open(OFlags::RDONLY)
            .or_else(|errno| if errno == Errno::ACCESS { open(OFlags::PATH) } else { Err(errno) })?;
        let until = Instant::now() + LOCK_PATIENCE;
        let locked = loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break true,
                // The standard library takes it for granted that a process may sleep.
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => drop(nanosleep(&LOCK_PAUSE)),
                Err(_) => break false,
            }
        };
        Ok(Self { fd, locked })
    }

    /// A listening socket beside `path`. A process that was killed between binding and moving may have left its own there, and have
    /// had the same number in another namespace.
    fn bind_beside(&self, path: &Path) -> io::Result<(PathBuf, UnixListener)> {
        let mut result = Err(io::ErrorKind::AddrInUse.into());
        for _ in 0..NAMES {
            let beside = self.beside(path);
            match UnixListener::bind(&beside) {
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => result = Err(error),
                bound => return bound.map(|listener| (beside, listener)),
            }
            // Under the lock nobody is between binding and listening.
            if self.locked && is_dead(&beside).unwrap_or(false) {
                let _ = fs::remove_file(&beside);
            }
        }
        result
    }

    /// A name beside `path` that nobody else in this pid namespace uses. Where it would be longer than a socket's path may be, it leads through the
    /// open directory.
    fn beside(&self, path: &Path) -> PathBuf {
        let name = format!(".{:x}.{:x}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let beside = path.with_file_name(&name);
        match std::os::unix::net::SocketAddr::from_pathname(&beside) {
            Ok(_) => beside,
            Err(_) => format!("/proc/self/fd/{}/{name}", self.fd.as_raw_fd()).into(),
        }
    }
}

/// Moves the listening socket `ours` to `path`, if nothing or a dead socket is there.
fn place(directory: &Directory, ours: &Path, path: &Path) -> io::Result<()> {
    match rustix::fs::renameat_with(CWD, ours, CWD, path, RenameFlags::NOREPLACE) {
        Ok(()) => return Ok(()),
        Err(Errno::EXIST) => {}
        Err(errno) => return Err(errno.into()),
    }
    if !is_socket(path)? {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket lies at this path"));
    }
    // Under the lock no other server can take the place of the dead one between the question and the answer.
    if !directory.locked {
        let why = "somebody keeps the directory locked, so what lies at this path cannot be replaced";
        return Err(io::Error::new(io::ErrorKind::ResourceBusy, why));
    }
    if !is_dead(path)? {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens at this path"));
    }
    fs::rename(ours, path)
}

fn is_socket(path: &Path) -> io::Result<bool> {
    Ok(fs::symlink_metadata(path)?.file_type().is_socket())
}

/// Whether this is a socket that nobody listens to: connecting says so, but says the same of any other file. A full backlog is a sign
/// of life.
fn is_dead(path: &Path) -> io::Result<bool> {
    if !is_socket(path)? {
        return Ok(false);
    }
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(rustix::net::connect(&probe, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_server_left_beside_the_path_is_in_nobodys_way() {
        let directory = std::env::temp_dir().join(format!("memenpsf-beside.{}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let path = directory.join("socket");
        // The next names that this process would take. Each is closed at once, so that nobody listens there.
        let next = COUNT.load(Relaxed);
        for number in next..next + 5 {
            UnixListener::bind(directory.join(format!(".{:x}.{number:x}", std::process::id()))).expect("a free name");
        }
        let listener = Listener::bind(&path).expect("a free path");
        UnixStream::connect(&path).expect("somebody listens");
        drop(listener);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 0, "nothing is left");
        fs::remove_dir(&directory).expect("an empty directory");
    }

    #[test]
    fn whatever_else_has_a_name_of_ours_beside_the_path_is_untouched() {
        let directory = std::env::temp_dir().join(format!("memenpsf-foreign.{}", std::process::id()));
        fs::create_dir(&directory).expect("a new directory");
        let next = COUNT.load(Relaxed);
        let name = |number| directory.join(format!(".{:x}.{:x}", std::process::id(), next + number));
        fs::write(name(0), "contents").expect("a file");
        fs::create_dir(name(1)).expect("a directory");
        // Where it leads to is a dead socket, which alone would be removed.
        let dead = directory.join("dead");
        drop(UnixListener::bind(&dead).expect("a free name"));
        std::os::unix::fs::symlink(&dead, name(2)).expect("a link");
        std::os::unix::fs::symlink("nowhere", name(3)).expect("a link");
        let live = UnixListener::bind(name(4)).expect("a free name");
        drop(Listener::bind(directory.join("socket")).expect("a free path"));
        assert_eq!(COUNT.load(Relaxed), next + 6, "each of the names was in the way");
        assert_eq!(fs::read_to_string(name(0)).expect("the file"), "contents");
        assert!(name(1).is_dir());
        assert_eq!(fs::read_link(name(2)).expect("the link"), dead);
        assert!(is_socket(&dead).expect("what the link leads to"));
        assert_eq!(fs::read_link(name(3)).expect("the link"), Path::new("nowhere"));
        UnixStream::connect(name(4)).expect("somebody listens");
        drop(live);
        assert_eq!(fs::read_dir(&directory).expect("the directory").count(), 6, "nothing else is left");
        fs::remove_dir_all(&directory).expect("a directory");
    }
}
