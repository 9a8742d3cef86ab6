//! Ends for tokio that go to processes without it, and come back.

use std::os::fd::AsFd;

use local_socket::{
    Error,
    tokio::{Bootstrapper, Receiver, Sender, channel, duplex},
};
use rustix::fs::{OFlags, fcntl_getfl};
use serde::{Deserialize, Serialize};

use crate::{
    held,
    rig::{Peer, Watchdog, hear, say},
    runtimes, sleeps_in_recvmsg,
};

/// A task as this process sends it, with ends for tokio.
#[derive(Serialize)]
enum Task {
    Sum(Vec<i64>, Sender<i64>),
    Shutdown,
}

/// The same as a process without tokio receives it.
#[derive(Deserialize)]
enum SyncTask {
    Sum(Vec<i64>, local_socket::Sender<i64>),
    Shutdown,
}

/// Adds up, in a process of its own.
pub(crate) fn sums(path: &str) {
    let tasks = local_socket::Receiver::<SyncTask>::connect(path).unwrap();
    while let SyncTask::Sum(numbers, answers) = tasks.recv().unwrap() {
        answers.send(numbers.iter().sum()).unwrap();
    }
}

#[test]
fn a_child_without_tokio_answers_by_an_end_that_came_from_it() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let bootstrapper = Bootstrapper::new().unwrap();
            let child = Peer::start("sums", &[bootstrapper.path().to_str().unwrap()]);
            for numbers in [vec![23, 42], vec![], vec![1; 10_000]] {
                let (answers, answer) = channel().unwrap();
                let sum = numbers.iter().sum::<i64>();
                bootstrapper.send(Task::Sum(numbers, answers)).await.unwrap();
                assert_eq!(answer.recv().await.unwrap(), sum);
                assert!(matches!(answer.recv().await, Err(Error::EndOfFile)), "it is closed in both processes");
            }
            bootstrapper.send(Task::Shutdown).await.unwrap();
            child.succeeds();
        });
    }
}

/// Waits for a value at an end that was one for tokio, in a process of its own, and sends it back.
pub(crate) fn sync_ends(path: &str) {
    let (back, values) =
        local_socket::Receiver::<(local_socket::Sender<u32>, local_socket::Receiver<u32>)>::connect(path)
            .unwrap()
            .recv()
            .unwrap();
    for end in [back.as_fd(), values.as_fd()] {
        assert!(!fcntl_getfl(end).unwrap().contains(OFlags::NONBLOCK), "a call of any program on it waits");
    }
    assert!(matches!(values.try_recv(), Err(Error::WouldBlock)));
    say("about to wait");
    hear();
    back.send(values.recv().unwrap()).unwrap();
}

#[tokio::test]
async fn the_ends_of_tokio_wait_in_a_process_without_it() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<(Sender<u32>, Receiver<u32>)>::new().unwrap();
    let mut child = Peer::start("sync ends", &[bootstrapper.path().to_str().unwrap()]);
    let ((send, receive), theirs) = duplex::<u32, u32>().unwrap();
    bootstrapper.send(theirs).await.unwrap();
    assert_eq!(child.line(), "about to wait");
    child.tell();
    while !sleeps_in_recvmsg(child.pid().unsigned_abs()) {
        tokio::task::yield_now().await;
    }
    send.send(7).await.unwrap();
    assert_eq!(receive.recv().await.unwrap(), 7);
    child.succeeds();
}

#[tokio::test]
async fn a_child_that_is_killed_is_the_end_for_who_waits_for_its_answer() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<(Sender<u32>, Receiver<u32>)>::new().unwrap();
    let mut child = Peer::start("sync ends", &[bootstrapper.path().to_str().unwrap()]);
    let ((send, receive), theirs) = duplex::<u32, u32>().unwrap();
    bootstrapper.send(theirs).await.unwrap();
    assert_eq!(child.line(), "about to wait");
    let waiting = tokio::spawn(async move { receive.recv().await });
    tokio::task::yield_now().await;
    child.kill();
    assert!(matches!(waiting.await.unwrap(), Err(Error::EndOfFile)));
    assert!(matches!(send.send(1).await.unwrap_err().error, Error::Closed));
}
