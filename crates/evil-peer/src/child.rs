//! Another process that has what this one has.
#![allow(unsafe_code, reason = "a fork is unsafe where there are threads")]

use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};

/// A child that was forked. It ends when its work is done, whoever waits for it.
#[derive(Debug)]
pub struct Child(Pid);

/// Has a child do this. There must be no other thread.
pub fn in_a_child(work: impl FnOnce()) -> Child {
    // SAFETY: this process has one thread only.
    match unsafe { fork() }.expect("a child") {
        ForkResult::Parent { child } => Child(child),
        ForkResult::Child => {
            work();
            std::process::exit(0);
        }
    }
}

impl Child {
    /// Whether it has ended well.
    pub fn wait(&self) -> bool {
        waitpid(self.0, None) == Ok(WaitStatus::Exited(self.0, 0))
    }
}
