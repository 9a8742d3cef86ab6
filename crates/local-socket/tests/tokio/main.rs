//! The forms for tokio.
#![cfg(feature = "tokio")]
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod connecting;
mod crowd;
mod end;
mod listening;
mod peers_gone;
mod pipes;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../sync/rig.rs"]
mod rig;
mod streams;
mod timeouts;

use std::{future::poll_fn, pin::pin, sync::Once, task::Poll, thread};

use tokio::runtime::Builder;

/// The other process of the tests: this program again, with another part to play.
#[test]
#[ignore = "a part that the tests here start in a process of its own"]
fn role() {
    let Some((role, args)) = rig::my_role() else { return };
    let _watchdog = rig::Watchdog::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), args.as_slice()) {
        ("sync clients", [kind, name]) => crowd::sync_clients(&rig::name(kind, name)),
        ("out of descriptors", []) => listening::out_of_descriptors(),
        other => panic!("no such part: {other:?}"),
    }
}

/// A name of each kind.
fn names(directory: &rig::Directory) -> [local_socket::Name; 2] {
    rig::both_kinds(directory).map(|(kind, name)| rig::name(kind, name))
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

/// What the future is ready with at once, if it is.
async fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}
