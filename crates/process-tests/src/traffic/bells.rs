//! A bell asked for at the n-th element: the far end waits for it, the near end counts what it rings.

#![allow(clippy::print_stdout, reason = "a far end reports on its standard output")]

use std::{fmt, fs, str::FromStr, time::Duration};

use ipc_queue::{Consumer, Options, Producer, Stats, Wait};
use nix::libc::SYS_ppoll;

use super::{Args, Program, with_fence};
use crate::{Peer, socket_of_peer};

/// A wait that lasts so long is a hang.
const HANG: Duration = Duration::from_secs(100);

/// Which half of the far end waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiter {
    /// The consumer, for elements.
    Consumer,
    /// The producer, for room.
    Producer,
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Consumer { "consumer" } else { "producer" })
    }
}

impl FromStr for Waiter {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Consumer, Self::Producer].into_iter().find(|waiter| waiter.to_string() == text).ok_or(())
    }
}

fn options(capacity: usize, start: u64, fence: bool) -> Options {
    with_fence(Options::new().capacity(capacity).wait(Wait::Sleep).start_position(start), fence)
}

/// For each `n` up to the capacity, a far end that sleeps until there are `n`: it must not wake before the `n`-th, and must wake by
/// it; the bell must be the only one.
pub fn run(program: Program<'_>, waiter: Waiter, capacity: usize, start: u64, fence: bool) {
    let args = [waiter.to_string(), capacity.to_string(), start.to_string(), fence.to_string()];
    let (peer, stream) = program.start("bells", &args);
    let options = options(capacity, start, fence);
    match waiter {
        Waiter::Consumer => {
            let mut producer = Producer::<u64>::new(stream, &options).expect("a connection");
            let mut number = 0;
            each_n(peer, capacity, || {
                producer.push(number).expect("room");
                number += 1;
                producer.stats().bells
            });
        }
        Waiter::Producer => {
            let mut consumer = Consumer::<u64>::new(stream, &options).expect("a connection");
            let mut number = 0;
            each_n(peer, capacity, || {
                assert_eq!(consumer.pop(), Ok(number));
                number += 1;
                consumer.stats().bells
            });
        }
    }
}

/// `publish` moves by one position and returns the bells rung since the beginning.
fn each_n(mut peer: Peer, capacity: usize, mut publish: impl FnMut() -> u64) {
    for n in 1..=capacity {
        assert_eq!(peer.line(), format!("waiting for {n}"));
        until_asleep(peer.pid());
        for k in 1..n {
            assert_eq!(publish(), n as u64 - 1, "a bell at number {k} for a sleeper that asked for {n}");
        }
        assert!(is_asleep(peer.pid()), "awake after {} elements, having asked for {n}", n - 1);
        assert_eq!(publish(), n as u64, "no bell at number {n}, or two");
        assert_eq!(peer.line(), format!("{n} there, slept 1 times, woke 1 times"));
    }
    assert!(peer.wait().success(), "the far end found a fault");
}

pub(super) fn far<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (waiter, capacity, start, fence): (Waiter, usize, u64, bool) =
        (args.next(), args.next(), args.next(), args.next());
    let options = options(capacity, start, fence);
    match waiter {
        Waiter::Consumer => {
            let mut consumer = Consumer::<u64>::new(socket_of_peer(), &options).expect("a connection");
            let mut number = 0;
            for n in 1..=capacity {
                let before = consumer.stats();
                println!("waiting for {n}");
                let there = consumer.wait_for(n, HANG).expect("elements");
                report(there, before, consumer.stats());
                for _ in 0..there {
                    assert_eq!(consumer.pop(), Ok(number));
                    number += 1;
                }
            }
        }
        Waiter::Producer => {
            let mut producer = Producer::<u64>::new(socket_of_peer(), &options).expect("a connection");
            let mut numbers = 0..;
            let mut fill = |producer: &mut Producer<u64>, n: usize| {
                for number in numbers.by_ref().take(n) {
                    producer.push(number).expect("room");
                }
            };
            fill(&mut producer, capacity);
            for n in 1..=capacity {
                let before = producer.stats();
                println!("waiting for {n}");
                let room = producer.wait_for(n, HANG).expect("room");
                report(room, before, producer.stats());
                fill(&mut producer, room);
            }
        }
    }
}

fn report(there: usize, before: Stats, after: Stats) {
    println!("{there} there, slept {} times, woke {} times", after.parks - before.parks, after.wakes - before.wakes);
}

/// Whether the process, which has one thread, is in ppoll(2).
fn is_asleep(pid: u32) -> bool {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).expect("the system call that a child is in, proc(5)");
    call.split(' ').next() == Some(SYS_ppoll.to_string().as_str())
}

/// Returns when the process sleeps. Ends by that, or by the watchdog.
fn until_asleep(pid: u32) {
    while !is_asleep(pid) {
        std::thread::yield_now();
    }
}
