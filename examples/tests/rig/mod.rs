//! Programs under test, each with a guard: one that hangs is killed, which fails the test that waits for it.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::{
    fs,
    io::{BufRead, BufReader, Lines, Read},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, ChildStdout, Command, Stdio},
    sync::{
        atomic::{AtomicU32, Ordering::Relaxed},
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// What no program under test takes.
const HANGS: Duration = Duration::from_secs(60);

/// A directory of a test's own, which must be empty again at the end.
pub(crate) struct Directory(PathBuf);

impl Directory {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("memenpsf-test-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).expect("a directory");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.0.join("socket")
    }

    pub(crate) fn is_empty(&self) -> bool {
        fs::read_dir(&self.0).expect("the directory").next().is_none()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running program, in a process group of its own.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    stderr: ChildStderr,
    guard: Option<(Sender<()>, JoinHandle<()>)>,
}

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code, `None` after a signal.
    pub(crate) code: Option<i32>,
    /// What it printed and nobody had read.
    pub(crate) lines: Vec<String>,
    pub(crate) stderr: String,
}

pub(crate) fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-client"));
    command.args(arguments);
    command
}

pub(crate) fn server(socket: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ipc-server"));
    command.arg("--socket").arg(socket);
    command
}

/// A server that listens.
pub(crate) fn listening(socket: &Path) -> Program {
    let mut program = Program::start(&mut server(socket));
    assert!(program.line().starts_with("listening at "));
    program
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Ended {
    Program::start(command).end()
}

impl Program {
    pub(crate) fn start(command: &mut Command) -> Self {
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().expect("the program starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let stderr = child.stderr.take().expect("a pipe");
        let group = child.id() as i32;
        let (alive, gone) = channel::<()>();
        let guard = thread::spawn(move || {
            if gone.recv_timeout(HANGS) == Err(RecvTimeoutError::Timeout) {
                let _ = kill(Pid::from_raw(-group), Signal::SIGKILL);
            }
        });
        Self { child, lines, stderr, guard: Some((alive, guard)) }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Waits for its next line.
    pub(crate) fn line(&mut self) -> String {
        self.lines.next().expect("one more line").expect("text")
    }

    /// Waits for the line that has all of `words`, passing over others.
    pub(crate) fn line_with(&mut self, words: &[&str]) -> String {
        loop {
            let line = self.line();
            if words.iter().all(|word| line.contains(word)) {
                return line;
            }
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).expect("it runs");
    }

    /// Waits until it has ended, and with it whatever it started: all ends of its pipes are closed by then.
    pub(crate) fn end(mut self) -> Ended {
        let lines = self.lines.by_ref().map(|line| line.expect("text")).collect();
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).expect("text");
        let code = self.child.wait().expect("it was running").code();
        Ended { code, lines, stderr }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if let Some((alive, guard)) = self.guard.take() {
            drop(alive);
            let _ = guard.join();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ended {
    /// It went well and complained of nothing.
    pub(crate) fn went_well(self) -> Vec<String> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{:?}", self.lines);
        self.lines
    }

    /// It failed with `code` and said why in one sentence, which has all of `words`.
    pub(crate) fn failed(self, code: i32, words: &[&str]) {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(words.iter().all(|word| self.stderr.contains(word)), "{words:?} in {self:?}");
    }
}
