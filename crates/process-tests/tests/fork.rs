//! In the child of a fork every handle answers that it belongs to the parent, and touches nothing: neither the connection, which
//! goes on, nor the child's own pages, which lie where the segments lay.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{
    io::{ErrorKind, Read},
    os::unix::net::UnixStream,
    sync::mpsc::{Receiver, channel},
    time::Duration,
};

use ipc_queue::{Consumer, Options, Producer, RecvError, Role, duplex};
use memenpsf::Interface;
use process_tests::{Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// A peer that forks, and the lines that it and its child print.
fn start(case: &str) -> (Peer, UnixStream) {
    Peer::start(PEER, &["fork", case])
}

/// Reads the peer's lines up to the last one in a thread of its own; what it returns first is how the child got on.
fn lines(mut peer: Peer) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        loop {
            let line = peer.line();
            if line.is_empty() || sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Sends the numbers from `next` on until the child is done with its handles, and some more. How many they were in all.
fn send_meanwhile(producer: &mut Producer<u64>, lines: &Receiver<String>, mut next: u64) -> u64 {
    let mut send = |next: &mut u64| {
        producer.push_blocking(*next).unwrap();
        *next += 1;
    };
    let child = loop {
        send(&mut next);
        if let Ok(line) = lines.try_recv() {
            break line;
        }
    };
    assert_eq!(child, "child done");
    (0..1000).for_each(|_| send(&mut next));
    producer.finish().unwrap();
    next
}

fn assert_ended_well(lines: &Receiver<String>, sent: u64) {
    let exited = lines.recv().unwrap();
    assert!(exited.starts_with("Exited(") && exited.ends_with(", 0)"), "the child: {exited}");
    assert_eq!(lines.recv().unwrap(), format!("received {sent}"));
}

/// A peer with both directions forks; `back` is how many messages it sends at the end.
fn both_ways(case: &str, back: u64) {
    let (peer, stream) = start(case);
    let (mut producer, mut consumer) = duplex(stream, Role::Client, &Options::new().capacity(8)).unwrap();
    let lines = lines(peer);
    assert_eq!(producer.push_slice(&[0, 1, 2]).unwrap(), 3);
    let sent = send_meanwhile(&mut producer, &lines, 3);
    for number in 0..back {
        assert_eq!(consumer.pop_blocking(), Ok(number));
    }
    assert_eq!(consumer.pop_blocking(), Err(RecvError::Finished));
    assert_ended_well(&lines, sent);
}

#[test]
fn an_inherited_interface_does_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork of an interface", Duration::from_secs(60));
    both_ways("interface", 3);
}

#[test]
fn inherited_halves_do_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork of two halves", Duration::from_secs(60));
    both_ways("halves", 3);
}

#[test]
fn an_inherited_producer_and_consumer_do_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork of a producer and a consumer", Duration::from_secs(60));
    both_ways("queue", 3);
}

#[test]
fn an_inherited_run_loop_ends_at_once_in_the_child() {
    let _watchdog = Watchdog::new("fork before a run loop", Duration::from_secs(60));
    both_ways("run", 0);
}

#[test]
fn a_run_loop_and_its_stop_handle_do_nothing_to_the_parents_loop_in_the_child() {
    let _watchdog = Watchdog::new("fork of a run loop", Duration::from_secs(60));
    both_ways("runner", 0);
}

#[test]
fn an_inherited_listener_serves_in_the_child_and_leaves_the_path_to_the_parent() {
    let _watchdog = Watchdog::new("fork of a listener", Duration::from_secs(60));
    let path = std::env::temp_dir().join(format!("memenpsf-fork.{}", std::process::id()));
    let (mut peer, _stream) = Peer::start(PEER, &["fork-listener", path.to_str().unwrap()]);
    loop {
        let line = peer.line();
        match line.as_str() {
            "serving" => {
                let mut client = Interface::<u64>::connect(&path, &Options::new().capacity(8)).unwrap();
                client.xmit(7).unwrap();
                assert_eq!(client.recv_blocking(), Ok(7));
            }
            "done" => break,
            line => panic!("{line}"),
        }
    }
    assert!(peer.wait().success());
    assert!(!path.exists(), "the parent removes it");
}

#[test]
fn clients_that_wait_end_with_their_owner_and_not_with_a_child_that_has_copies() {
    let _watchdog = Watchdog::new("fork with clients that wait", Duration::from_secs(60));
    let path = std::env::temp_dir().join(format!("memenpsf-pending.{}", std::process::id()));
    let (mut peer, stream) = Peer::start(PEER, &["fork-pending", path.to_str().unwrap()]);
    assert_eq!(peer.line(), "listening");
    // One that was accepted and one that was not when a child dropped its copies.
    let connect = || UnixStream::connect(&path).unwrap();
    for stream in [connect(), connect()] {
        let mut client = Interface::<u64>::with_options(stream, Role::Client, &Options::new().capacity(8)).unwrap();
        client.xmit(7).unwrap();
        assert_eq!(client.recv_blocking(), Ok(7));
    }
    // Dropped, given up, and not accepted, while a child has copies.
    let clients = [connect(), connect(), connect()];
    for (mut client, line) in clients.into_iter().zip(["third dropped", "fourth refused", "listener dropped"]) {
        assert_eq!(peer.line(), line);
        let end = client.read(&mut [0]);
        assert!(matches!(&end, Ok(0)) || end.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset), "{line}");
    }
    drop(stream);
    assert_eq!(peer.line(), "done");
    assert!(peer.wait().success());
}

#[test]
fn a_reservation_held_across_a_fork_touches_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork with a reservation", Duration::from_secs(60));
    both_ways("reservation", 0);
}

#[test]
fn a_drain_held_across_a_fork_touches_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork with a drain", Duration::from_secs(60));
    both_ways("drain", 0);
}

#[test]
fn a_fork_by_what_a_drain_is_run_through_touches_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork in a drain", Duration::from_secs(60));
    both_ways("drain each", 0);
}

#[test]
fn a_peek_held_across_a_fork_touches_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork with a peek", Duration::from_secs(60));
    both_ways("peek", 0);
}

#[test]
fn an_inherited_consumer_of_a_one_way_queue_does_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork of a consumer", Duration::from_secs(60));
    let (peer, stream) = start("consumer");
    let mut producer = Producer::new(stream, &Options::new().capacity(8)).unwrap();
    let lines = lines(peer);
    let sent = send_meanwhile(&mut producer, &lines, 0);
    assert_ended_well(&lines, sent);
}

#[test]
fn an_inherited_producer_of_a_one_way_queue_does_nothing_in_the_child() {
    let _watchdog = Watchdog::new("fork of a producer", Duration::from_secs(60));
    let (peer, stream) = start("producer");
    let mut consumer = Consumer::<u64>::new(stream, &Options::new()).unwrap();
    let lines = lines(peer);
    for number in 0..1000 {
        assert_eq!(consumer.pop_blocking(), Ok(number));
    }
    assert_eq!(consumer.pop_blocking(), Err(RecvError::Finished));
    assert_eq!(lines.recv().unwrap(), "child done");
    assert_ended_well(&lines, 0);
}
