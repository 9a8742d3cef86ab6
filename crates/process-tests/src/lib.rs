//! What tests with real processes have in common: starting the other process, and a watchdog over everything that waits.

pub mod numbered;
pub mod progress;
pub mod seccomp;
pub mod secret;
pub mod steps;
pub mod storm;
pub mod traced;
pub mod traffic;

use std::{
    io::{BufRead, BufReader, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::mpsc::{self, RecvTimeoutError, Sender},
    thread::JoinHandle,
    time::Duration,
};

/// A process at the other end of a socket, killed and reaped when this is dropped.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts `program` (a `CARGO_BIN_EXE_..`) with one end of a new stream as its standard input, and returns the other end.
    pub fn start(program: &str, args: &[&str]) -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        (Self::start_with(program, args, theirs.into()), ours)
    }

    /// Starts `program` with `stdin` as its standard input.
    pub fn start_with(program: &str, args: &[&str], stdin: OwnedFd) -> Self {
        let mut command = Command::new(program);
        let mut child = command.args(args).stdin(stdin).stdout(Stdio::piped()).spawn().expect("the peer's program");
        let lines = BufReader::new(child.stdout.take().expect("a pipe was asked for"));
        Self { child, lines }
    }

    /// Waits for the next line that the peer prints, without its end; empty when it has closed its standard output.
    pub fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("text from the peer");
        line.trim_end().to_owned()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL, and waits until it is dead.
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// Waits until it exits by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("a child can be waited for")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// For a peer's `main`: the socket that `Peer::start` gave it.
pub fn socket_of_peer() -> UnixStream {
    UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("a copy of the standard input"))
}

/// Aborts the process unless it is dropped in time: a hang is a failure.
#[derive(Debug)]
pub struct Watchdog {
    done: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watchdog {
    /// Watches over what follows.
    #[must_use = "dropping it ends the watch"]
    pub fn new(what: &'static str, limit: Duration) -> Self {
        let (done, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            if wait.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("watchdog: {what} hangs, no end after {limit:?}");
                std::process::abort();
            }
        });
        Self { done: Some(done), thread: Some(thread) }
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What a process holds, for "as many as before".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holdings {
    /// Open descriptors.
    pub descriptors: usize,
    /// Mappings of segments.
    pub mappings: usize,
    /// Pages that tell a fork: they have no name, and a forked child is the only one who is given them wiped.
    pub guards: usize,
    /// Threads.
    pub threads: usize,
}

impl Holdings {
    /// Counts what this process holds now.
    pub fn now() -> Self {
        let count = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
        // The lines of `maps`, each with what it is like behind it.
        let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap_or_default();
        Self {
            // The listing itself is open while it is counted, each time.
            descriptors: count("/proc/self/fd"),
            mappings: smaps.lines().filter(|line| line.contains("memfd:memenpsf")).count(),
            guards: smaps.lines().filter(|line| line.starts_with("VmFlags:") && line.contains(" wf")).count(),
            threads: count("/proc/self/task"),
        }
    }
}

/// Says that a part of a test was left out, past the capture of the test harness.
pub fn skipped(what: &str) {
    // A closed standard error is no reason to fail.
    let _ = writeln!(std::io::stderr(), "skipped: {what}");
}

/// CPU time that this process has used: user and system.
pub fn cpu_time() -> Duration {
    use nix::sys::resource::{UsageWho, getrusage};
    use nix::sys::time::TimeValLike;
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("one's own usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}
