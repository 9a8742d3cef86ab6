//! What the tests stand on: processes, a directory, names, a watchdog.

use std::{
    env,
    ffi::OsStr,
    fs,
    io::{BufRead, BufReader, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio, abort, id},
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use local_socket::Name;
use nix::sys::signal::{SigSet, Signal};
use rustix::process::set_parent_process_death_signal;

const ROLE: &str = "LOCAL_SOCKET_TEST_ROLE";
const BETWEEN_ARGUMENTS: &str = "\u{1f}";
/// How much longer than it should a timed call may take: only a hang takes longer.
pub(crate) const HANG: u32 = 20;

/// Another process, killed and reaped when this is dropped.
pub(crate) struct Peer {
    child: Child,
    lines: BufReader<UnixStream>,
}

impl Peer {
    pub(crate) fn start(role: &str, args: &[&str]) -> Self {
        Self::start_with(&env::current_exe().unwrap(), role, args, |_| {})
    }

    /// Starts a copy of this program, set up by `how`.
    pub(crate) fn start_with(program: &Path, role: &str, args: &[&str], how: impl FnOnce(&mut Command)) -> Self {
        Self::start_command(Command::new(program), role, args, how).unwrap()
    }

    /// The same where `command` may need this program as its first argument.
    pub(crate) fn start_command(
        mut command: Command,
        role: &str,
        args: &[&str],
        how: impl FnOnce(&mut Command),
    ) -> std::io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let part = [&[role], args].concat().join(BETWEEN_ARGUMENTS);
        command.args(["role", "--exact", "--ignored", "--nocapture", "--quiet"]).env(ROLE, part);
        command.stdin(Stdio::null()).stdout(OwnedFd::from(theirs));
        how(&mut command);
        let child = command.spawn()?;
        drop(command);
        Ok(Self { child, lines: BufReader::new(ours) })
    }

    /// The next thing that the peer says.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.lines.read_line(&mut line).unwrap(), 0, "the peer has ended");
            // The rest is from the test harness.
            if let Some((_, said)) = line.split_once(SAYS) {
                return said.trim_end().to_owned();
            }
        }
    }

    /// Something for the peer to [hear].
    pub(crate) fn tell(&mut self) {
        self.lines.get_mut().write_all(b"\n").unwrap();
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn succeeds(mut self) {
        assert!(self.wait().success(), "the peer failed");
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const SAYS: &str = "the peer says: ";

/// Which part this process plays, with its arguments.
pub(crate) fn my_role() -> Option<(String, Vec<String>)> {
    let part = env::var(ROLE).ok()?;
    // A test that was aborted kills nobody itself.
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL)).unwrap();
    let mut words = part.split(BETWEEN_ARGUMENTS).map(str::to_owned);
    Some((words.next()?, words.collect()))
}

/// To the test, from a peer.
#[allow(clippy::print_stdout, reason = "the socket to the test")]
pub(crate) fn say(what: impl std::fmt::Display) {
    println!("\n{SAYS}{what}");
}

/// Waits until the test tells this peer to go on, or has ended.
pub(crate) fn hear() {
    let socket = std::io::stdout().as_fd().try_clone_to_owned().unwrap();
    BufReader::new(UnixStream::from(socket)).read_line(&mut String::new()).unwrap();
}

/// A new directory, removed when this is dropped.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        let path = env::temp_dir().join(unique());
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn name(&self, name: &str) -> Name {
        Name::path(self.path(name)).unwrap()
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<_> = fs::read_dir(&self.0).unwrap().map(name).collect();
        names.sort();
        names
    }
}

impl AsRef<Path> for Directory {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A name that no other test has.
pub(crate) fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("local-socket.{}.{}", id(), COUNT.fetch_add(1, Relaxed))
}

/// Both kinds of names, each as the two words from which [`name`] makes it.
pub(crate) fn both_kinds(directory: &Directory) -> [(&'static str, String); 2] {
    [("path", directory.path("socket").to_str().unwrap().to_owned()), ("abstract", unique())]
}

pub(crate) fn name(kind: &str, name: impl AsRef<OsStr>) -> Name {
    let name = name.as_ref();
    if kind == "path" { Name::path(name) } else { Name::namespaced(name) }.unwrap()
}

/// Aborts the process unless it is dropped within half a minute: a hang is a failure.
#[must_use]
pub(crate) struct Watchdog {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    pub(crate) fn new() -> Self {
        let (done, wait) = mpsc::channel();
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(Duration::from_secs(30)) == Err(RecvTimeoutError::Timeout) {
                eprintln!("watchdog: {test} hangs");
                abort();
            }
        });
        Self { done: Some(done), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.done.take());
        let _ = self.thread.take().unwrap().join();
    }
}

/// Says that a test was left out, past the capture of the test harness.
pub(crate) fn skipped(what: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// How many descriptors this process has open.
pub(crate) fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Whether `call` raises SIGPIPE in this thread: also a signal that is ignored stays pending while it is blocked.
pub(crate) fn raises_sigpipe(call: impl FnOnce()) -> bool {
    let mut blocked = SigSet::empty();
    blocked.add(Signal::SIGPIPE);
    blocked.thread_block().unwrap();
    call();
    let status = fs::read_to_string("/proc/thread-self/status").unwrap();
    blocked.thread_unblock().unwrap();
    let pending = status.lines().find_map(|line| line.strip_prefix("SigPnd:")).unwrap();
    u64::from_str_radix(pending.trim(), 16).unwrap() >> (Signal::SIGPIPE as u32 - 1) & 1 == 1
}

/// The result of `call`, which takes as long as `time` and no shorter.
pub(crate) fn taking<T>(time: Duration, call: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = call();
    let took = start.elapsed();
    assert!(took >= time && took < HANG * time, "{took:?} instead of {time:?}");
    result
}
