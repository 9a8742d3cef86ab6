//! How a run loop waits for its channels: as a ring is waited for, it looks for a while and then sleeps.

use std::{
    hint,
    ops::ControlFlow::{self, Break, Continue},
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, TrySendError};

use super::{RunEnd, stop::Stop};
use crate::Wait;

/// How long a channel is looked at before the thread sleeps.
const LOOKING: Duration = Duration::from_micros(50);
/// How many looks come between two offers of the processor to others: few, since the channel's user may need it.
const LOOKS: u32 = 4;

/// What a channel had.
pub(super) enum Next<T> {
    Element(T),
    /// Its senders are gone, and so is everything that they sent.
    LocalGone,
    /// The loop is to end.
    Stopped,
}

/// The channel's next element, waiting for it as long as it takes.
pub(super) fn next<T>(recvr: &Receiver<T>, stop: &Stop, wait: Wait) -> Next<T> {
    let looked = look(wait, (), |()| match recvr.try_recv() {
        Ok(value) => Break(Next::Element(value)),
        Err(TryRecvError::Disconnected) => Break(Next::LocalGone),
        Err(TryRecvError::Empty) => Continue(()),
    });
    if let Break(next) = looked {
        return next;
    }
    crossbeam_channel::select! {
        recv(recvr) -> value => value.map_or(Next::LocalGone, Next::Element),
        recv(stop.stopped()) -> _ => Next::Stopped,
    }
}

/// Puts an element into the channel, waiting for room as long as it takes, or gives it back.
pub(super) fn deliver<T>(value: T, sender: &Sender<T>, stop: &Stop, wait: Wait) -> Result<(), (RunEnd, T)> {
    let looked = look(wait, value, |value| match sender.try_send(value) {
        Ok(()) => Break(Ok(())),
        Err(TrySendError::Disconnected(value)) => Break(Err((RunEnd::LocalGone, value))),
        Err(TrySendError::Full(value)) => Continue(value),
    });
    let value = match looked {
        Break(delivered) => return delivered,
        Continue(value) => value,
    };
    let mut select = Select::new();
    let sending = select.send(sender);
    select.recv(stop.stopped());
    let ready = select.select();
    if ready.index() == sending {
        return ready.send(sender, value).map_err(|error| (RunEnd::LocalGone, error.0));
    }
    // The channel carries nothing: this says that it was closed.
    let _ = ready.recv(stop.stopped());
    Err((stop.reason(), value))
}

/// Looks, once where no looking was wished for, until a look breaks or it is time to sleep.
#[inline(always)]
fn look<V, R>(wait: Wait, value: V, mut look: impl FnMut(V) -> ControlFlow<R, V>) -> ControlFlow<R, V> {
    let mut value = look(value)?;
    if wait == Wait::Sleep {
        return Continue(value);
    }
    let until = Instant::now() + LOOKING;
    // Ends by the channel or by the clock.
    loop {
        for _ in 0..LOOKS {
            hint::spin_loop();
            value = look(value)?;
        }
        if Instant::now() >= until {
            return Continue(value);
        }
        thread::yield_now();
    }
}
