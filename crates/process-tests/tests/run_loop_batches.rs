//! A run loop moves many elements at a time, and whatever ends it in the middle of them, each is accounted for: it has arrived, or
//! it is in the report, or it stays where it was.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use memenpsf::{
    Interface, Options, RecvHalf, RunEnd, RunReport, Runner, StopHandle, XmitHalf,
    crossbeam_channel::{Receiver, Sender, bounded, unbounded},
};
use process_tests::Watchdog;

fn pair(slots: usize) -> (Interface<u64>, Interface<u64>) {
    Interface::pair(&Options::new().capacity(slots)).unwrap()
}

fn start(runner: Runner<u64>) -> (JoinHandle<RunReport<u64>>, StopHandle) {
    let stop = runner.stop_handle();
    (thread::spawn(move || runner.run().unwrap()), stop)
}

/// Elements that a peer transmits at once, and how many of them the user's channel holds.
const AT_ONCE: u64 = 40;
const HELD: u64 = 3;

/// A loop that has filled its user's channel from the ring, and the peer that filled the ring.
struct Stuck {
    running: JoinHandle<RunReport<u64>>,
    stop: StopHandle,
    peer: XmitHalf<u64>,
    _other_half: RecvHalf<u64>,
    from_peer: Receiver<u64>,
    /// Nothing comes from here.
    _to_peer: Sender<u64>,
}

impl Stuck {
    fn start() -> Self {
        let (interface, peer) = pair(64);
        let (mut peer, other_half) = peer.split();
        let all: Vec<_> = (0..AT_ONCE).collect();
        assert_eq!(peer.xmit_slice(&all), Ok(all.len()));
        let ((to_peer, recvr), (sender, from_peer)) = (unbounded(), bounded(HELD as usize));
        let (running, stop) = start(interface.runner(recvr, sender).unwrap());
        // What the channel holds, and one in hand.
        while peer.acknowledged() <= HELD {
            thread::yield_now();
        }
        Self { running, stop, peer, _other_half: other_half, from_peer, _to_peer: to_peer }
    }

    fn assert_report(self, xmit_end: RunEnd, recv_end: RunEnd) {
        let report = self.running.join().unwrap();
        assert_eq!((report.xmit_end, report.recv_end), (xmit_end, recv_end));
        assert_eq!((report.received, report.not_delivered), (HELD, Some(HELD)));
    }
}

#[test]
fn a_receiver_that_goes_in_the_middle_of_a_batch_leaves_the_rest_in_the_ring() {
    let _watchdog = Watchdog::new("receiver gone in a batch", Duration::from_secs(60));
    let mut stuck = Stuck::start();
    stuck.from_peer = unbounded().1;
    while stuck.peer.is_connected() {
        thread::yield_now();
    }
    assert_eq!(stuck.peer.acknowledged(), HELD + 1);
    // Transmitting goes on until it is stopped.
    stuck.stop.stop();
    stuck.assert_report(RunEnd::Stopped, RunEnd::LocalGone);
}

#[test]
fn a_stop_in_the_middle_of_a_batch_leaves_the_rest_in_the_ring() {
    let _watchdog = Watchdog::new("stop in a batch received", Duration::from_secs(60));
    let mut stuck = Stuck::start();
    assert_eq!(stuck.peer.acknowledged(), HELD + 1);
    stuck.stop.stop();
    let delivered = stuck.from_peer.clone();
    stuck.assert_report(RunEnd::Stopped, RunEnd::Stopped);
    assert!(delivered.iter().eq(0..HELD));
}

#[test]
fn a_stop_in_the_middle_of_a_batch_leaves_the_rest_in_the_channel() {
    let _watchdog = Watchdog::new("stop in a batch transmitted", Duration::from_secs(60));
    const SENT: u64 = 100;
    const SLOTS: u64 = 8;
    let (interface, mut peer) = pair(SLOTS as usize);
    let ((to_peer, recvr), (sender, _from_peer)) = (unbounded(), unbounded());
    (0..SENT).for_each(|number| to_peer.send(number).unwrap());
    let (running, stop) = start(interface.runner(recvr.clone(), sender).unwrap());
    // A full ring, and one in hand.
    while recvr.len() as u64 > SENT - SLOTS - 1 {
        thread::yield_now();
    }
    stop.stop();
    let report = running.join().unwrap();
    assert_eq!((report.transmitted, report.not_transmitted, report.not_acknowledged), (SLOTS, Some(SLOTS), SLOTS));
    assert!(recvr.try_iter().eq(SLOTS + 1..SENT), "what was not taken is still there, in order");
    assert!(peer.recv_vectored().unwrap().into_iter().eq(0..SLOTS));
}

#[test]
fn a_stop_in_full_flow_loses_nothing_and_counts_exactly() {
    let _watchdog = Watchdog::new("stop in full flow", Duration::from_secs(120));
    for (round, slots) in [1, 2, 8, 64, 256, 1024].into_iter().cycle().take(30).enumerate() {
        let (here, there) = pair(slots);
        let ((to_loop, recvr), (sender, received)) = (bounded(300), bounded(200));
        let left = recvr.clone();
        let (transmitting, stop) = start(here.runner(recvr, unbounded().0).unwrap());
        let (_silent, nothing) = unbounded();
        let (receiving, _) = start(there.runner(nothing, sender).unwrap());
        let (report, sent) = thread::scope(|scope| {
            let consuming = scope.spawn(|| {
                let stop_at = 97 * round as u64;
                (0..).zip(received.iter()).fold(0, |_, (due, number)| {
                    assert_eq!(number, due);
                    if number == stop_at {
                        stop.stop();
                    }
                    number + 1
                })
            });
            let mut sent = 0;
            // Until the channel is full for good.
            while !(transmitting.is_finished() && to_loop.is_full()) {
                match to_loop.try_send(sent) {
                    Ok(()) => sent += 1,
                    Err(_) => thread::yield_now(),
                }
            }
            let report = transmitting.join().unwrap();
            assert_eq!(consuming.join().unwrap(), report.transmitted, "all that was transmitted arrives");
            (report, sent)
        });
        let arrived = receiving.join().unwrap();
        assert_eq!((arrived.received, arrived.not_delivered), (report.transmitted, None));
        assert!(report.not_transmitted.is_none_or(|number| number == report.transmitted));
        let next = report.transmitted + u64::from(report.not_transmitted.is_some());
        assert!(left.try_iter().eq(next..sent), "what was not taken is still there, in order");
        assert!(report.not_acknowledged <= slots as u64);
    }
}
