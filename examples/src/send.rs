//! `send`: a file through shared memory, compared by checksum.

use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
    time::{Duration, Instant},
};

use memenpsf::Interface;

use crate::{
    arguments::{Arguments, Command, Outcome, Takes},
    connect::{connect, leave},
    message::{KEEP, Message, Summary},
    stream::{summary, xmit_all},
};

/// `ipc-client send`.
pub const COMMAND: Command = Command { name: "ipc-client send", help: HELP, takes: &[Takes::Socket, Takes::Word], run };

const HELP: &str = "\
Pushes a file through to the server and compares checksums. The server keeps no copy.

Usage: ipc-client send FILE [--socket PATH]

  --socket PATH    where the server listens     [/tmp/memenpsf.sock]
";

/// The bytes that one message carries.
const PIECE: usize = 48;

fn run(arguments: &Arguments) -> Outcome {
    // First the file: there is no need to meet for one that cannot be read.
    let mut file = File::open(&arguments.word).map_err(|error| unreadable(&arguments.word, error))?;
    let mut interface = connect(&arguments.socket, "send")?;
    let sent = send(&mut interface, &arguments.word, &mut file)?;
    leave(interface)?;
    Ok(writeln!(io::stdout(), "{sent}")?)
}

/// What went through.
#[derive(Clone, Copy, Debug)]
pub struct Sent {
    /// Bytes of the file.
    pub bytes: u64,
    /// The checksum, which is the same at both ends, and the number of messages.
    pub summary: Summary,
    /// How long it took.
    pub took: Duration,
}

impl std::fmt::Display for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Summary { count, checksum, .. } = self.summary;
        let millis = self.took.as_secs_f64() * 1e3;
        write!(f, "{} bytes in {count} messages, {millis:.1} ms, checksum {checksum:016x} at both ends", self.bytes)
    }
}

/// Sends what `file` holds from here on. Its name is for the error.
///
/// # Errors
///
/// The file cannot be read, the server is gone, or something else arrived than was sent.
pub fn send(interface: &mut Interface<Message>, name: &Path, file: &mut impl Read) -> Outcome<Sent> {
    let start = Instant::now();
    let mut here = Summary::default();
    let mut bytes = 0;
    let mut buffer = vec![0; 1024 * PIECE];
    let mut batch = Vec::new();
    loop {
        let length = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unreadable(name, error)),
        };
        bytes += length as u64;
        batch.clear();
        for piece in buffer[..length].chunks(PIECE) {
            let message = Message::with_payload(KEEP, here.count, piece);
            here.keep(&message);
            batch.push(message);
        }
        xmit_all(interface, &batch)?;
    }
    let there = summary(interface)?;
    if there != here {
        return Err(format!("something else arrived than was sent: {there:x?}, not {here:x?}").into());
    }
    Ok(Sent { bytes, summary: here, took: start.elapsed() })
}

fn unreadable(file: &Path, error: io::Error) -> Box<dyn std::error::Error> {
    format!("cannot read {}: {error}", file.display()).into()
}
