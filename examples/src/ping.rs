//! `ping`: round trips, one after the other.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use memenpsf::Interface;

use crate::{
    arguments::{Arguments, Command, Outcome, Takes},
    connect::{answer, connect, leave},
    message::{ECHO, Message},
    show::latency::Latency,
};

/// `ipc-client ping`.
pub const COMMAND: Command =
    Command { name: "ipc-client ping", help: HELP, takes: &[Takes::Socket, Takes::Seconds], run };

const HELP: &str = "\
Sends one message, waits for it to come back, sends the next; then tells how long that took.

Usage: ipc-client ping [--socket PATH] [--seconds S]

  --socket PATH    where the server listens     [/tmp/memenpsf.sock]
  --seconds S      how long to go on: a fraction too, up to a day     [2]

Two processes that are both awake answer each other without a system call. On a machine with
one core, or a busy one, each round trip has to wait for the scheduler.
";

fn run(arguments: &Arguments) -> Outcome {
    let mut interface = connect(&arguments.socket, "ping")?;
    let latencies = round_trips(&mut interface, arguments.time)?;
    leave(interface)?;
    Ok(writeln!(io::stdout(), "{}", Latency(&latencies))?)
}

/// Makes round trips for `time` and returns what each took, in nanoseconds.
///
/// # Errors
///
/// The server is gone, or an answer is not the one that was due.
pub fn round_trips(interface: &mut Interface<Message>, time: Duration) -> Outcome<Histogram<u64>> {
    // Up to ten seconds, in steps of a thousandth.
    let mut latencies = Histogram::new_with_bounds(1, 10_000_000_000, 3)?;
    let start = Instant::now();
    for number in 0.. {
        let sent = Instant::now();
        // Never full: what was sent before has come back.
        interface.xmit(Message::new(ECHO, number))?;
        // Looks for a while, and sleeps only when the answer takes long.
        let answer = answer(interface)?;
        let received = Instant::now();
        answer.must_be(number)?;
        latencies.saturating_record((received - sent).as_nanos() as u64);
        if received - start >= time {
            break;
        }
    }
    Ok(latencies)
}
