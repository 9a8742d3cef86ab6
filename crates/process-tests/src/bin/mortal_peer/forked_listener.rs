//! A server that forks while it listens. The child uses, drops or forgets the listener; the parent goes on.
#![allow(unsafe_code, reason = "fork(2) and _exit(2)")]

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use memenpsf::{Listener, Options};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};

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
    let mut client = listener.accept().unwrap().open::<u64>(&Options::new().capacity(8)).unwrap();
    let value = client.recv_blocking().unwrap();
    client.xmit(value).unwrap();
    assert!(client.recv_blocking().is_err(), "it goes");
}
