//! The demo's child processes and its private directory. However the demo ends, they end with it.

use std::{
    env, fs,
    io::{self, BufRead, BufReader, Lines, Write},
    os::{fd::AsFd, unix::fs::DirBuilderExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command as Program, Stdio, exit},
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use nix::{
    poll::{PollFd, PollFlags, poll},
    sys::{
        prctl,
        signal::{Signal, kill},
        wait::{Id, WaitPidFlag, WaitStatus, waitid},
    },
    unistd::Pid,
};

use crate::{
    arguments::{Command, Outcome, Takes},
    server,
    signals::Signals,
};

/// The server as a process of the demo.
pub const SERVE: Command = Command {
    name: "ipc-client serve",
    help: "ipc-server, as the demo starts it.\n",
    takes: &[Takes::Socket],
    run: |arguments| {
        end_with_parent(Signal::SIGTERM)?;
        server::serve(&arguments.socket)
    },
};

/// Has the kernel send this process a signal when the one that started it is gone, even by SIGKILL.
///
/// # Errors
///
/// See prctl(2).
pub fn end_with_parent(signal: Signal) -> io::Result<()> {
    Ok(prctl::set_pdeathsig(signal)?)
}

/// Milliseconds after which a demo that has not ended never will.
const TOO_LONG: u16 = 60_000;

/// Where the children are kept. Success, failure, a panic, Ctrl-C: each ends them and removes the directory.
#[derive(Debug)]
pub struct Processes(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    directory: PathBuf,
    children: Vec<Child>,
}

impl Processes {
    /// Makes the directory, which nobody else can enter, and watches for signals. To be called before any thread is started.
    ///
    /// # Errors
    ///
    /// The system refuses something.
    pub fn new() -> io::Result<Self> {
        let signals = Signals::block()?;
        let directory = env::temp_dir().join(format!("memenpsf-demo-{}", std::process::id()));
        fs::DirBuilder::new().mode(0o700).create(&directory)?;
        let kept = Arc::new(Mutex::new(Kept { directory, children: Vec::new() }));
        let processes = Self(Arc::clone(&kept));
        thread::Builder::new().spawn(move || {
            let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
            let why = match poll(&mut fds, TOO_LONG) {
                Ok(1..) => signals.wait().unwrap_or("a signal"),
                _ => "having taken longer than a minute",
            };
            // Held to the end: nothing is started any more.
            let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.clear();
            let _ = writeln!(io::stderr(), "ipc-client: the demo was ended by {why}");
            exit(1);
        })?;
        Ok(processes)
    }

    /// The name that the demo's processes meet under.
    pub fn socket(&self) -> PathBuf {
        self.with(|kept| kept.directory.join("socket"))
    }

    /// Starts this program once more, as `command`.
    ///
    /// # Errors
    ///
    /// See fork(2) and execve(2).
    pub fn start(&self, command: &str, socket: &Path, word: Option<&str>) -> io::Result<Process> {
        let mut program = Program::new(env::current_exe()?);
        program.arg(command).arg("--socket").arg(socket).args(word).stdin(Stdio::piped()).stdout(Stdio::piped());
        self.with(|kept| {
            let mut child = program.spawn()?;
            let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
            let pid = Pid::from_raw(child.id() as i32);
            kept.children.push(child);
            match (stdin, stdout) {
                (Some(stdin), Some(stdout)) => Ok(Process { pid, stdin, lines: BufReader::new(stdout).lines() }),
                _ => Err(io::ErrorKind::BrokenPipe.into()),
            }
        })
    }

    /// Waits until a process has ended by itself.
    ///
    /// # Errors
    ///
    /// It did not end well.
    pub fn reap(&self, process: &Process) -> Outcome {
        // Without the lock, and without taking the process away from its `Child`.
        waitid(Id::Pid(process.pid), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)?;
        self.with(|kept| {
            let id = process.pid.as_raw() as u32;
            let Some(at) = kept.children.iter().position(|child| child.id() == id) else { return Ok(()) };
            let status = kept.children.swap_remove(at).wait()?;
            if status.success() { Ok(()) } else { Err(format!("a process of the demo failed: {status}").into()) }
        })
    }

    fn with<R>(&self, work: impl FnOnce(&mut Kept) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        self.with(Kept::clear);
    }
}

impl Kept {
    /// SIGKILL, since a stopped process hears nothing else. What is gone already is no error. The last one first: a client that finds
    /// the server gone would say so.
    fn clear(&mut self) {
        for mut child in self.children.drain(..).rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// A child that says what it does, a line each, and is told by lines what to do.
#[derive(Debug)]
pub struct Process {
    pid: Pid,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    /// Its process id.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its next line, which must begin with `word`, and returns the rest.
    ///
    /// # Errors
    ///
    /// It says something else, or has ended.
    pub fn says(&mut self, word: &str) -> Outcome<String> {
        let line = self.lines.next().ok_or("a process of the demo ended before its time")??;
        match line.strip_prefix(word) {
            Some(rest) => Ok(rest.trim().to_owned()),
            None => Err(format!("a process of the demo said {line:?} instead of {word:?}").into()),
        }
    }

    /// Says one line to it.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.stdin, "{line}")
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// See kill(2).
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill(self.pid, signal)?)
    }

    /// Waits until it is stopped.
    ///
    /// # Errors
    ///
    /// It has ended.
    pub fn is_stopped(&self) -> Outcome {
        let flags = WaitPidFlag::WSTOPPED | WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        match waitid(Id::Pid(self.pid), flags)? {
            WaitStatus::Stopped(..) => Ok(()),
            other => Err(format!("a process of the demo was to stop, but {other:?}").into()),
        }
    }
}
