//! A process that is stopped at chosen instructions and system calls, and then killed, stopped or let go: ptrace(2).
//!
//! The traced process asks for it itself ([`consent`]), so that no permission is needed. It names places by [`mark`]: a signal that
//! nobody minds who is not traced. All calls must come from the thread that started it.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Child, Command, Stdio},
};

use nix::{
    libc,
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};

/// Ignored by whoever is not traced, and a stop for whoever is.
const MARK: Signal = Signal::SIGURG;

/// For the process that is to be traced: the one that started it may trace it from now on, and its death ends this one.
pub fn consent() {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).expect("a signal at the parent's death");
    ptrace::traceme().expect("no other tracer");
}

/// For the process that is traced: tells the tracer that it has come here.
pub fn mark() {
    kill(getpid(), MARK).expect("a signal to oneself");
}

/// Why a traced process stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Still {
    /// It has done one more instruction.
    Step,
    /// It enters or leaves a system call.
    Call,
    /// It has come to a [`mark`].
    Mark,
    /// It sleeps in ppoll(2) and will go on by itself when it is woken, until its next stop.
    Asleep,
    /// It is dead, with this code, or a signal's number and 128.
    Dead(i32),
}

/// A traced process; killed and reaped when this is dropped.
#[derive(Debug)]
pub struct Traced {
    pid: Pid,
    child: Child,
    still: Still,
}

impl Traced {
    /// Starts `program`, whose `main` calls [`consent`], with one end of a new stream as its standard input, and returns the other.
    pub fn start(program: &str, args: &[&str]) -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let mut command = Command::new(program);
        command.args(args).stdin(OwnedFd::from(theirs)).stdout(Stdio::piped());
        let child = command.spawn().expect("the program to be traced");
        let pid = Pid::from_raw(child.id().try_into().expect("a process id"));
        (Self { pid, child, still: Still::Asleep }, ours)
    }

    /// Waits for the first mark, which it has to reach by itself.
    pub fn first_mark(&mut self) {
        let still = self.wait();
        assert_eq!(still, Still::Mark, "the first stop of a traced process");
        let options = ptrace::Options::PTRACE_O_EXITKILL | ptrace::Options::PTRACE_O_TRACESYSGOOD;
        ptrace::setoptions(self.pid, options).expect("options for a process that stands still");
    }

    /// Lets it run to its next mark.
    pub fn to_mark(&mut self) {
        loop {
            if self.still != Still::Asleep {
                ptrace::cont(self.pid, None).expect("a process that stands still");
            }
            match self.wait() {
                Still::Mark => return,
                Still::Dead(code) => panic!("the traced process ended with {code} before its next mark"),
                // What was asked for before it fell asleep.
                Still::Step | Still::Call | Still::Asleep => {}
            }
        }
    }

    /// One instruction.
    pub fn step(&mut self) -> Still {
        ptrace::step(self.pid, None).expect("a process that stands still");
        self.wait_or_asleep()
    }

    /// To where it enters or leaves a system call, unless there is a mark first.
    pub fn call(&mut self) -> Still {
        ptrace::syscall(self.pid, None).expect("a process that stands still");
        self.wait_or_asleep()
    }

    /// As [`call`](Self::call), for a process that may sleep because others have not yet done their part.
    pub fn call_however_long(&mut self) -> Still {
        ptrace::syscall(self.pid, None).expect("a process that stands still");
        self.wait()
    }

    /// Waits until one who was asleep stands still.
    pub fn woken(&mut self) -> Still {
        assert_eq!(self.still, Still::Asleep, "only sleepers are woken");
        self.wait()
    }

    /// Where it stands.
    pub fn instruction(&self) -> u64 {
        ptrace::syscall_info(self.pid).expect("a process that stands still").instruction_pointer
    }

    /// Whether it stands where it can be let go from, short of the next mark.
    pub fn is_at_rest(&self) -> bool {
        matches!(self.still, Still::Step | Still::Call)
    }

    /// SIGKILL, and waits until it is dead.
    pub fn kill(&mut self) {
        kill(self.pid, Signal::SIGKILL).expect("a process that was not reaped");
        while !matches!(self.still, Still::Dead(_)) {
            self.wait();
        }
    }

    /// SIGSTOP where it stands, which is not traced any more from then on. In a system call it takes effect at the call's end.
    pub fn stop(&mut self) {
        kill(self.pid, Signal::SIGSTOP).expect("a process that was not reaped");
        // A sleeper stops at the signal itself, or before it at the end of the call. Detached, the others get it at once.
        let at_signal = self.still == Still::Asleep
            && waitpid(self.pid, None).expect("a child") == WaitStatus::Stopped(self.pid, Signal::SIGSTOP);
        ptrace::detach(self.pid, at_signal.then_some(Signal::SIGSTOP)).expect("a process that stands still");
        let status = waitpid(self.pid, Some(WaitPidFlag::WUNTRACED)).expect("a child");
        assert_eq!(status, WaitStatus::Stopped(self.pid, Signal::SIGSTOP), "a stopped process");
    }

    /// SIGCONT to one that was stopped.
    pub fn go_on(&self) {
        kill(self.pid, Signal::SIGCONT).expect("a process that was not reaped");
    }

    /// Whether it leaves one of these system calls.
    pub fn leaves(&self, calls: &[i64]) -> bool {
        let info = ptrace::syscall_info(self.pid).expect("a process that stands still");
        info.op == libc::PTRACE_SYSCALL_INFO_EXIT && calls.contains(&registers_of_call(&mut self.registers()).0)
    }

    /// Tells it that the system call which it leaves was interrupted by a signal, EINTR.
    pub fn interrupt(&mut self) {
        let mut registers = self.registers();
        *registers_of_call(&mut registers).1 = i64::from(-libc::EINTR).cast_unsigned();
        ptrace::setregs(self.pid, registers).expect("a process that stands still");
    }

    /// Interrupts the ppoll(2) in which it sleeps by a signal, and lets the call say so: for one who came there by [`call`](Self::call).
    pub fn disturb(&mut self) {
        kill(self.pid, MARK).expect("a process that was not reaped");
        assert_eq!(self.woken(), Still::Call);
        assert!(self.leaves(&[libc::SYS_ppoll]), "the call in which it slept");
        // Without a handler for the signal the kernel would begin the call anew.
        self.interrupt();
        assert_eq!(self.call(), Still::Mark, "the signal itself");
    }

    fn registers(&self) -> libc::user_regs_struct {
        ptrace::getregs(self.pid).expect("a process that stands still")
    }

    /// Lets it run untraced from where it stands.
    pub fn let_go(&mut self) {
        ptrace::detach(self.pid, None).expect("a process that stands still");
    }

    /// Waits until it has ended by itself, and returns its code.
    pub fn end(&mut self) -> i32 {
        loop {
            if let Still::Dead(code) = self.wait() {
                return code;
            }
        }
    }

    /// What it has printed, once it has ended.
    pub fn printed(&mut self) -> String {
        let stdout = self.child.stdout.take().expect("read once");
        std::io::read_to_string(stdout).expect("text")
    }

    fn wait(&mut self) -> Still {
        let status = waitpid(self.pid, None).expect("a child that was not reaped");
        self.note(status)
    }

    fn note(&mut self, status: WaitStatus) -> Still {
        self.still = match status {
            WaitStatus::Stopped(_, Signal::SIGTRAP) => Still::Step,
            WaitStatus::Stopped(_, MARK) => Still::Mark,
            WaitStatus::PtraceSyscall(_) => Still::Call,
            WaitStatus::Exited(_, code) => Still::Dead(code),
            WaitStatus::Signaled(_, signal, _) => Still::Dead(128 + signal as i32),
            other => panic!("an unforeseen stop: {other:?}"),
        };
        self.still
    }

    /// Until it stands still, or is seen to sleep in ppoll(2).
    fn wait_or_asleep(&mut self) -> Still {
        for look in 1_u32.. {
            match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).expect("a child that was not reaped") {
                WaitStatus::StillAlive => {}
                status => return self.note(status),
            }
            if look.is_multiple_of(64) && self.sleeps() {
                // One who stands still at that call's door looks the same.
                return match waitpid(self.pid, Some(WaitPidFlag::WNOHANG)).expect("a child that was not reaped") {
                    WaitStatus::StillAlive => {
                        self.still = Still::Asleep;
                        self.still
                    }
                    status => self.note(status),
                };
            }
            std::thread::yield_now();
        }
        unreachable!("a process that neither stops nor sleeps hangs, and the watchdog ends this")
    }

    fn sleeps(&self) -> bool {
        is_in_ppoll(&format!("/proc/{}/syscall", self.pid))
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        if !matches!(self.still, Still::Dead(_)) {
            let _ = kill(self.pid, Signal::SIGKILL);
            while waitpid(self.pid, None)
                .is_ok_and(|status| !matches!(status, WaitStatus::Signaled(..) | WaitStatus::Exited(..)))
            {}
        }
    }
}

/// The number of a system call, and its result.
#[cfg(target_arch = "x86_64")]
fn registers_of_call(registers: &mut libc::user_regs_struct) -> (i64, &mut u64) {
    (registers.orig_rax.cast_signed(), &mut registers.rax)
}

/// The number of a system call, and its result.
#[cfg(target_arch = "aarch64")]
fn registers_of_call(registers: &mut libc::user_regs_struct) -> (i64, &mut u64) {
    (registers.regs[8].cast_signed(), &mut registers.regs[0])
}

/// Whether a thread of this process sleeps in ppoll(2).
pub fn sleeps(thread: Pid) -> bool {
    is_in_ppoll(&format!("/proc/self/task/{thread}/syscall"))
}

fn is_in_ppoll(path: &str) -> bool {
    std::fs::read_to_string(path).is_ok_and(|call| call.starts_with(&format!("{} ", libc::SYS_ppoll)))
}
