//! How a run loop is ended from elsewhere: by its stop handle, by the other direction, by the peer's death.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{Mutex, OnceLock, PoisonError},
};

use crossbeam_channel::{Receiver, Sender};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
};

use super::RunEnd;
use crate::{Error, XmitHalf};

/// Ends both directions, wherever they wait: in `ppoll` by the eventfd, in a channel's `select` by the closed channel.
#[derive(Debug)]
pub(super) struct Stop {
    /// Readable when the loop is to end.
    event: OwnedFd,
    /// A forked child has the eventfd too, and by it would stop its parent's loop.
    owner: u32,
    channel: Mutex<Option<Sender<()>>>,
    /// Carries nothing, and is closed when the loop is to end.
    stopped: Receiver<()>,
    reason: OnceLock<RunEnd>,
}

impl Stop {
    pub(super) fn new() -> Result<Self, Error> {
        let (channel, stopped) = crossbeam_channel::bounded(0);
        Ok(Self {
            event: event()?,
            owner: std::process::id(),
            channel: Mutex::new(Some(channel)),
            stopped,
            reason: OnceLock::new(),
        })
    }

    pub(super) fn event(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }

    pub(super) fn stopped(&self) -> &Receiver<()> {
        &self.stopped
    }

    /// The first reason stays.
    pub(super) fn stop(&self, reason: RunEnd) {
        self.reason.get_or_init(|| reason);
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.owner == std::process::id() {
            signal(self.event.as_fd());
        }
    }

    pub(super) fn is_set(&self) -> bool {
        self.reason.get().is_some()
    }

    pub(super) fn reason(&self) -> RunEnd {
        self.reason.get().copied().unwrap_or(RunEnd::Stopped)
    }
}

/// What the receiving thread does when its own work is over: watches for the peer's death on behalf of the other, which may be waiting
/// for its channel.
pub(super) struct Watch {
    socket: OwnedFd,
    pidfd: Option<OwnedFd>,
    xmit_done: OwnedFd,
}

impl Watch {
    pub(super) fn new<T>(xmit: &XmitHalf<T>) -> Result<Self, Error> {
        let again = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|source| Error::Io { doing: "duplicating a descriptor", source })
        };
        Ok(Self { socket: again(xmit.as_fd())?, pidfd: xmit.peer_pidfd().map(again).transpose()?, xmit_done: event()? })
    }

    pub(super) fn xmit_done(&self) {
        signal(self.xmit_done.as_fd());
    }

    /// Returns when transmitting has ended, or when the peer is dead, after stopping the transmitting thread.
    pub(super) fn for_death(&self, stop: &Stop) {
        let mut fds = vec![
            PollFd::new(&self.xmit_done, PollFlags::IN),
            // Bells are for the transmitting thread: only a hang-up is news here.
            PollFd::new(&self.socket, PollFlags::RDHUP),
        ];
        fds.extend(self.pidfd.as_ref().map(|pidfd| PollFd::new(pidfd, PollFlags::IN)));
        // Ends by the transmitting thread, which ends by its channel, the peer or the stop handle.
        loop {
            match poll(&mut fds, None) {
                Err(Errno::INTR | Errno::NOMEM) => {}
                // A sandbox that denies it: a death would go unnoticed.
                Err(_) => return stop.stop(RunEnd::Stopped),
                Ok(_) => break,
            }
        }
        if fds[1..].iter().any(|fd| !fd.revents().is_empty()) {
            stop.stop(RunEnd::Disconnected);
        }
    }
}

fn event() -> Result<OwnedFd, Error> {
    eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
        .map_err(|errno| Error::Io { doing: "making an eventfd", source: errno.into() })
}

/// Makes an eventfd readable. It can only fail by being readable already.
fn signal(event: BorrowedFd<'_>) {
    let _ = rustix::io::write(event, &1u64.to_ne_bytes());
}
