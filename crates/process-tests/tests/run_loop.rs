//! The run loop delivers everything however slow its channels are, and each of its ends does to the other direction what it
//! should, says so in the report, and leaves nothing running.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{thread::JoinHandle, time::Duration};

use memenpsf::{
    Interface, Options, Role, RunEnd, RunReport, StopHandle, Support,
    crossbeam_channel::{Receiver, Sender, bounded, unbounded},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use process_tests::{Holdings, Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// A run loop in a thread of its own, between two channels and a peer in another process.
struct Bridge {
    peer: Peer,
    run: JoinHandle<RunReport<u64>>,
    stop: StopHandle,
    to_peer: Sender<u64>,
    from_peer: Receiver<u64>,
    before: Holdings,
}

/// How many elements the rings and the channels hold.
#[derive(Clone, Copy)]
struct Room {
    rings: usize,
    to_peer: usize,
    from_peer: usize,
}

const AMPLE: Room = Room { rings: 64, to_peer: 64, from_peer: 64 };

impl Bridge {
    fn start(room: Room, steps: &[&str]) -> Self {
        let before = Holdings::now();
        let rings = room.rings.to_string();
        let mut all = vec!["script", "server", rings.as_str()];
        all.extend(steps);
        let (peer, stream) = Peer::start(PEER, &all);
        let options = Options::new().capacity(room.rings);
        let interface = Interface::with_options(stream, Role::Client, &options).unwrap();
        let ((to_peer, recvr), (sender, from_peer)) = (bounded(room.to_peer), bounded(room.from_peer));
        let runner = interface.runner(recvr, sender).unwrap();
        let stop = runner.stop_handle();
        let run = std::thread::spawn(move || runner.run().unwrap());
        Self { peer, run, stop, to_peer, from_peer, before }
    }

    /// The report, once the loop has ended by itself; the user still has both channels.
    fn report(self) -> RunReport<u64> {
        let report = self.run.join().unwrap();
        drop((self.peer, self.stop, self.to_peer, self.from_peer));
        assert_eq!(Holdings::now(), self.before, "left behind");
        report
    }

    fn assert_line(&mut self, line: &str) {
        assert_eq!(self.peer.line(), line);
    }
}

/// Drops a channel's end that is a field of something else: another, of no use, takes its place.
fn drop_sender(sender: &mut Sender<u64>) {
    *sender = unbounded().0;
}

fn drop_receiver(receiver: &mut Receiver<u64>) {
    *receiver = unbounded().1;
}

/// What a report says, without what is left over.
fn ends(report: &RunReport<u64>) -> (u64, u64, RunEnd, RunEnd) {
    (report.transmitted, report.received, report.xmit_end, report.recv_end)
}

fn leftovers(report: &RunReport<u64>) -> (Option<u64>, Option<u64>, u64) {
    (report.not_transmitted, report.not_delivered, report.not_acknowledged)
}

#[test]
fn everything_is_delivered_however_narrow_the_channels_and_rings_are() {
    let _watchdog = Watchdog::new("back-pressure", Duration::from_secs(120));
    const COUNT: u64 = 2000;
    for (rings, to_peer, from_peer) in
        [(1, 0, 0), (1, 1, 1), (1, 0, 1), (2, 1, 0), (64, 0, 0), (1, 4096, 4096), (256, 4096, 100)]
    {
        let mut bridge = Bridge::start(Room { rings, to_peer, from_peer }, &["echo"]);
        std::thread::scope(|scope| {
            let sender = std::mem::replace(&mut bridge.to_peer, unbounded().0);
            let sending = scope.spawn(move || (0..COUNT).for_each(|number| sender.send(number).unwrap()));
            for number in 0..COUNT {
                if number % 64 == 0 {
                    // A user that is busy with something else, for longer than anything here waits without sleeping.
                    let busy = std::time::Instant::now();
                    while busy.elapsed() < Duration::from_millis(1) {
                        std::thread::yield_now();
                    }
                }
                assert_eq!(bridge.from_peer.recv(), Ok(number));
            }
            // A thread is gone once it is joined; the scope waits for less.
            sending.join().unwrap();
        });
        assert!(bridge.from_peer.recv().is_err(), "the peer has finished, and the loop has dropped its sender");
        let report = bridge.report();
        assert_eq!(ends(&report), (COUNT, COUNT, RunEnd::LocalGone, RunEnd::Finished));
        assert_eq!(leftovers(&report), (None, None, 0));
    }
}

#[test]
fn without_a_local_sender_this_side_has_finished_and_goes_on_receiving() {
    let _watchdog = Watchdog::new("local sender gone", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["recv:3", "drain", "send:5", "finish"]);
    (0..3).for_each(|number| bridge.to_peer.send(number).unwrap());
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 3 Finished");
    assert!(bridge.from_peer.iter().eq(0..5));
    let report = bridge.report();
    assert_eq!(ends(&report), (3, 5, RunEnd::LocalGone, RunEnd::Finished));
    assert_eq!(leftovers(&report), (None, None, 0));
}

#[test]
fn without_a_local_sender_the_death_of_the_peer_ends_the_loop() {
    let _watchdog = Watchdog::new("local sender gone, peer killed", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["drain", "pause"]);
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 0 Finished");
    bridge.peer.kill();
    let report = bridge.report();
    assert_eq!(ends(&report), (0, 0, RunEnd::LocalGone, RunEnd::Disconnected));
}

#[test]
fn when_the_peer_has_finished_everything_is_delivered_and_transmitting_goes_on() {
    let _watchdog = Watchdog::new("peer finished", Duration::from_secs(60));
    let room = Room { from_peer: 1, ..AMPLE };
    let mut bridge = Bridge::start(room, &["send:5", "finish", "say:finished", "recv:7", "say:seven", "drain"]);
    bridge.assert_line("finished");
    assert!(bridge.from_peer.iter().eq(0..5), "and the loop drops its sender");
    (0..7).for_each(|number| bridge.to_peer.send(number).unwrap());
    bridge.assert_line("seven");
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 7 Finished");
    let report = bridge.report();
    assert_eq!(ends(&report), (7, 5, RunEnd::LocalGone, RunEnd::Finished));
    assert_eq!(leftovers(&report), (None, None, 0));
}

#[test]
fn without_a_local_receiver_receiving_ends_at_the_next_message_and_transmitting_goes_on() {
    let _watchdog = Watchdog::new("local receiver gone", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["recv:1", "send-until-gone", "recv:3", "say:four", "drain"]);
    drop_receiver(&mut bridge.from_peer);
    // Only now does the peer send anything.
    bridge.to_peer.send(0).unwrap();
    bridge.assert_line("gone");
    (1..4).for_each(|number| bridge.to_peer.send(number).unwrap());
    bridge.assert_line("four");
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 4 Finished");
    let report = bridge.report();
    assert_eq!(ends(&report), (4, 0, RunEnd::LocalGone, RunEnd::LocalGone));
    assert_eq!(leftovers(&report), (None, Some(0), 0), "the message at which it was seen");
}

#[test]
fn a_local_receiver_that_goes_while_the_loop_waits_for_it_is_noticed() {
    let _watchdog = Watchdog::new("local receiver gone while full", Duration::from_secs(60));
    let room = Room { from_peer: 0, ..AMPLE };
    let mut bridge =
        Bridge::start(room, &["send:1", "flush", "say:taken", "send-until-gone", "recv:1", "say:one", "drain"]);
    bridge.assert_line("taken");
    drop_receiver(&mut bridge.from_peer);
    bridge.assert_line("gone");
    bridge.to_peer.send(0).unwrap();
    bridge.assert_line("one");
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 1 Finished");
    let report = bridge.report();
    assert_eq!(ends(&report), (1, 0, RunEnd::LocalGone, RunEnd::LocalGone));
    assert_eq!(leftovers(&report), (None, Some(0), 0));
}

#[test]
fn a_peer_that_receives_no_more_ends_transmitting_only() {
    let _watchdog = Watchdog::new("peer's receiver gone", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["drop:recv", "say:dropped", "send:4", "finish", "flush"]);
    bridge.assert_line("dropped");
    assert!(bridge.from_peer.iter().eq(0..4));
    // Messages go into the ring until the loop asks whether anybody is there, at the latest when it is full.
    let sent = (0..).take_while(|&number| bridge.to_peer.send(number).is_ok()).count() as u64;
    let report = bridge.report();
    assert_eq!((report.received, report.xmit_end, report.recv_end), (4, RunEnd::Disconnected, RunEnd::Finished));
    assert!(report.transmitted <= sent);
    assert_eq!(report.not_acknowledged, report.transmitted, "nobody took any of them");
}

/// What keeps the peer's sockets open when it is dead: nothing, or, where the kernel can tell, its forked child.
fn deaths() -> &'static [bool] {
    if Support::probe().pidfd { &[false, true] } else { &[false] }
}

/// Starts a peer that takes the steps, says "ready" and waits to be killed, and kills it with this.
struct Doomed {
    bridge: Bridge,
    orphan: Option<Pid>,
}

impl Doomed {
    fn start(room: Room, steps: &[&str], with_orphan: bool) -> Self {
        let mut all = steps.to_vec();
        all.extend(if with_orphan { ["orphan", "say:ready", "pause"].as_slice() } else { &["say:ready", "pause"] });
        Self { bridge: Bridge::start(room, &all), orphan: None }
    }

    fn ready(&mut self) {
        loop {
            let line = self.bridge.peer.line();
            match line.split_once(' ') {
                Some(("orphan", pid)) => self.orphan = Some(Pid::from_raw(pid.parse().unwrap())),
                _ => return assert_eq!(line, "ready"),
            }
        }
    }

    /// The report, after the loop has ended by itself.
    fn report(self) -> RunReport<u64> {
        let report = self.bridge.report();
        if let Some(orphan) = self.orphan {
            kill(orphan, Signal::SIGKILL).expect("the survivor survives until here");
        }
        report
    }
}

#[test]
fn a_killed_peer_ends_a_loop_whose_channels_nobody_touches() {
    let _watchdog = Watchdog::new("peer killed, idle", Duration::from_secs(60));
    for &with_orphan in deaths() {
        let mut doomed = Doomed::start(AMPLE, &[], with_orphan);
        doomed.ready();
        doomed.bridge.peer.kill();
        let report = doomed.report();
        assert_eq!(ends(&report), (0, 0, RunEnd::Disconnected, RunEnd::Disconnected));
        assert_eq!(leftovers(&report), (None, None, 0));
    }
}

#[test]
fn what_a_killed_peer_had_sent_is_delivered_when_the_user_makes_room() {
    let _watchdog = Watchdog::new("peer killed, full sender", Duration::from_secs(60));
    for &with_orphan in deaths() {
        let mut doomed = Doomed::start(Room { from_peer: 1, ..AMPLE }, &["send:20"], with_orphan);
        doomed.ready();
        doomed.bridge.peer.kill();
        assert!(doomed.bridge.from_peer.iter().eq(0..20), "and the loop drops its sender");
        let report = doomed.report();
        assert_eq!(ends(&report), (0, 20, RunEnd::Disconnected, RunEnd::Disconnected));
        assert_eq!(leftovers(&report), (None, None, 0));
    }
}

#[test]
fn a_killed_peer_ends_transmitting_that_waits_for_room_in_the_ring() {
    let _watchdog = Watchdog::new("peer killed, full ring", Duration::from_secs(60));
    for &with_orphan in deaths() {
        let room = Room { rings: 2, to_peer: 0, from_peer: 0 };
        let mut doomed = Doomed::start(room, &["recv:1"], with_orphan);
        // One is taken, two fill the ring, and one is in hand.
        (0..4).for_each(|number| doomed.bridge.to_peer.send(number).unwrap());
        doomed.ready();
        doomed.bridge.peer.kill();
        let report = doomed.report();
        assert_eq!(ends(&report), (3, 0, RunEnd::Disconnected, RunEnd::Disconnected));
        assert_eq!(leftovers(&report), (Some(3), None, 2));
    }
}

#[test]
fn a_peer_killed_after_the_local_receiver_is_gone_ends_the_loop() {
    let _watchdog = Watchdog::new("local receiver gone, peer killed", Duration::from_secs(60));
    for &with_orphan in deaths() {
        let mut doomed = Doomed::start(AMPLE, &["recv:1", "send-until-gone"], with_orphan);
        drop_receiver(&mut doomed.bridge.from_peer);
        doomed.bridge.to_peer.send(0).unwrap();
        doomed.bridge.assert_line("gone");
        doomed.ready();
        doomed.bridge.peer.kill();
        let report = doomed.report();
        assert_eq!(ends(&report), (1, 0, RunEnd::Disconnected, RunEnd::LocalGone));
        assert_eq!(leftovers(&report), (None, Some(0), 0));
    }
}

#[test]
fn a_peer_killed_after_it_finished_ends_the_loop() {
    let _watchdog = Watchdog::new("peer finished, then killed", Duration::from_secs(60));
    for &with_orphan in deaths() {
        let mut doomed = Doomed::start(AMPLE, &["send:2", "finish"], with_orphan);
        assert!(doomed.bridge.from_peer.iter().eq(0..2));
        doomed.ready();
        doomed.bridge.peer.kill();
        let report = doomed.report();
        assert_eq!(ends(&report), (0, 2, RunEnd::Disconnected, RunEnd::Finished));
    }
}

#[test]
fn the_stop_handle_ends_an_idle_loop() {
    let _watchdog = Watchdog::new("stop while idle", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["send:1", "drain"]);
    assert_eq!(bridge.from_peer.recv(), Ok(0));
    bridge.stop.stop();
    bridge.stop.stop();
    bridge.assert_line("drained 0 Disconnected");
    let report = bridge.report();
    assert_eq!(ends(&report), (0, 1, RunEnd::Stopped, RunEnd::Stopped));
    assert_eq!(leftovers(&report), (None, None, 0));
}

#[test]
fn the_stop_handle_ends_a_loop_that_waits_for_room_in_the_ring() {
    let _watchdog = Watchdog::new("stop while the ring is full", Duration::from_secs(60));
    let bridge = Bridge::start(Room { rings: 1, to_peer: 0, from_peer: 0 }, &["pause"]);
    (0..2).for_each(|number| bridge.to_peer.send(number).unwrap());
    bridge.stop.stop();
    let report = bridge.report();
    assert_eq!(ends(&report), (1, 0, RunEnd::Stopped, RunEnd::Stopped));
    assert_eq!(leftovers(&report), (Some(1), None, 1));
}

#[test]
fn the_stop_handle_ends_a_loop_that_waits_for_room_in_the_channel() {
    let _watchdog = Watchdog::new("stop while the channel is full", Duration::from_secs(60));
    let mut bridge = Bridge::start(Room { from_peer: 0, ..AMPLE }, &["send:1", "flush", "say:taken", "pause"]);
    bridge.assert_line("taken");
    bridge.stop.stop();
    let report = bridge.report();
    assert_eq!(ends(&report), (0, 0, RunEnd::Stopped, RunEnd::Stopped));
    assert_eq!(leftovers(&report), (None, Some(0), 0));
}

#[test]
fn the_stop_handle_ends_a_loop_of_which_one_direction_is_left() {
    let _watchdog = Watchdog::new("stop with one direction left", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["drain", "pause"]);
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 0 Finished");
    bridge.stop.stop();
    assert_eq!(ends(&bridge.report()), (0, 0, RunEnd::LocalGone, RunEnd::Stopped));

    let bridge = Bridge::start(AMPLE, &["finish", "pause"]);
    assert!(bridge.from_peer.recv().is_err());
    bridge.stop.stop();
    assert_eq!(ends(&bridge.report()), (0, 0, RunEnd::Stopped, RunEnd::Finished));
}

#[test]
fn a_loop_that_is_stopped_before_it_begins_ends_at_once() {
    let _watchdog = Watchdog::new("stop before the start", Duration::from_secs(60));
    let (one, _other) = Interface::<u64>::pair(&Options::new()).unwrap();
    let ((_to_peer, recvr), (sender, _from_peer)) = (unbounded(), unbounded());
    let runner = one.runner(recvr, sender).unwrap();
    runner.stop_handle().stop();
    assert_eq!(ends(&runner.run().unwrap()), (0, 0, RunEnd::Stopped, RunEnd::Stopped));
}

#[test]
fn the_short_form_does_the_same() {
    let _watchdog = Watchdog::new("run", Duration::from_secs(60));
    let (_peer, stream) = Peer::start(PEER, &["script", "server", "1", "echo"]);
    let ((to_peer, recvr), (sender, from_peer)) = (unbounded(), unbounded());
    (0..100).for_each(|number| to_peer.send(number).unwrap());
    drop(to_peer);
    let report = Interface::run("short", 1, 0, stream, recvr, sender).unwrap();
    assert_eq!(ends(&report), (100, 100, RunEnd::LocalGone, RunEnd::Finished));
    assert!(from_peer.iter().eq(0..100));
}

#[test]
fn a_peer_that_only_drops_its_sending_half_is_still_sent_to() {
    let _watchdog = Watchdog::new("a half peer", Duration::from_secs(60));
    let mut bridge = Bridge::start(AMPLE, &["send:2", "drop:xmit", "drain"]);
    assert_eq!((bridge.from_peer.recv(), bridge.from_peer.recv()), (Ok(0), Ok(1)));
    assert!(bridge.from_peer.recv().is_err(), "receiving has ended");
    (0..3).for_each(|number| bridge.to_peer.send(number).unwrap());
    drop_sender(&mut bridge.to_peer);
    bridge.assert_line("drained 3 Finished");
    let report = bridge.report();
    assert_eq!(ends(&report), (3, 2, RunEnd::LocalGone, RunEnd::Disconnected));
}
