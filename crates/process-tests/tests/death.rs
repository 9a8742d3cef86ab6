//! A peer that dies is noticed by whoever looks or waits, behind everything that it had published; and it is told apart from one
//! that has finished.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use ipc_queue::{Consumer, Producer};
use memenpsf::{Interface, Options, RecvError, Role, Support, Wait, XmitErrorKind};
use nix::{
    libc,
    sys::signal::{Signal, kill},
    unistd::{Pid, gettid},
};
use process_tests::{Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// More fruitless looks in a row than it takes until the socket is asked.
const MANY_LOOKS: usize = 2000;

/// What keeps the peer's sockets open when it is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Survivor {
    Nobody,
    ForkedChild,
}

/// Every way to die of which the kernel can tell us.
fn deaths() -> Vec<(Role, Survivor)> {
    let survivors =
        if Support::probe().pidfd { [Survivor::Nobody, Survivor::ForkedChild].as_slice() } else { &[Survivor::Nobody] };
    survivors.iter().flat_map(|&survivor| [(Role::Client, survivor), (Role::Server, survivor)]).collect()
}

/// A peer that has connected and taken its steps but for the last, a pause; killed with its survivor when this is dropped.
struct Mortal {
    peer: Peer,
    orphan: Option<Pid>,
}

impl Mortal {
    fn start(end: &str, survivor: Survivor, steps: &[&str]) -> (Self, std::os::unix::net::UnixStream) {
        let mut all = vec!["script", end, "64"];
        all.extend(steps);
        if survivor == Survivor::ForkedChild {
            all.push("orphan");
        }
        all.extend(["say:ready", "pause"]);
        let (peer, stream) = Peer::start(PEER, &all);
        (Self { peer, orphan: None }, stream)
    }

    /// Connected to a peer in the other role, with a ring of four elements to it.
    fn connect(role: Role, survivor: Survivor, steps: &[&str]) -> (Self, Interface<u64>) {
        let end = if role == Role::Client { "server" } else { "client" };
        let (mortal, stream) = Self::start(end, survivor, steps);
        let options = Options::new().capacity(4).wait(Wait::Sleep);
        let interface = Interface::with_options(stream, role, &options).unwrap();
        assert_eq!(interface.peer_pidfd().is_some(), Support::probe().pidfd);
        (mortal, interface)
    }

    fn ready(&mut self) {
        loop {
            let line = self.peer.line();
            match line.split_once(' ') {
                Some(("orphan", pid)) => self.orphan = Some(Pid::from_raw(pid.parse().unwrap())),
                _ => return assert_eq!(line, "ready"),
            }
        }
    }

    fn kill(&mut self) {
        self.peer.kill();
    }

    /// Kills the peer once the calling thread sleeps in `wait`.
    fn kill_during<R>(&mut self, wait: impl FnOnce() -> R) -> R {
        let waiting = gettid();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                until_asleep(waiting);
                self.kill();
            });
            wait()
        })
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        if let Some(orphan) = self.orphan {
            kill(orphan, Signal::SIGKILL).expect("the survivor survives until here");
        }
    }
}

/// Returns when a thread of this process is asleep in ppoll(2).
fn until_asleep(thread: Pid) {
    let path = format!("/proc/self/task/{thread}/syscall");
    let asleep = format!("{} ", libc::SYS_ppoll);
    while !std::fs::read_to_string(&path).unwrap().starts_with(&asleep) {
        std::thread::yield_now();
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_blocked_receiver() {
    let _watchdog = Watchdog::new("a blocked receiver", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["send:5"]);
        mortal.ready();
        for number in 0..5 {
            assert_eq!(interface.recv_blocking(), Ok(number));
        }
        let end = mortal.kill_during(|| interface.recv_blocking());
        assert_eq!(end, Err(RecvError::Disconnected), "{role:?} {survivor:?}");
        assert_eq!(interface.recv_blocking(), Err(RecvError::Disconnected), "it stays so");
        assert!(!interface.is_connected());
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_receiver_with_a_deadline() {
    let _watchdog = Watchdog::new("a receiver with a deadline", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &[]);
        mortal.ready();
        let end = mortal.kill_during(|| interface.recv_timeout(Duration::from_secs(600)));
        assert_eq!(end, Err(RecvError::Disconnected), "{role:?} {survivor:?}");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_transmitter_blocked_on_a_full_ring() {
    let _watchdog = Watchdog::new("a blocked transmitter", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["recv:2"]);
        for number in 0..6 {
            interface.xmit_blocking(number).unwrap();
        }
        mortal.ready();
        let end = mortal.kill_during(|| interface.xmit_blocking(6)).unwrap_err();
        assert_eq!((end.kind, end.value), (XmitErrorKind::Disconnected, 6), "{role:?} {survivor:?}");
        assert_eq!((interface.published(), interface.acknowledged()), (6, 2), "what it took, and what it did not");
        assert_eq!(interface.xmit(7).unwrap_err().kind, XmitErrorKind::Disconnected, "it stays so");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_flush() {
    let _watchdog = Watchdog::new("a flush", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["recv:2"]);
        for number in 0..3 {
            interface.xmit_blocking(number).unwrap();
        }
        mortal.ready();
        let end = mortal.kill_during(|| interface.flush(Duration::from_secs(600))).unwrap_err();
        assert_eq!(end.kind, XmitErrorKind::Disconnected, "{role:?} {survivor:?}");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_both_halves_blocked_in_two_threads() {
    let _watchdog = Watchdog::new("two blocked halves", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, interface) = Mortal::connect(role, survivor, &[]);
        let (mut xmit, mut recv) = interface.split();
        assert_eq!(xmit.xmit_slice(&[0, 1, 2, 3]).unwrap(), 4);
        mortal.ready();
        let (started, transmitting) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            let transmitter = scope.spawn(move || {
                started.send(gettid()).unwrap();
                xmit.xmit_blocking(4).map_err(|error| error.kind)
            });
            until_asleep(transmitting.recv().unwrap());
            assert_eq!(mortal.kill_during(|| recv.recv_blocking()), Err(RecvError::Disconnected));
            assert_eq!(transmitter.join().unwrap(), Err(XmitErrorKind::Disconnected), "{role:?} {survivor:?}");
        });
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_bare_loop_of_try_recv_behind_what_it_published() {
    let _watchdog = Watchdog::new("a loop of try_recv", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["send:50"]);
        mortal.ready();
        mortal.kill();
        let (mut received, mut looks) = (0, 0);
        let end = loop {
            match interface.try_recv() {
                Ok(number) => {
                    assert_eq!(number, received);
                    received += 1;
                }
                Err(RecvError::Empty) => looks += 1,
                Err(end) => break end,
            }
        };
        assert_eq!((received, end), (50, RecvError::Disconnected), "{role:?} {survivor:?}");
        assert!(looks < MANY_LOOKS, "{looks} fruitless looks");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_bare_loop_of_recv_behind_what_it_published() {
    let _watchdog = Watchdog::new("a loop of recv", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["send:50"]);
        mortal.ready();
        mortal.kill();
        let received: Vec<_> = (0..50 + MANY_LOOKS).filter_map(|_| interface.recv()).collect();
        assert_eq!(received, (0..50).collect::<Vec<_>>());
        // A single look would not ask the socket: that it is known by now is the loop's doing.
        assert_eq!(interface.try_recv(), Err(RecvError::Disconnected), "{role:?} {survivor:?}");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_a_bare_loop_of_xmit() {
    let _watchdog = Watchdog::new("a loop of xmit", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        let (mut mortal, mut interface) = Mortal::connect(role, survivor, &["recv:2"]);
        for number in 0..2 {
            interface.xmit(number).unwrap();
        }
        mortal.ready();
        mortal.kill();
        let (mut sent, mut looks) = (2, 0);
        let end = loop {
            match interface.xmit(sent) {
                Ok(()) => sent += 1,
                Err(error) if error.is_full() => looks += 1,
                Err(error) => break error,
            }
        };
        assert_eq!((end.kind, end.value), (XmitErrorKind::Disconnected, sent), "{role:?} {survivor:?}");
        assert_eq!((sent, interface.acknowledged()), (6, 2), "a ring more than it took");
        assert!(looks < MANY_LOOKS, "{looks} fruitless looks");
    }
}

#[test]
fn a_killed_peer_is_noticed_by_both_kinds_of_one_way_queues() {
    let _watchdog = Watchdog::new("one-way queues", Duration::from_secs(60));
    for (role, survivor) in deaths() {
        if role == Role::Server {
            let (mut mortal, stream) = Mortal::start("producer", survivor, &["send:5"]);
            let mut consumer = Consumer::<u64>::new(stream, &Options::new()).unwrap();
            mortal.ready();
            for number in 0..5 {
                assert_eq!(consumer.pop_blocking(), Ok(number));
            }
            assert_eq!(mortal.kill_during(|| consumer.pop_blocking()), Err(RecvError::Disconnected), "{survivor:?}");
        } else {
            let (mut mortal, stream) = Mortal::start("consumer", survivor, &["recv:1"]);
            let mut producer = Producer::<u64>::new(stream, &Options::new().capacity(1)).unwrap();
            producer.push_blocking(0).unwrap();
            producer.push_blocking(1).unwrap();
            mortal.ready();
            let end = mortal.kill_during(|| producer.push_blocking(2)).unwrap_err();
            assert_eq!((end.kind, end.value), (XmitErrorKind::Disconnected, 2), "{survivor:?}");
        }
    }
}

/// Receives in one of four ways until the end: how many there were, in order from 0, and the end.
fn receive_all(interface: &mut Interface<u64>, way: u64) -> (u64, RecvError) {
    let (mut count, mut batch) = (0, Vec::new());
    loop {
        let received = match way % 4 {
            0 => interface.recv_blocking().map(|number| batch.push(number)),
            1 => interface.try_recv().map(|number| batch.push(number)),
            2 => interface.recv_timeout(Duration::from_secs(600)).map(|number| batch.push(number)),
            _ => interface.recv_slice(&mut batch).map(drop),
        };
        for number in batch.drain(..) {
            assert_eq!(number, count);
            count += 1;
        }
        match received {
            Ok(()) | Err(RecvError::Empty) => {}
            Err(end) => return (count, end),
        }
    }
}

#[test]
fn a_peer_killed_in_full_flow_leaves_a_prefix_of_what_it_sent() {
    let _watchdog = Watchdog::new("kills in full flow", Duration::from_secs(120));
    for round in 0..60 {
        let (mut peer, stream) = Peer::start(PEER, &["script", "server", "64", "send:1000000000"]);
        let options = Options::new().wait(if round % 2 == 0 { Wait::Adaptive } else { Wait::Sleep });
        let mut interface = Interface::<u64>::with_options(stream, Role::Client, &options).unwrap();
        let before = 1 + round * 97;
        for number in 0..before {
            assert_eq!(interface.recv_blocking(), Ok(number));
        }
        peer.kill();
        let mut rest = Vec::new();
        let end = loop {
            match interface.try_recv() {
                Ok(number) => rest.push(number),
                Err(RecvError::Empty) => {}
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvError::Disconnected);
        assert!(rest.len() <= 64, "a dead peer publishes nothing more");
        assert!(rest.iter().copied().eq(before..before + rest.len() as u64), "{rest:?}");
    }
}

/// A peer that sends `count` numbers and then ends in the way of `steps`, `rounds` times: each time all of them and then `end`.
fn the_last_message_arrives(steps: &[&str], rounds: u64, end: RecvError) {
    for round in 0..rounds {
        let count = round % 9;
        let send = format!("send:{count}");
        let mut all = vec!["script", if round % 2 == 0 { "client" } else { "server" }, "16", send.as_str()];
        all.extend(steps);
        let (mut peer, stream) = Peer::start(PEER, &all);
        let options = Options::new().wait(if round % 3 == 0 { Wait::Adaptive } else { Wait::Sleep });
        let role = if round % 2 == 0 { Role::Server } else { Role::Client };
        let mut interface = Interface::with_options(stream, role, &options).unwrap();
        if round % 5 == 0 && !steps.contains(&"drain") {
            // It is gone before the first look; unless it waits for us to go.
            let _ = peer.wait();
        }
        assert_eq!(receive_all(&mut interface, round / 2), (count, end), "round {round} of {steps:?}");
    }
}

#[test]
fn the_last_message_before_finish_arrives_and_the_end_is_finished() {
    let _watchdog = Watchdog::new("finish", Duration::from_secs(120));
    the_last_message_arrives(&["finish", "exit"], 600, RecvError::Finished);
    the_last_message_arrives(&["finish", "drain"], 300, RecvError::Finished);
}

#[test]
fn a_peer_that_finished_and_then_died_has_finished() {
    let _watchdog = Watchdog::new("finish and death", Duration::from_secs(120));
    the_last_message_arrives(&["finish", "kill"], 600, RecvError::Finished);
    the_last_message_arrives(&["finish", "drop:xmit", "drop:recv", "_exit"], 300, RecvError::Finished);
}

#[test]
fn the_last_message_before_exit_arrives_and_the_end_is_disconnected() {
    let _watchdog = Watchdog::new("exit", Duration::from_secs(120));
    for end in ["exit", "_exit", "unwind"] {
        the_last_message_arrives(&[end], 300, RecvError::Disconnected);
    }
}

#[test]
fn the_last_message_before_a_kill_arrives_and_the_end_is_disconnected() {
    let _watchdog = Watchdog::new("kill", Duration::from_secs(120));
    the_last_message_arrives(&["kill"], 900, RecvError::Disconnected);
}

#[test]
fn the_last_message_before_a_drop_arrives_and_the_end_is_disconnected() {
    let _watchdog = Watchdog::new("drop", Duration::from_secs(120));
    the_last_message_arrives(&["drop:xmit", "drop:recv"], 300, RecvError::Disconnected);
    the_last_message_arrives(&["drop:recv", "drop:xmit"], 300, RecvError::Disconnected);
}
