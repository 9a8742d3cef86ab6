//! The wish of the user to end: SIGINT or SIGTERM, which are seen when somebody looks.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// Processes that are started do not inherit that these signals are held back.
#[derive(Debug)]
pub struct Interrupt {
    signals: SignalFd,
    count: Cell<u32>,
}

impl Interrupt {
    /// From now on the two signals do not end this process. Called before there is a second thread.
    pub fn watch() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGINT);
        set.add(Signal::SIGTERM);
        set.thread_block()?;
        let signals = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals, count: Cell::new(0) })
    }

    /// How many times the user has asked.
    pub fn count(&self) -> u32 {
        while let Ok(Some(_)) = self.signals.read_signal() {
            self.count.set(self.count.get() + 1);
        }
        self.count.get()
    }

    pub fn came(&self) -> bool {
        self.count() > 0
    }
}

impl AsFd for Interrupt {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.signals.as_fd()
    }
}
