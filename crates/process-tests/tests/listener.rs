//! Paths to listen at: a dead server's path is taken over, and nothing else is touched.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(unsafe_code, reason = "a signal handler is installed by an unsafe call")]

use std::{
    fs,
    io::ErrorKind,
    os::unix::{
        fs::symlink,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use memenpsf::{Error, Interface, Listener, Name, Options, RecvError};
use nix::{
    libc,
    sys::{
        signal::{SaFlags, SigAction, SigEvent, SigHandler, SigSet, SigevNotify, Signal, sigaction},
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::ClockId,
    unistd::gettid,
};
use process_tests::{Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// A new directory, removed when this is dropped.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("memenpsf-{name}.{}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn kind<T>(result: Result<T, Error>) -> ErrorKind {
    match result {
        Ok(_) => panic!("not refused"),
        Err(Error::Io { source, .. }) => source.kind(),
        Err(error) => panic!("{error}"),
    }
}

fn connect(path: &Path) -> Result<Interface<u64>, Error> {
    Interface::connect(path, &Options::new())
}

/// One message there and back, between a thread that accepts and this one.
fn assert_reachable(listener: &Listener) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut client = listener.accept().unwrap().open::<u64>(&Options::new()).unwrap();
            let number = client.recv_blocking().unwrap();
            client.xmit(number).unwrap();
            assert_eq!(client.recv_blocking(), Err(RecvError::Disconnected));
        });
        let mut server = connect(listener.path()).unwrap();
        server.xmit(7).unwrap();
        assert_eq!(server.recv_blocking(), Ok(7));
    });
}

/// A server in another process, listening at `path`.
fn server(path: &Path) -> Peer {
    let mut peer = start_server(path);
    assert_eq!(peer.line(), "listening");
    peer
}

fn start_server(path: &Path) -> Peer {
    Peer::start(PEER, &["listen", path.to_str().unwrap()]).0
}

#[test]
fn the_path_of_a_killed_server_is_taken_over() {
    let _watchdog = Watchdog::new("a stale socket", Duration::from_secs(60));
    let directory = Directory::new("stale");
    let path = directory.path("socket");
    server(&path).kill();
    assert_eq!(directory.names(), ["socket"], "what a killed server leaves");
    assert_eq!(kind(connect(&path)), ErrorKind::ConnectionRefused);
    let listener = Listener::bind(&path).unwrap();
    assert_reachable(&listener);
    assert_eq!(directory.names(), ["socket"], "nothing lies beside it");
    drop(listener);
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn the_path_of_a_live_server_is_in_use() {
    let _watchdog = Watchdog::new("a live socket", Duration::from_secs(60));
    let directory = Directory::new("live");
    let path = directory.path("socket");
    let mut peer = server(&path);
    let listener = Listener::bind(directory.path("other")).unwrap();
    assert_eq!(kind(Listener::bind(listener.path())), ErrorKind::AddrInUse);
    assert_reachable(&listener);
    assert_eq!(kind(Listener::bind(&path)), ErrorKind::AddrInUse);
    peer.kill();
    let mut names = directory.names();
    names.sort();
    assert_eq!(names, ["other", "socket"], "nothing lies beside them");
}

#[test]
fn what_is_not_a_socket_is_refused_and_untouched() {
    let _watchdog = Watchdog::new("other kinds of files", Duration::from_secs(60));
    let directory = Directory::new("kinds");
    let (file, folder, link, dangling) =
        (directory.path("file"), directory.path("folder"), directory.path("link"), directory.path("dangling"));
    fs::write(&file, "contents").unwrap();
    fs::create_dir(&folder).unwrap();
    // Where it leads to is a stale socket, which alone would be replaced.
    let stale = directory.path("stale");
    drop(UnixListener::bind(&stale).unwrap());
    symlink(&stale, &link).unwrap();
    symlink(directory.path("nowhere"), &dangling).unwrap();
    let mut before = directory.names();
    before.sort();
    for path in [&file, &folder, &link, &dangling] {
        assert_eq!(kind(Listener::bind(path)), ErrorKind::AlreadyExists, "{path:?}");
    }
    let mut after = directory.names();
    after.sort();
    assert_eq!(after, before);
    assert_eq!(fs::read_to_string(&file).unwrap(), "contents");
    assert_eq!(fs::read_link(&link).unwrap(), stale);
    assert_eq!(fs::read_link(&dangling).unwrap(), directory.path("nowhere"));
    assert!(folder.is_dir());
}

#[test]
fn a_bare_name_lies_where_a_name_says() {
    let bare = format!("memenpsf.{}", std::process::id());
    match (Name::path(&bare), Listener::bind(&bare)) {
        (Ok(name), Ok(listener)) => assert_eq!(listener.name(), &name),
        (Err(why), Err(error)) => assert_eq!(error.to_string(), format!("reading the path of the socket: {why}")),
        other => panic!("{other:?}"),
    }
    assert_eq!(kind(Listener::bind("")), ErrorKind::InvalidInput);
    assert!(!Path::new(&bare).exists());
}

/// A path of so many bytes in `directory` that ends in a file name of `name` bytes.
fn path_of(directory: &Directory, bytes: usize, name: usize) -> PathBuf {
    let between = bytes - directory.0.as_os_str().len() - name - 2;
    let folder = directory.path(&"d".repeat(between));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("s".repeat(name));
    assert_eq!(path.as_os_str().len(), bytes);
    path
}

#[test]
fn the_longest_path_works_and_a_longer_one_is_refused() {
    let _watchdog = Watchdog::new("long paths", Duration::from_secs(60));
    let directory = Directory::new("long");
    for name in [40, 20] {
        let path = path_of(&directory, 107, name);
        assert_reachable(&Listener::bind(&path).unwrap());
        assert!(!path.exists());
        assert_eq!(kind(Listener::bind(path_of(&directory, 108, name))), ErrorKind::InvalidInput);
        assert_eq!(kind(connect(&path_of(&directory, 108, name))), ErrorKind::InvalidInput);
    }
}

#[test]
fn the_longest_path_works_with_the_shortest_file_name_too() {
    let _watchdog = Watchdog::new("long paths with a short name", Duration::from_secs(60));
    let directory = Directory::new("short");
    assert_reachable(&Listener::bind(path_of(&directory, 107, 1)).unwrap());
}

#[test]
fn a_listener_takes_its_path_with_it() {
    let _watchdog = Watchdog::new("a dropped listener", Duration::from_secs(60));
    let directory = Directory::new("drop");
    let listener = Listener::bind(directory.path("socket")).unwrap();
    assert_eq!(directory.names(), ["socket"]);
    drop(listener);
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn a_listener_leaves_what_has_taken_its_place() {
    let _watchdog = Watchdog::new("a replaced listener", Duration::from_secs(60));
    let directory = Directory::new("replaced");
    let path = directory.path("socket");
    let first = Listener::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Listener::bind(&path).unwrap();
    drop(first);
    assert_reachable(&second);
    fs::remove_file(&path).unwrap();
    fs::write(&path, "contents").unwrap();
    drop(second);
    assert_eq!(fs::read_to_string(&path).unwrap(), "contents");
}

#[test]
fn a_missing_server_is_told_from_a_dead_one() {
    let _watchdog = Watchdog::new("missing servers", Duration::from_secs(60));
    let directory = Directory::new("missing");
    let path = directory.path("socket");
    assert_eq!(kind(connect(&path)), ErrorKind::NotFound);
    assert_eq!(kind(Listener::bind(directory.path("no/such/folder"))), ErrorKind::NotFound);
    drop(UnixListener::bind(&path).unwrap());
    assert_eq!(kind(connect(&path)), ErrorKind::ConnectionRefused);
    let error = connect(&path).unwrap_err().to_string();
    assert!(error.starts_with("connecting: "), "{error}");
}

#[test]
fn of_many_servers_that_start_at_once_one_gets_the_path_of_a_dead_one() {
    let _watchdog = Watchdog::new("servers that start at once", Duration::from_secs(120));
    let directory = Directory::new("race");
    let path = directory.path("socket");
    for round in 0..100 {
        if round % 4 != 0 {
            drop(UnixListener::bind(&path).unwrap());
        }
        let mut peers: Vec<_> = (0..6).map(|_| start_server(&path)).collect();
        let lines: Vec<_> = peers.iter_mut().map(Peer::line).collect();
        let listening: Vec<_> = (0..peers.len()).filter(|&peer| lines[peer] == "listening").collect();
        let [winner] = listening[..] else { panic!("{} servers at one path: {lines:?}", listening.len()) };
        for line in lines.iter().filter(|line| *line != "listening") {
            let path = path.display();
            assert_eq!(*line, format!("listening: {path}: another process listens at this path"));
        }
        let client = UnixStream::connect(&path).unwrap();
        let reached = fdpass::peer_credentials(&client).unwrap().pid.unwrap().get();
        assert_eq!(reached.unsigned_abs(), peers[winner].pid(), "who listens is who is reached");
        assert_eq!(directory.names(), ["socket"], "nothing lies beside it");
        drop(peers);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn of_many_attempts_at_the_same_moment_one_gets_the_path_of_a_dead_server() {
    let _watchdog = Watchdog::new("attempts at the same moment", Duration::from_secs(120));
    let directory = Directory::new("moment");
    let path = directory.path("socket");
    // Threads can begin at the same moment, as processes cannot.
    let (threads, rounds) = (4, 5000);
    let begin = std::sync::Barrier::new(threads);
    for round in 0..rounds {
        drop(UnixListener::bind(&path).unwrap());
        let mut bound: Vec<Listener> = std::thread::scope(|scope| {
            let attempt = || {
                begin.wait();
                Listener::bind(&path)
            };
            let attempts: Vec<_> = (0..threads).map(|_| scope.spawn(attempt)).collect();
            attempts.into_iter().filter_map(|attempt| attempt.join().unwrap().ok()).collect()
        });
        assert_eq!(bound.len(), 1, "servers that think they have the path, in round {round}");
        assert_eq!(directory.names(), ["socket"], "in round {round}");
        let listener = bound.pop().unwrap();
        assert!(UnixStream::connect(&path).is_ok(), "nobody is reached in round {round}");
        drop(listener);
        assert!(!path.exists(), "another's socket lay at the path in round {round}");
    }
}

/// A server at `path` whose backlog is full, and who fills it.
fn full_backlog(path: &Path) -> (UnixListener, UnixStream) {
    let listening = UnixListener::bind(path).unwrap();
    rustix::net::listen(&listening, 0).unwrap();
    // One is let in although nobody accepts it.
    let first = UnixStream::connect(path).unwrap();
    (listening, first)
}

fn assert_connecting_ends_in_time(path: &Path) {
    let timeout = Duration::from_millis(200);
    let start = Instant::now();
    let result = Interface::<u64>::connect(path, &Options::new().handshake_timeout(timeout));
    let took = start.elapsed();
    assert!(matches!(result, Err(Error::TimedOut { after }) if after == timeout), "{result:?}");
    assert!(took >= timeout && took < 20 * timeout, "{took:?}");
}

#[test]
fn a_server_that_accepts_nobody_keeps_a_client_no_longer_than_it_waits() {
    let _watchdog = Watchdog::new("a full backlog", Duration::from_secs(60));
    let directory = Directory::new("backlog");
    let path = directory.path("socket");
    let _full = full_backlog(&path);
    assert_connecting_ends_in_time(&path);
}

static SIGNALS: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, Relaxed);
}

/// The time between two signals: far less than a client waits for.
const BETWEEN_SIGNALS: Duration = Duration::from_micros(500);

#[test]
fn signals_keep_a_client_of_a_full_backlog_no_longer_than_it_waits() {
    let _watchdog = Watchdog::new("a full backlog and signals", Duration::from_secs(60));
    let directory = Directory::new("signals");
    let path = directory.path("socket");
    let _full = full_backlog(&path);
    // Which restarts no call that has a time-out, signal(7).
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler adds to an atomic and does nothing else.
    let before = unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
    // The kernel's own timer: another thread would be late on a busy machine, and a signal missed is an end in time.
    let this_thread = SigevNotify::SigevThreadId { signal: Signal::SIGUSR1, thread_id: gettid().as_raw(), si_value: 0 };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(this_thread)).unwrap();
    timer.set(Expiration::Interval(BETWEEN_SIGNALS.into()), TimerSetTimeFlags::empty()).unwrap();
    assert_connecting_ends_in_time(&path);
    drop(timer);
    assert!(SIGNALS.load(Relaxed) > 10, "hardly a signal");
    // SAFETY: as it was.
    unsafe { sigaction(Signal::SIGUSR1, &before) }.unwrap();
}
