//! The run loop: an interface bridged to crossbeam channels.

use std::{
    fmt,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, eventfd, poll},
    io::Errno,
};

use crate::{Corrupt, Element, Error, Interface, Options, RecvError, RecvHalf, Role, XmitErrorKind, XmitHalf};

/// Why one direction of a run loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunEnd {
    /// The channel's other end in this process was dropped.
    LocalGone,
    /// The peer said that no more will come.
    Finished,
    /// The peer is gone, or does not receive any more, or this process may not talk to it any more (a sandbox).
    Disconnected,
    /// The peer broke the format.
    Corrupt(Corrupt),
    /// The stop handle was used, or cannot be watched where a sandbox denies ppoll(2).
    Stopped,
    /// This process is a fork of the one that owns the interface.
    ForkedChild,
}

impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LocalGone => f.write_str("the channel's other end was dropped"),
            Self::Finished => RecvError::Finished.fmt(f),
            Self::Disconnected => RecvError::Disconnected.fmt(f),
            Self::Corrupt(rule) => RecvError::Corrupt(*rule).fmt(f),
            Self::Stopped => f.write_str("the stop handle was used, or cannot be watched"),
            Self::ForkedChild => RecvError::ForkedChild.fmt(f),
        }
    }
}

/// What a run loop did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunReport<T> {
    /// Elements transmitted.
    pub transmitted: u64,
    /// Elements received and put into the channel.
    pub received: u64,
    /// Why transmitting ended.
    pub xmit_end: RunEnd,
    /// Why receiving ended.
    pub recv_end: RunEnd,
    /// The element that was taken from the channel and could not be transmitted.
    pub not_transmitted: Option<T>,
    /// The element that was received and could not be put into the channel.
    pub not_delivered: Option<T>,
    /// Transmitted elements that the peer had not taken from the ring when the loop ended.
    pub not_acknowledged: u64,
}

/// Ends a run loop from another thread.
#[derive(Clone, Debug)]
pub struct StopHandle(Arc<Stop>);

impl StopHandle {
    /// Ends both directions at once, wherever they wait. Elements that are still in a channel stay there, for whoever has the
    /// channel's ends too; what the peer has transmitted and this side not received is gone with the interface.
    pub fn stop(&self) {
        self.0.stop(RunEnd::Stopped);
    }
}

/// A run loop that has not begun yet.
#[derive(Debug)]
pub struct Runner<T> {
    interface: Interface<T>,
    recvr: Receiver<T>,
    sender: Sender<T>,
    stop: Arc<Stop>,
    stopped: Receiver<()>,
}

impl<T: Element> Interface<T> {
    /// Connects as [`new`](Self::new) does and then bridges to two channels until both directions have ended: what arrives on
    /// `recvr` is transmitted, what the peer transmits goes to `sender`.
    ///
    /// A full ring or a full `sender` waits; nothing is dropped. Idle, it uses no CPU. The directions end thus:
    ///
    /// - all senders of `recvr` dropped: what they sent is transmitted, then this side has finished; receiving goes on.
    /// - the peer finished: what it transmitted is delivered, then `sender` is dropped; transmitting goes on.
    /// - the receivers of `sender` dropped: seen at the next element; receiving ends, and the peer is told; transmitting goes on.
    /// - the peer died: what it transmitted is delivered, then both end.
    ///
    /// [`runner`](Self::runner) does the same for an interface that is there already, and has a stop handle.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new). An end is no error, it is in the report.
    pub fn run(
        name: &str,
        cap: usize,
        role: impl Into<Role>,
        stream: UnixStream,
        recvr: Receiver<T>,
        sender: Sender<T>,
    ) -> Result<RunReport<T>, Error> {
        let options = Options::new().name(name).capacity(cap);
        Self::with_options(stream, role, &options)?.runner(recvr, sender)?.run()
    }

    /// Makes a run loop of this interface, to be started with [`Runner::run`].
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there are no descriptors left.
    pub fn runner(self, recvr: Receiver<T>, sender: Sender<T>) -> Result<Runner<T>, Error> {
        let (stopper, stopped) = crossbeam_channel::bounded(0);
        let stop = Stop {
            event: event()?,
            owner: std::process::id(),
            channel: Mutex::new(Some(stopper)),
            reason: OnceLock::new(),
        };
        Ok(Runner { interface: self, recvr, sender, stop: Arc::new(stop), stopped })
    }
}

impl<T: Element> Runner<T> {
    /// A handle that ends the loop.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.stop))
    }

    /// Runs until both directions have ended, receiving on this thread and transmitting on another.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when there are no descriptors or threads left. Nothing has been taken from a channel or a ring then.
    pub fn run(self) -> Result<RunReport<T>, Error> {
        let Self { interface, recvr, sender, stop, stopped } = self;
        let (mut xmit, recv) = interface.split();
        let watch = Watch::new(&xmit)?;
        std::thread::scope(|scope| {
            let transmitting = std::thread::Builder::new().name("memenpsf-xmit".into()).spawn_scoped(scope, || {
                let transmitted = transmit(&mut xmit, recvr, &stop, &stopped);
                watch.xmit_done();
                (transmitted, xmit)
            });
            let transmitting = transmitting.map_err(|source| Error::Io { doing: "starting a thread", source })?;
            let received = receive(recv, sender, &stop, &stopped);
            match received.end {
                // A peer that has only dropped its sending half still receives.
                RunEnd::Finished | RunEnd::LocalGone | RunEnd::Disconnected => watch.for_death(&stop),
                end => stop.stop(end),
            }
            let (transmitted, mut xmit) = match transmitting.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            };
            Ok(RunReport {
                transmitted: transmitted.count,
                received: received.count,
                xmit_end: transmitted.end,
                recv_end: received.end,
                not_transmitted: transmitted.left,
                not_delivered: received.left,
                not_acknowledged: xmit.published().wrapping_sub(xmit.acknowledged()),
            })
        })
    }
}

/// How one direction went: elements moved, why it ended, and the one in hand.
struct Moved<T> {
    count: u64,
    end: RunEnd,
    left: Option<T>,
}

fn transmit<T: Element>(xmit: &mut XmitHalf<T>, recvr: Receiver<T>, stop: &Stop, stopped: &Receiver<()>) -> Moved<T> {
    let mut count = 0;
    loop {
        // In full flow neither the channel nor the ring ever waits for anything.
        if stop.is_set() {
            return Moved { count, end: stop.reason(), left: None };
        }
        let value = match next(&recvr, stopped) {
            Some(Ok(value)) => value,
            Some(Err(())) => {
                // What the peer does about it shows in the other direction.
                let _ = xmit.finish();
                return Moved { count, end: RunEnd::LocalGone, left: None };
            }
            None => return Moved { count, end: stop.reason(), left: None },
        };
        match transmit_one(xmit, value, stop) {
            Ok(()) => count += 1,
            Err((end, value)) => return Moved { count, end, left: Some(value) },
        }
    }
}

/// The channel's next element, `Err` when its senders are gone, `None` when the loop is to stop.
fn next<T>(recvr: &Receiver<T>, stopped: &Receiver<()>) -> Option<Result<T, ()>> {
    match recvr.try_recv() {
        Ok(value) => return Some(Ok(value)),
        Err(TryRecvError::Disconnected) => return Some(Err(())),
        Err(TryRecvError::Empty) => {}
    }
    crossbeam_channel::select! {
        recv(recvr) -> value => Some(value.map_err(drop)),
        recv(stopped) -> _ => None,
    }
}

fn transmit_one<T: Element>(xmit: &mut XmitHalf<T>, mut value: T, stop: &Stop) -> Result<(), (RunEnd, T)> {
    loop {
        match xmit.xmit(value) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_full() => value = error.value,
            Err(error) => return Err((xmit_end(error.kind, stop), error.value)),
        }
        if let Err(error) = xmit.producer.wait_unless(stop.event.as_fd()) {
            return Err((xmit_end(error.kind, stop), value));
        }
    }
}

fn receive<T: Element>(mut recv: RecvHalf<T>, sender: Sender<T>, stop: &Stop, stopped: &Receiver<()>) -> Moved<T> {
    let mut count = 0;
    loop {
        if stop.is_set() {
            return Moved { count, end: stop.reason(), left: None };
        }
        let value = match recv.try_recv() {
            Ok(value) => value,
            Err(RecvError::Empty) => match recv.consumer.wait_unless(stop.event.as_fd()) {
                Ok(_) => continue,
                Err(error) => return Moved { count, end: recv_end(error, stop), left: None },
            },
            Err(error) => return Moved { count, end: recv_end(error, stop), left: None },
        };
        match deliver(value, &sender, stop, stopped) {
            Ok(()) => count += 1,
            Err((end, value)) => return Moved { count, end, left: Some(value) },
        }
    }
}

fn deliver<T>(value: T, sender: &Sender<T>, stop: &Stop, stopped: &Receiver<()>) -> Result<(), (RunEnd, T)> {
    let value = match sender.try_send(value) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Disconnected(value)) => return Err((RunEnd::LocalGone, value)),
        Err(TrySendError::Full(value)) => value,
    };
    let mut select = Select::new();
    let sending = select.send(sender);
    select.recv(stopped);
    let ready = select.select();
    if ready.index() == sending {
        return ready.send(sender, value).map_err(|error| (RunEnd::LocalGone, error.0));
    }
    // The channel carries nothing: this says that it was closed.
    let _ = ready.recv(stopped);
    Err((stop.reason(), value))
}

fn recv_end(error: RecvError, stop: &Stop) -> RunEnd {
    match error {
        RecvError::Finished => RunEnd::Finished,
        RecvError::Corrupt(rule) => RunEnd::Corrupt(rule),
        RecvError::ForkedChild => RunEnd::ForkedChild,
        RecvError::Stopped => stop.reason(),
        _ => RunEnd::Disconnected,
    }
}

fn xmit_end(kind: XmitErrorKind, stop: &Stop) -> RunEnd {
    match kind {
        XmitErrorKind::Corrupt(rule) => {
            // The receiving direction may be asleep, and is over too.
            stop.stop(RunEnd::Corrupt(rule));
            RunEnd::Corrupt(rule)
        }
        XmitErrorKind::ForkedChild => RunEnd::ForkedChild,
        XmitErrorKind::Stopped => stop.reason(),
        _ => RunEnd::Disconnected,
    }
}

/// Ends both directions, wherever they wait: in `ppoll` by the eventfd, in a channel's `select` by the closed channel.
#[derive(Debug)]
struct Stop {
    event: OwnedFd,
    /// A forked child has the eventfd too, and by it would stop its parent's loop.
    owner: u32,
    channel: Mutex<Option<Sender<()>>>,
    reason: OnceLock<RunEnd>,
}

impl Stop {
    /// The first reason stays.
    fn stop(&self, reason: RunEnd) {
        self.reason.get_or_init(|| reason);
        self.channel.lock().unwrap_or_else(PoisonError::into_inner).take();
        if self.owner == std::process::id() {
            signal(self.event.as_fd());
        }
    }

    fn is_set(&self) -> bool {
        self.reason.get().is_some()
    }

    fn reason(&self) -> RunEnd {
        self.reason.get().copied().unwrap_or(RunEnd::Stopped)
    }
}

/// What the receiving thread does when its own work is over: watches for the peer's death on behalf of the other, which may be waiting
/// for its channel.
struct Watch {
    socket: OwnedFd,
    pidfd: Option<OwnedFd>,
    xmit_done: OwnedFd,
}

impl Watch {
    fn new<T>(xmit: &XmitHalf<T>) -> Result<Self, Error> {
        let again = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|source| Error::Io { doing: "duplicating a descriptor", source })
        };
        Ok(Self { socket: again(xmit.as_fd())?, pidfd: xmit.peer_pidfd().map(again).transpose()?, xmit_done: event()? })
    }

    fn xmit_done(&self) {
        signal(self.xmit_done.as_fd());
    }

    /// Returns when transmitting has ended, or when the peer is dead, after stopping the transmitting thread.
    fn for_death(&self, stop: &Stop) {
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
