//! The channels for tokio, and how a message lies in its datagram.
#![cfg(all(feature = "serde", feature = "tokio"))]
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod bootstrap;
mod cancelled;
mod conversions;
mod crowd;
mod ends;
mod leaks;
mod matrix;
mod processes;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../sync/rig.rs"]
mod rig;
mod shutdown;
mod timeouts;
mod wire;

use std::{
    pin::Pin,
    sync::Once,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use local_socket::{
    Error,
    tokio::{Receiver, Sender},
};
use serde::Serialize;
use tokio::{
    runtime::{Builder, Runtime},
    task::yield_now,
};

/// The other process of the tests: this program again, with another part to play.
#[test]
#[ignore = "a part that the tests here start in a process of its own"]
fn role() {
    let Some((role, args)) = rig::my_role() else { return };
    let _watchdog = rig::Watchdog::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), args.as_slice()) {
        ("sums", [path]) => processes::sums(path),
        ("sync ends", [path]) => processes::sync_ends(path),
        ("echo", [path]) => bootstrap::echo(path),
        other => panic!("no such part: {other:?}"),
    }
}

/// One runtime of each kind.
fn runtimes() -> impl Iterator<Item = Runtime> {
    [Builder::new_current_thread, Builder::new_multi_thread]
        .into_iter()
        .map(|builder| builder().worker_threads(2).enable_all().build().unwrap())
}

/// How many descriptors and threads this process has, with those that the first runtime leaves for the others.
fn held() -> (usize, usize) {
    static FIRST_RUNTIME: Once = Once::new();
    FIRST_RUNTIME.call_once(|| {
        // Not in this thread: a runtime may be under way in it.
        thread::spawn(|| drop(Builder::new_current_thread().enable_all().build())).join().unwrap();
    });
    (rig::descriptors(), std::fs::read_dir("/proc/self/task").unwrap().count())
}

/// What the future is ready with when it is polled once, by nobody whom it could wake.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Option<F::Output> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// The same, polled so many times, and before each of them the runtime looks for events.
async fn poll_times<F: Future>(mut future: Pin<&mut F>, times: u32) -> Option<F::Output> {
    for _ in 0..times {
        yield_now().await;
        if let Some(output) = poll_once(future.as_mut()) {
            return Some(output);
        }
    }
    None
}

/// A channel that has no room, and how many values are in it.
fn full<T: Serialize>(mut value: impl FnMut() -> T) -> (Sender<T>, Receiver<T>, usize) {
    let (sender, receiver) = local_socket::channel().unwrap();
    let mut count = 0;
    let error = loop {
        match sender.send_timeout(value(), Duration::ZERO) {
            Ok(()) => count += 1,
            Err(refused) => break refused.error,
        }
    };
    assert!(matches!(error, Error::TimedOut), "{error}");
    let sender = local_socket::tokio::RawSender::try_from(sender.into_raw_sender()).unwrap();
    let receiver = local_socket::tokio::RawReceiver::try_from(receiver.into_raw_receiver()).unwrap();
    (sender.into(), receiver.into(), count)
}

/// Whether a thread of this process is inside recvmsg(2), by `/proc/PID/task/TID/syscall`.
fn sleeps_in_recvmsg(pid: u32) -> bool {
    const NUMBER: &str = if cfg!(target_arch = "x86_64") { "47" } else { "212" };
    std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().any(|task| {
        let call = std::fs::read_to_string(task.unwrap().path().join("syscall"));
        call.is_ok_and(|call| call.split(' ').next() == Some(NUMBER))
    })
}
