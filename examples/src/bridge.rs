//! `bridge`: the run loop, with a crossbeam channel for each direction.

use std::{
    io::{self, Write},
    panic::resume_unwind,
    thread,
    time::{Duration, Instant},
};

use crossbeam_channel::bounded;
use memenpsf::{Interface, RunEnd};

use crate::{
    arguments::{Arguments, Command, Outcome, Takes},
    connect::connect,
    message::{ECHO, Message},
};

/// `ipc-client bridge`.
pub const COMMAND: Command =
    Command { name: "ipc-client bridge", help: HELP, takes: &[Takes::Socket, Takes::Seconds], run };

const HELP: &str = "\
Lets a run loop carry messages between two crossbeam channels and the server: one thread of this
program puts numbered messages into a channel, another takes the answers from the second one.

Usage: ipc-client bridge [--socket PATH] [--seconds S]

  --socket PATH    where the server listens     [/tmp/memenpsf.sock]
  --seconds S      how long to go on: a fraction too, up to a day     [2]
";

fn run(arguments: &Arguments) -> Outcome {
    let interface = connect(&arguments.socket, "bridge")?;
    let bridged = bridge(interface, arguments.time)?;
    Ok(writeln!(io::stdout(), "{bridged}")?)
}

/// What went over the bridge.
#[derive(Clone, Copy, Debug)]
pub struct Bridged {
    /// Messages that were put into the one channel and came out of the other.
    pub count: u64,
    /// How long it took.
    pub took: Duration,
}

impl std::fmt::Display for Bridged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rate = self.count as f64 / self.took.as_secs_f64() / 1e6;
        write!(f, "{} messages there and back, {rate:.2} million/s each way", self.count)
    }
}

/// Bridges for `time`, then drops its sender and waits for the rest.
///
/// # Errors
///
/// An answer is not the one that was due, or the loop ended otherwise than by both sides having finished, or not all came
/// back.
pub fn bridge(interface: Interface<Message>, time: Duration) -> Outcome<Bridged> {
    let (outgoing, recvr) = bounded(1024);
    let (sender, incoming) = bounded(1024);
    let runner = interface.runner(recvr, sender)?;
    let start = Instant::now();
    thread::scope(|scope| {
        let producing = scope.spawn(move || {
            let mut number = 0;
            // A full channel waits; one that the loop has dropped says so.
            while start.elapsed() < time && outgoing.send(Message::new(ECHO, number)).is_ok() {
                number += 1;
            }
            number
            // `outgoing` is dropped here: the loop transmits what is left and says that this side has finished.
        });
        let consuming = scope.spawn(move || {
            // Ends when the loop drops its sender: the server has finished, or is gone.
            (0..).zip(incoming).try_fold(0, |count, (due, message): (u64, Message)| {
                if message.number == due { Ok(count + 1) } else { Err((due, message.number)) }
            })
        });
        let report = runner.run()?;
        let sent = producing.join().unwrap_or_else(|panic| resume_unwind(panic));
        let arrived = consuming
            .join()
            .unwrap_or_else(|panic| resume_unwind(panic))
            .map_err(|(due, came)| format!("message {came} came where {due} was due"))?;
        if (report.xmit_end, report.recv_end) != (RunEnd::LocalGone, RunEnd::Finished) {
            return Err(format!(
                "the run loop ended early: transmitting because {}, receiving because {}",
                report.xmit_end, report.recv_end
            )
            .into());
        }
        if arrived != sent {
            return Err(format!("of {sent} messages {arrived} came back").into());
        }
        Ok(Bridged { count: sent, took: start.elapsed() })
    })
}
