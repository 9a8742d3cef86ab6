//! `stream`: one way, as fast as it goes.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use memenpsf::Interface;

use crate::{
    arguments::{Arguments, Command, Outcome, Takes},
    connect::{answer, connect, leave, transmit},
    message::{KEEP, Message, SUMMARY, Summary},
};

/// `ipc-client stream`.
pub const COMMAND: Command =
    Command { name: "ipc-client stream", help: HELP, takes: &[Takes::Socket, Takes::Seconds], run };

const HELP: &str = "\
Sends messages of 64 bytes in batches, as fast as the server takes them, and asks it at the end
how many arrived and whether they were in order.

Usage: ipc-client stream [--socket PATH] [--seconds S]

  --socket PATH    where the server listens     [/tmp/memenpsf.sock]
  --seconds S      how long to go on: a fraction too, up to a day     [2]
";

/// Messages published at once.
const BATCH: usize = 256;

fn run(arguments: &Arguments) -> Outcome {
    let mut interface = connect(&arguments.socket, "stream")?;
    let streamed = stream(&mut interface, arguments.time)?;
    leave(interface)?;
    Ok(writeln!(io::stdout(), "{streamed}")?)
}

/// What a stream came to.
#[derive(Clone, Copy, Debug)]
pub struct Streamed {
    /// Messages that were sent, and arrived.
    pub count: u64,
    /// From the first message to the server's word that the last has arrived.
    pub took: Duration,
}

impl Streamed {
    /// Messages in a microsecond, which are millions in a second.
    pub fn millions_per_second(&self) -> f64 {
        self.count as f64 / self.took.as_secs_f64() / 1e6
    }
}

impl std::fmt::Display for Streamed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.millions_per_second();
        write!(f, "{} messages, {rate:.1} million/s, {:.0} MB/s", self.count, rate * size_of::<Message>() as f64)
    }
}

/// Streams for `time`.
///
/// # Errors
///
/// The server is gone, or has not kept everything in order.
pub fn stream(interface: &mut Interface<Message>, time: Duration) -> Outcome<Streamed> {
    let mut batch = [Message::new(KEEP, 0); BATCH];
    let mut sent = 0;
    let start = Instant::now();
    while start.elapsed() < time {
        for message in &mut batch {
            message.number = sent;
            sent += 1;
        }
        xmit_all(interface, &batch)?;
    }
    let summary = summary(interface)?;
    if summary.misplaced > 0 || summary.count != sent {
        let Summary { count, misplaced, .. } = summary;
        return Err(format!("of {sent} messages {count} arrived, {misplaced} of them out of order").into());
    }
    Ok(Streamed { count: sent, took: start.elapsed() })
}

/// Transmits all of `messages`, waiting for room as often as it takes.
///
/// # Errors
///
/// The server is gone.
pub fn xmit_all(interface: &mut Interface<Message>, mut messages: &[Message]) -> Outcome {
    while let Some((first, rest)) = messages.split_first() {
        match interface.xmit_slice(messages) {
            Ok(n) => messages = &messages[n..],
            Err(error) if error.is_full() => {
                // Sleeps until there is room for one; by then there is room for more.
                transmit(interface, *first)?;
                messages = rest;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Asks the server what it has kept since it was asked last.
///
/// # Errors
///
/// The server is gone, or answers something else.
pub fn summary(interface: &mut Interface<Message>) -> Outcome<Summary> {
    transmit(interface, Message::new(SUMMARY, 0))?;
    Summary::from_message(&answer(interface)?)
}
