//! The run loop: an interface bridged to crossbeam channels.

mod channels;
mod directions;
mod stop;

use std::{fmt, os::unix::net::UnixStream, sync::Arc};

use crossbeam_channel::{Receiver, Sender};

use crate::{Corrupt, Element, Error, Interface, Options, RecvError, Role};
use directions::{receive, transmit};
use stop::{Stop, Watch};

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
        Ok(Runner { interface: self, recvr, sender, stop: Arc::new(Stop::new()?) })
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
        let Self { interface, recvr, sender, stop } = self;
        let (mut xmit, recv) = interface.split();
        let watch = Watch::new(&xmit)?;
        std::thread::scope(|scope| {
            let transmitting = std::thread::Builder::new().name("memenpsf-xmit".into()).spawn_scoped(scope, || {
                let transmitted = transmit(&mut xmit, recvr, &stop);
                watch.xmit_done();
                (transmitted, xmit)
            });
            let transmitting = transmitting.map_err(|source| Error::Io { doing: "starting a thread", source })?;
            let received = receive(recv, sender, &stop);
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
