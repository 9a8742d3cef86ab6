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
};

use crate::{Credentials, Element, Error, Interface, Options, Role};

/// Waits for clients under a path in the file system.
///
/// The path is removed when the listener is dropped, but not by a forked child, whose parent still listens there. After a SIGKILL it stays, and the next `bind` replaces it: a socket that nobody
/// listens to, never a live one and never another kind of file.
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
        Ok(Pending { stream, credentials })
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
    }
}

/// A client that has connected.
#[derive(Debug)]
pub struct Pending {
    stream: UnixStream,
    credentials: Credentials,
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
    pub fn open<T>(self, options: &Options) -> Result<Interface<T>, Error>
    where
        T: Element,
    {
        Interface::with_options(self.stream, Role::Server, options)
    }
}

impl<T> Interface<T> {
    /// Connects to the [`Listener`] at `path` and **waits until it has answered**.
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
        let stream = UnixStream::connect(path).map_err(|source| Error::Io { doing: "connecting", source })?;
        Self::with_options(stream, Role::Client, options)
    }
}

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
    let beside = directory.beside(path);
    let listener = UnixListener::bind(&beside)?;
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

/// How long a lock is waited for. Nobody who follows the rules holds it for longer than a few system calls.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

impl Directory {
    fn of(path: &Path) -> io::Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(parent, flags, Mode::empty())?;
        let until = Instant::now() + LOCK_PATIENCE;
        let locked = loop {
            match flock(&fd, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => break true,
                Err(Errno::WOULDBLOCK | Errno::INTR) if Instant::now() < until => std::thread::yield_now(),
                Err(_) => break false,
            }
        };
        Ok(Self { fd, locked })
    }

    /// A name beside `path` that nobody else uses. Where it would be longer than a socket's path may be, it leads through the
    /// open directory.
    fn beside(&self, path: &Path) -> PathBuf {
        static COUNT: AtomicU64 = AtomicU64::new(0);
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
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket lies at this path"));
    }
    // Under the lock no other server can take the place of the dead one between the question and the answer.
    if !directory.locked || !is_dead(path)? {
        return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens at this path"));
    }
    fs::rename(ours, path)
}

/// Whether nobody listens to this socket: connecting says so. A full backlog is a sign of life.
fn is_dead(path: &Path) -> io::Result<bool> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let probe = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    Ok(connect(&probe, &SocketAddrUnix::new(path)?) == Err(Errno::CONNREFUSED))
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}
