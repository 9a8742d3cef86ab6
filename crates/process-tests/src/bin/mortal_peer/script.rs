//! A peer that does what its arguments say, step by step, and ends in the way asked for.
#![allow(unsafe_code, reason = "fork(2) and _exit(2)")]

use crate::socket_of_peer;
use ipc_queue::{Consumer, Options, Producer, RecvError, Role, Wait, XmitErrorKind, duplex};
use nix::{
    sys::signal::{Signal, raise},
    unistd::{ForkResult, alarm, fork, pause},
};

/// The end of the connection that this process has. What it sends are the numbers from 0, and what it receives too.
struct End {
    producer: Option<Producer<u64>>,
    consumer: Option<Consumer<u64>>,
    sent: u64,
    received: u64,
}

/// Connects over the standard input as `client`, `server`, `producer` or `consumer`, and takes the steps.
pub(crate) fn run(end: &str, capacity: usize, steps: &[&str]) {
    let (stream, options) = (socket_of_peer(), Options::new().capacity(capacity).name("mortal").wait(Wait::Sleep));
    let (producer, consumer) = match end {
        "producer" => (Some(Producer::new(stream, &options).unwrap()), None),
        "consumer" => (None, Some(Consumer::new(stream, &options).unwrap())),
        _ => {
            let role = if end == "client" { Role::Client } else { Role::Server };
            let (producer, consumer) = duplex(stream, role, &options).unwrap();
            (Some(producer), Some(consumer))
        }
    };
    let mut end = End { producer, consumer, sent: 0, received: 0 };
    for step in steps {
        match step.split_once(':') {
            Some(("send", n)) => end.send(n.parse().unwrap()),
            Some(("recv", n)) => end.recv(n.parse().unwrap()),
            Some(("say", word)) => println!("{word}"),
            Some(("drop", "xmit")) => end.producer = None,
            Some(("drop", "recv")) => end.consumer = None,
            None => end.step(step),
            _ => panic!("no step {step}"),
        }
    }
}

impl End {
    fn producer(&mut self) -> &mut Producer<u64> {
        self.producer.as_mut().unwrap()
    }

    fn consumer(&mut self) -> &mut Consumer<u64> {
        self.consumer.as_mut().unwrap()
    }

    fn send(&mut self, n: u64) {
        for _ in 0..n {
            let value = self.sent;
            self.producer().push_blocking(value).unwrap();
            self.sent += 1;
        }
    }

    fn recv(&mut self, n: u64) {
        for _ in 0..n {
            let expected = self.received;
            assert_eq!(self.consumer().pop_blocking(), Ok(expected));
            self.received += 1;
        }
    }

    fn step(&mut self, step: &str) {
        match step {
            "finish" => self.producer().finish().unwrap(),
            "flush" => self.producer().flush(std::time::Duration::from_secs(60)).unwrap(),
            "drain" => self.drain(),
            "echo" => self.echo(),
            "send-until-gone" => self.send_until_gone(),
            "orphan" => orphan(),
            "pause" => loop {
                pause();
            },
            "kill" => raise(Signal::SIGKILL).unwrap(),
            "exit" => std::process::exit(0),
            // SAFETY: ends the process at once.
            "_exit" => unsafe { nix::libc::_exit(0) },
            // As a panic, but without its message.
            "unwind" => std::panic::resume_unwind(Box::new(())),
            _ => panic!("no step {step}"),
        }
    }

    /// Receives until the end, and says how much that was and why it ended.
    fn drain(&mut self) {
        let end = loop {
            let expected = self.received;
            match self.consumer().pop_blocking() {
                Ok(value) => assert_eq!(value, expected),
                Err(end) => break end,
            }
            self.received += 1;
        };
        println!("drained {} {end:?}", self.received);
    }

    fn echo(&mut self) {
        loop {
            match self.consumer().pop_blocking() {
                Ok(value) => self.producer().push_blocking(value).unwrap(),
                Err(RecvError::Finished) => return self.producer().finish().unwrap(),
                Err(end) => panic!("{end}"),
            }
        }
    }

    fn send_until_gone(&mut self) {
        loop {
            let value = self.sent;
            match self.producer().push_blocking(value) {
                Ok(()) => self.sent += 1,
                Err(error) => {
                    assert_eq!(error.kind, XmitErrorKind::Disconnected);
                    return println!("gone");
                }
            }
        }
    }
}

/// Forks a child that keeps every descriptor and does nothing. The test kills it, or its alarm does.
fn orphan() {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => println!("orphan {child}"),
        ForkResult::Child => {
            alarm::set(120);
            loop {
                pause();
            }
        }
    }
}
