//! The documents are enough: a Python script written from them joins a queue as its consumer.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

mod rig;

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    process::{Command, Stdio},
    time::Duration,
};

use ipc_queue::{Options, Producer, Wait};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn a_python_script_written_from_the_documents_reads_a_thousand_messages() {
    let alone = rig::alone("a_python_script_written_from_the_documents_reads_a_thousand_messages");
    let (stream, theirs) = UnixStream::pair().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/consumer.py");
    let mut python = Command::new("python3");
    let child = python.arg(script).stdin(OwnedFd::from(theirs)).stdout(Stdio::piped()).spawn().unwrap();
    // Closes our copy of the script's socket.
    drop(python);
    // A ring that wraps many times, so that the producer needs the script's positions and its bells.
    let options = Options::new().capacity(16).wait(Wait::Sleep).handshake_timeout(PATIENCE);
    let mut producer = Producer::<u64>::new(stream, &options).unwrap();
    assert_eq!(producer.peer_name(), "python");
    for number in 0..1000 {
        producer.push_timeout(3 * number + 1, PATIENCE).unwrap();
    }
    producer.finish().unwrap();
    producer.flush(PATIENCE).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), "read 1000 numbers\n");
    assert!(producer.stats().parks > 0, "the producer never slept: the script's bells were not needed");
    drop(producer);
    alone.assert_nothing_left("a queue to a script");
}
