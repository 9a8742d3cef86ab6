//! Ctrl-C, a polite kill and a closed terminal as a descriptor, so that one `poll` waits for them and for everything else.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd},
};

use nix::sys::{
    signal::{SigSet, Signal},
    signalfd::{SfdFlags, SignalFd},
};

/// Readable when SIGINT, SIGTERM or SIGHUP has come, which no longer end the process by themselves.
#[derive(Debug)]
pub struct Signals(SignalFd);

impl Signals {
    /// To be called before any thread is started: a thread takes over what is blocked from the one that starts it.
    ///
    /// # Errors
    ///
    /// See signalfd(2).
    pub fn block() -> io::Result<Self> {
        let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?))
    }

    /// Waits for a signal and tells its name.
    ///
    /// # Errors
    ///
    /// See signalfd(2).
    pub fn wait(&self) -> io::Result<&'static str> {
        let number = self.0.read_signal()?.map_or(0, |signal| signal.ssi_signo);
        let signal = i32::try_from(number).ok().and_then(|number| Signal::try_from(number).ok());
        Ok(signal.map_or("a signal", Signal::as_str))
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
