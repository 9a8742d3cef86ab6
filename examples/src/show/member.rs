//! One of the demo's eight clients, in a process of its own.

use std::{
    io::{self, Write},
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use memenpsf::Interface;
use nix::sys::signal::{Signal, raise};

use crate::{
    arguments::{Arguments, Command, Outcome, Takes},
    connect::{answer, connect, leave},
    message::{ECHO, Message},
    show::processes::end_with_parent,
    stream::xmit_all,
};

/// `ipc-client member`.
pub const COMMAND: Command =
    Command { name: "ipc-client member", help: HELP, takes: &[Takes::Socket, Takes::Seconds, Takes::Word], run };

const HELP: &str = "\
One of the demo's clients. It says `ready`, waits for a line on standard input, and does its part:
`talks`, `stops` (by SIGSTOP, in the middle of it) or `silent` (connects, and says nothing).

Usage: ipc-client member MANNER [--socket PATH] [--seconds S]
";

/// Messages on their way at the same time.
const WINDOW: u64 = 64;
/// The first message of the window in which the one that stops does so.
const STOP: u64 = 10 * WINDOW;

fn run(arguments: &Arguments) -> Outcome {
    // The other signals are blocked: they are for the demo, which takes its clients with it.
    end_with_parent(Signal::SIGKILL)?;
    if arguments.word.as_os_str() == "silent" {
        let _stream = UnixStream::connect(&arguments.socket)?;
        return ready();
    }
    let mut interface = connect(&arguments.socket, "member")?;
    ready()?;
    let stops = arguments.word.as_os_str() == "stops";
    let (count, slowest) = talk(&mut interface, arguments.time, stops)?;
    leave(interface)?;
    Ok(writeln!(io::stdout(), "done {count} {}", slowest.as_nanos())?)
}

/// Says so, and waits until it is told to go on.
fn ready() -> Outcome {
    writeln!(io::stdout(), "ready")?;
    io::stdin().read_line(&mut String::new())?;
    Ok(())
}

/// Sends windows of messages and takes them back, for `time`. How many, and how long the slowest window took.
fn talk(interface: &mut Interface<Message>, time: Duration, stops: bool) -> Outcome<(u64, Duration)> {
    let mut window = [Message::new(ECHO, 0); WINDOW as usize];
    let mut slowest = Duration::ZERO;
    let mut first = 0;
    let start = Instant::now();
    // At least beyond the window in which one of them stops.
    while start.elapsed() < time || first <= STOP {
        let sent = Instant::now();
        for (number, message) in (first..).zip(&mut window) {
            message.number = number;
        }
        xmit_all(interface, &window)?;
        if stops && first == STOP {
            // With messages on their way, until somebody sends SIGCONT.
            raise(Signal::SIGSTOP)?;
        }
        for number in first..first + WINDOW {
            answer(interface)?.must_be(number)?;
        }
        slowest = slowest.max(sent.elapsed());
        first += WINDOW;
    }
    Ok((first, slowest))
}
