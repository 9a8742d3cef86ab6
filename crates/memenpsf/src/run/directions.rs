//! The two directions of a run loop: from a channel into a ring, and from a ring into a channel.
//!
//! Both move a batch at a time, of what is there now, so that the other side sees one step of a position for many elements. What
//! does not fit is not taken: at most one element is ever in hand.

use crossbeam_channel::{Receiver, Sender};

use super::{
    RunEnd,
    channels::{Next, deliver, next},
    stop::Stop,
};
use crate::{Element, RecvError, RecvHalf, XmitErrorKind, XmitHalf};

/// The most elements that are moved before the other side learns of them: of large ones few, so that it need not wait for long.
fn batch<T>() -> usize {
    ((16 << 10) / size_of::<T>()).clamp(1, 64)
}

/// How one direction went: elements moved, why it ended, and the one in hand.
pub(super) struct Moved<T> {
    pub(super) count: u64,
    pub(super) end: RunEnd,
    pub(super) left: Option<T>,
}

pub(super) fn transmit<T: Element>(xmit: &mut XmitHalf<T>, recvr: Receiver<T>, stop: &Stop) -> Moved<T> {
    let wait = xmit.producer.waits();
    let mut count = 0;
    loop {
        // In full flow neither the channel nor the ring ever waits for anything.
        if stop.is_set() {
            return Moved { count, end: stop.reason(), left: None };
        }
        let first = match next(&recvr, stop, wait) {
            Next::Element(first) => first,
            Next::LocalGone => {
                // What the peer does about it shows in the other direction.
                let _ = xmit.finish();
                return Moved { count, end: RunEnd::LocalGone, left: None };
            }
            Next::Stopped => return Moved { count, end: stop.reason(), left: None },
        };
        match transmit_batch(xmit, first, &recvr, stop) {
            Ok(n) => count += n as u64,
            Err((kind, first)) => return Moved { count, end: xmit_end(kind, stop), left: Some(first) },
        }
    }
}

/// Transmits `first`, waiting for room, and what is in the channel behind it, as far as there is room. Returns how many that were.
fn transmit_batch<T: Element>(
    xmit: &mut XmitHalf<T>,
    first: T,
    recvr: &Receiver<T>,
    stop: &Stop,
) -> Result<usize, (XmitErrorKind, T)> {
    let room = match xmit.producer.wait_unless(stop.event()) {
        Ok(room) => room,
        Err(error) => return Err((error.kind, first)),
    };
    let mut batch = match xmit.reserve(room.min(batch::<T>())) {
        Ok(batch) => batch,
        Err(error) => return Err((error.kind, first)),
    };
    let mut n = 0;
    // The slot comes first: no element is taken for which there is none.
    for (slot, value) in batch.iter_mut().zip(std::iter::once(first).chain(recvr.try_iter())) {
        *slot = value;
        n += 1;
    }
    batch.commit(n);
    Ok(n)
}

pub(super) fn receive<T: Element>(mut recv: RecvHalf<T>, sender: Sender<T>, stop: &Stop) -> Moved<T> {
    let wait = recv.consumer.waits();
    let mut count = 0;
    loop {
        if stop.is_set() {
            return Moved { count, end: stop.reason(), left: None };
        }
        let refused = match receive_batch(&mut recv, &sender, &mut count) {
            Ok(None) => continue,
            Ok(Some(refused)) => refused,
            Err(RecvError::Empty) => match recv.consumer.wait_unless(stop.event()) {
                Ok(_) => continue,
                Err(error) => return Moved { count, end: recv_end(error, stop), left: None },
            },
            Err(error) => return Moved { count, end: recv_end(error, stop), left: None },
        };
        match deliver(refused, &sender, stop, wait) {
            Ok(()) => count += 1,
            Err((end, value)) => return Moved { count, end, left: Some(value) },
        }
    }
}

/// Delivers and counts what is in the ring, and returns the first element that the channel does not take at once. By then the slots
/// have been given back; what is behind that element stays in the ring.
fn receive_batch<T: Element>(
    recv: &mut RecvHalf<T>,
    sender: &Sender<T>,
    count: &mut u64,
) -> Result<Option<T>, RecvError> {
    for value in recv.consumer.drain()?.take(batch::<T>()) {
        if let Err(refused) = sender.try_send(value) {
            return Ok(Some(refused.into_inner()));
        }
        *count += 1;
    }
    Ok(None)
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
