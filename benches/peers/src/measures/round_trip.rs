//! A message goes to the far end and comes back.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{STOP, Values, calibrated, latencies::Latencies, receive, send};
use crate::{
    plan::Drive,
    system::{Receiver, Sender},
};

/// Sends messages and waits for each to come back. Mean nanoseconds a round trip, and the percentiles of as many more
/// with a clock read at each, which takes its time too.
pub fn near<const N: usize>(drive: Drive, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    let mut next = 0;
    let (seconds, count) = calibrated(|count| {
        turns(drive, sender, receiver, next..next + count, || {});
        next += count;
    });
    let mut latencies = Latencies::new();
    let mut last = Instant::now();
    turns(drive, sender, receiver, next..next + count, || {
        let now = Instant::now();
        latencies.add(now - last);
        last = now;
    });
    send(drive, sender, STOP).expect("the far end is there");
    let mut values = latencies.percentiles();
    values.insert("ns".into(), seconds * 1e9 / count as f64);
    values
}

/// Sends messages and waits for each to come back, for so long. Nanoseconds a round trip.
pub fn near_for<const N: usize>(
    time: Duration,
    drive: Drive,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
) -> f64 {
    let start = Instant::now();
    let mut next = 0;
    while start.elapsed() < time {
        turns(drive, sender, receiver, next..next + 1, || {});
        next += 1;
    }
    let elapsed = start.elapsed();
    send(drive, sender, STOP).expect("the far end is there");
    elapsed.as_nanos() as f64 / next as f64
}

/// Sends each message back.
pub fn far<const N: usize>(drive: Drive, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    while let Ok(turn) = receive(drive, receiver)
        && turn != STOP
    {
        send(drive, sender, turn).expect("the near end is there");
    }
    Values::new()
}

#[inline(always)]
fn turns<const N: usize>(
    drive: Drive,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
    numbers: Range<u64>,
    mut after_each: impl FnMut(),
) {
    for turn in numbers {
        send(drive, sender, turn).expect("the far end is there");
        let back = receive(drive, receiver).expect("the far end answers");
        assert_eq!(back, turn);
        after_each();
    }
}
