//! A server that forks while it listens. The child uses, drops or forgets the listener; the parent goes on.
#![allow(unsafe_code, reason = "fork(2) and _exit(2)")]

use std::{
    io::{Read, Write, pipe},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use memenpsf::{Listener, Options, Pending};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, Pid, fork},
};
use rustix::event::{PollFd, PollFlags, poll};

/// What the child does with its listener before it ends.
const WAYS: [&str; 5] = ["serve", "drop", "forget", "exit", "unwind"];

/// Forks once for each way, and serves a client afterwards, and says each time that somebody serves.
pub(crate) fn run(path: &str) {
    let mut listener = Some(Listener::bind(path).unwrap());
    for way in WAYS {
        // SAFETY: this process has one thread.
        match unsafe { fork() }.unwrap() {
            ForkResult::Parent { child } => {
                assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)), "{way}");
                serve(listener.as_ref().unwrap());
            }
            ForkResult::Child => {
                let done = catch_unwind(AssertUnwindSafe(|| in_child(listener.take().unwrap(), way)));
                // SAFETY: ends the process at once.
                unsafe { nix::libc::_exit(i32::from(done.is_err() != (way == "unwind"))) }
            }
        }
    }
    drop(listener);
    println!("done");
}

fn in_child(listener: Listener, way: &str) {
    match way {
        "serve" => serve(&listener),
        "drop" => drop(listener),
        "forget" => std::mem::forget(listener),
        "exit" => std::process::exit(0),
        // As a panic, but without its message: the listener is dropped on the way.
        _ => resume_unwind(Box::new(())),
    }
}

/// One client, who sends one element and gets it back.
fn serve(listener: &Listener) {
    println!("serving");
    echo(listener.accept().unwrap());
}

fn echo(pending: Pending) {
    let mut client = pending.open::<u64>(&Options::new().capacity(8)).unwrap();
    let value = client.recv_blocking().unwrap();
    client.xmit(value).unwrap();
    assert!(client.recv_blocking().is_err(), "it goes");
}

/// Accepts clients while children have copies of everything: the first child drops what it has, one more client waiting; the second
/// keeps what it has, and the parent drops it all.
pub(crate) fn pending(path: &str) {
    let listener = Listener::bind(path).unwrap();
    println!("listening");
    let first = listener.accept().unwrap();
    // The second client is there, and not accepted.
    poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
    let (first, listener) = dropped_by_a_child(first, listener);
    echo(first);
    echo(listener.accept().unwrap());

    let (third, fourth) = (listener.accept().unwrap(), listener.accept().unwrap());
    let (mut hold, mut release) = pipe().unwrap();
    let (mut answer, mut holds) = pipe().unwrap();
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            drop(release);
            holds.write_all(b"x").unwrap();
            // Until the parent closes its end, also by dying.
            let _ = hold.read(&mut [0]);
            // SAFETY: ends the process at once.
            unsafe { nix::libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            answer.read_exact(&mut [0]).unwrap();
            drop(third);
            println!("third dropped");
            // One who falls back on an open that fails.
            let short = Options::new().handshake_timeout(std::time::Duration::from_millis(1));
            assert!(fourth.open::<u64>(&short).is_err());
            println!("fourth refused");
            // The fifth client is in the backlog.
            poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
            drop(listener);
            println!("listener dropped");
            // The child lives until the test has seen that.
            let _ = std::io::stdin().read(&mut [0]);
            release.write_all(b"x").unwrap();
            succeeded(child);
        }
    }
    println!("done");
}

/// A child drops its copies.
fn dropped_by_a_child(pending: Pending, listener: Listener) -> (Pending, Listener) {
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            succeeded(child);
            (pending, listener)
        }
        ForkResult::Child => {
            drop((pending, listener));
            // SAFETY: ends the process at once.
            unsafe { nix::libc::_exit(0) }
        }
    }
}

fn succeeded(child: Pid) {
    assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
}
