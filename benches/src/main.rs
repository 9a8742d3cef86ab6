//! Single messages of eight bytes from one process to another, beside `rtrb` between two threads, in turn.
//!
//! `cargo run --release -p ipc-bench` prints one line a round, each bracketed by the floor: what a cache line costs to go to the other
//! core and back. Only rounds with the same floor can be compared.
#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a program that prints figures and ends where it cannot")]

use std::{
    io::stdin,
    os::{fd::AsFd, unix::net::UnixStream},
    process::{Command, Stdio},
    thread,
    time::Instant,
};

use ipc_bench::machine::{HERE, THERE, floor, nanoseconds_each, pin};
use memenpsf::{Interface, Options, RecvError, Role};

const MESSAGES: u64 = 20_000_000;
const ROUND_TRIPS: u64 = 500_000;
const CAPACITY: usize = 4096;
const ROUNDS: usize = 7;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("peer") {
        return peer();
    }
    pin(HERE);
    println!("floor ns | ours one way ns | rtrb one way ns | ours round trip ns | rtrb round trip ns | floor ns");
    let mut rows: Vec<[f64; 4]> = Vec::new();
    for _ in 0..ROUNDS {
        let before = floor();
        let (one_way, round_trip) = ours();
        let row = [one_way, rtrb_one_way(), round_trip, rtrb_round_trip()];
        let [a, b, c, d] = row;
        println!("{before:8.0} | {a:15.2} | {b:15.2} | {c:18.1} | {d:18.1} | {:8.0}", floor());
        rows.push(row);
    }
    let median = |ratio: fn(&[f64; 4]) -> f64| {
        let mut ratios: Vec<f64> = rows.iter().map(ratio).collect();
        ratios.sort_by(f64::total_cmp);
        ratios[ratios.len() / 2]
    };
    let one_way = median(|row| row[1] / row[0]);
    let round_trip = median(|row| row[3] / row[2]);
    println!("median of pairs: one way {one_way:.2} times rtrb's rate, round trip {round_trip:.2} times as fast");
}

/// The other process: takes the stream of messages, says so, and answers the round trips.
fn peer() {
    pin(THERE);
    let stream = UnixStream::from(stdin().as_fd().try_clone_to_owned().unwrap());
    let mut interface =
        Interface::<u64>::with_options(stream, Role::Server, &Options::new().capacity(CAPACITY)).unwrap();
    let mut expected = 0;
    while expected < MESSAGES {
        if let Ok(value) = interface.try_recv() {
            assert_eq!(value, expected);
            expected += 1;
        }
    }
    interface.xmit(expected).unwrap();
    loop {
        match interface.try_recv() {
            Ok(value) => interface.xmit(value).unwrap(),
            Err(RecvError::Empty) => {}
            Err(_) => return,
        }
    }
}

fn ours() -> (f64, f64) {
    let (stream, theirs) = UnixStream::pair().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut child =
        Command::new(program).arg("peer").stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs))).spawn().unwrap();
    let mut interface =
        Interface::<u64>::with_options(stream, Role::Client, &Options::new().capacity(CAPACITY)).unwrap();
    let start = Instant::now();
    for value in 0..MESSAGES {
        while interface.xmit(value).is_err() {}
    }
    assert_eq!(interface.recv_blocking(), Ok(MESSAGES));
    let one_way = nanoseconds_each(start, MESSAGES);
    let start = Instant::now();
    for value in 0..ROUND_TRIPS {
        interface.xmit(value).unwrap();
        while interface.try_recv() != Ok(value) {}
    }
    let round_trip = nanoseconds_each(start, ROUND_TRIPS);
    drop(interface);
    child.wait().unwrap();
    (one_way, round_trip)
}

fn rtrb_one_way() -> f64 {
    let (mut producer, mut consumer) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let start = Instant::now();
    let taking = thread::spawn(move || {
        pin(THERE);
        let mut expected = 0;
        while expected < MESSAGES {
            if let Ok(value) = consumer.pop() {
                assert_eq!(value, expected);
                expected += 1;
            }
        }
    });
    for value in 0..MESSAGES {
        while producer.push(value).is_err() {}
    }
    taking.join().unwrap();
    nanoseconds_each(start, MESSAGES)
}

fn rtrb_round_trip() -> f64 {
    let (mut there, mut their_end) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let (mut their_back, mut back) = rtrb::RingBuffer::<u64>::new(CAPACITY);
    let answering = thread::spawn(move || {
        pin(THERE);
        for _ in 0..ROUND_TRIPS {
            let value = loop {
                if let Ok(value) = their_end.pop() {
                    break value;
                }
            };
            their_back.push(value).unwrap();
        }
    });
    let start = Instant::now();
    for value in 0..ROUND_TRIPS {
        there.push(value).unwrap();
        while back.pop() != Ok(value) {}
    }
    answering.join().unwrap();
    nanoseconds_each(start, ROUND_TRIPS)
}
