//! A process that forks while it has a connection. The child tries the handles it inherited among pages of its own; the
//! parent goes on.
#![allow(unsafe_code, reason = "fork(2) and _exit(2)")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use ipc_queue::{Consumer, Options, Producer, RecvError, Role, Wait, duplex};
use memenpsf::{Interface, RunEnd, crossbeam_channel::unbounded};
use nix::{
    sys::wait::waitpid,
    unistd::{ForkResult, fork},
};
use process_tests::Holdings;

use crate::{
    forked_answers as answers,
    own_pages::{OwnPages, segment_pages},
    socket_of_peer,
};

fn options() -> Options {
    Options::new().capacity(8).wait(Wait::Sleep)
}

fn interface() -> Interface<u64> {
    let mut interface = Interface::with_options(socket_of_peer(), Role::Server, &options()).unwrap();
    // The test sends three at once: the handle knows of two more, and could deliver them from what it knows.
    assert_eq!(interface.recv_blocking(), Ok(0));
    interface
}

/// Forks. In the child, runs `child` among pages of its own in the segments' places, looks whether `open` descriptors are left if
/// that is given, and ends. Returns in the parent.
fn in_child<H>(open: Option<usize>, handles: H, child: impl FnOnce(H)) -> (nix::unistd::Pid, H) {
    let places = segment_pages();
    assert!(places.len() >= 4, "at least two pages each of two segments");
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => (child, handles),
        ForkResult::Child => end_child(&places, open, || child(handles)),
    }
}

/// What `in_child` does in the child.
fn end_child(places: &[usize], open: Option<usize>, child: impl FnOnce()) -> ! {
    let done = catch_unwind(AssertUnwindSafe(|| {
        assert!(segment_pages().is_empty(), "segments are inherited");
        let mut pages = OwnPages::map(places);
        child();
        pages.check();
        assert_eq!(Holdings::now().mappings, 0);
        if let Some(open) = open {
            assert_eq!(Holdings::now().descriptors, open, "the child's descriptors are closed");
        }
        exchange(Interface::pair(&options()).unwrap());
        pages.check();
    }));
    println!("child {}", if done.is_ok() { "done" } else { "failed" });
    // SAFETY: ends the process at once.
    unsafe { nix::libc::_exit(i32::from(done.is_err())) }
}

/// Sends some messages each way.
fn exchange((mut one, mut other): (Interface<u64>, Interface<u64>)) {
    for number in 0..100 {
        one.xmit(number).unwrap();
        assert_eq!(other.recv_blocking(), Ok(number));
        other.xmit(number).unwrap();
        assert_eq!(one.recv_blocking(), Ok(number));
    }
}

/// Tells how the child ended and how much the parent received.
fn report(child: nix::unistd::Pid, received: u64) {
    println!("{:?}", waitpid(child, None).unwrap());
    println!("received {received}");
}

pub(crate) fn run(case: &str) {
    let open = Holdings::now().descriptors;
    match case {
        "interface" => {
            let (child, mut interface) = in_child(Some(open), interface(), |mut interface| {
                answers::transmitting!(interface);
                answers::receiving!(interface);
                answers::whole(interface);
            });
            let received = 1 + count_from(1, || interface.recv_blocking());
            // Sent back in one go, which shows that the other direction is whole too.
            (0..3).for_each(|number| interface.xmit_blocking(number).unwrap());
            interface.finish().unwrap();
            report(child, received);
        }
        "halves" => {
            let (child, (mut xmit, mut recv)) = in_child(Some(open), interface().split(), |(mut xmit, mut recv)| {
                answers::transmitting!(xmit);
                answers::receiving!(recv);
                answers::half!(xmit);
                answers::half!(recv);
            });
            let received = 1 + count_from(1, || recv.recv_blocking());
            (0..3).for_each(|number| xmit.xmit_blocking(number).unwrap());
            xmit.finish().unwrap();
            report(child, received);
        }
        "queue" => {
            let handles = duplex::<u64>(socket_of_peer(), Role::Server, &options()).unwrap();
            let (child, (mut producer, mut consumer)) =
                in_child(Some(open), handles, |(mut producer, mut consumer)| {
                    answers::producer(&mut producer);
                    answers::consumer(&mut consumer);
                });
            let received = count_from(0, || consumer.pop_blocking());
            (0..3).for_each(|number| producer.push_blocking(number).unwrap());
            producer.finish().unwrap();
            report(child, received);
        }
        "consumer" => {
            let consumer = Consumer::<u64>::new(socket_of_peer(), &options()).unwrap();
            let (child, mut consumer) = in_child(Some(open), consumer, |mut consumer| answers::consumer(&mut consumer));
            report(child, count_from(0, || consumer.pop_blocking()));
        }
        "producer" => {
            let producer = Producer::<u64>::new(socket_of_peer(), &options()).unwrap();
            let (child, mut producer) = in_child(Some(open), producer, |mut producer| answers::producer(&mut producer));
            (0..1000).for_each(|number| producer.push_blocking(number).unwrap());
            producer.finish().unwrap();
            report(child, 0);
        }
        "run" => {
            let (child, mut interface) = in_child(Some(open), interface(), |interface| {
                let ((_sender, to_peer), (from_peer, _receiver)) = (unbounded(), unbounded());
                let report = interface.runner(to_peer, from_peer).unwrap().run().unwrap();
                assert_eq!((report.xmit_end, report.recv_end), (RunEnd::ForkedChild, RunEnd::ForkedChild));
                assert_eq!((report.transmitted, report.received), (0, 0));
            });
            let received = 1 + count_from(1, || interface.recv_blocking());
            interface.finish().unwrap();
            report(child, received);
        }
        "runner" => runner(open),
        "reservation" | "drain" | "drain each" | "peek" => held(case),
        _ => panic!("no case {case}"),
    }
}

/// A run loop that was made before the fork is run and stopped in the child, and then run in the parent.
fn runner(open: usize) {
    let ((sender, to_peer), (from_peer, receiver)) = (unbounded(), unbounded());
    let runner = interface().runner(to_peer, from_peer).unwrap();
    let stop = runner.stop_handle();
    let (child, (runner, _stop)) = in_child(Some(open), (runner, stop), |(runner, stop)| {
        let report = runner.run().unwrap();
        assert_eq!((report.xmit_end, report.recv_end), (RunEnd::ForkedChild, RunEnd::ForkedChild));
        stop.stop();
    });
    drop(sender);
    let done = runner.run().unwrap();
    assert_eq!((done.xmit_end, done.recv_end), (RunEnd::LocalGone, RunEnd::Finished), "stopped by the child");
    assert!(receiver.iter().eq(1..=done.received));
    report(child, 1 + done.received);
}

/// What borrows a handle across the fork is dropped in the child, and used up in the parent.
fn held(what: &str) {
    let (mut producer, mut consumer) = duplex::<u64>(socket_of_peer(), Role::Server, &options()).unwrap();
    // The number of the first message that is still to come.
    let mut received = 0;
    assert!(consumer.wait_for(3, std::time::Duration::from_secs(60)).unwrap() >= 3);
    let child = match what {
        "reservation" => {
            let (child, reservation) = in_child(None, producer.reserve(2).unwrap(), |mut reservation| {
                // Panics, which is not to be shown.
                std::panic::set_hook(Box::new(|_| {}));
                assert!(catch_unwind(AssertUnwindSafe(|| reservation.as_mut_slices().0.fill(1))).is_err());
                assert!(catch_unwind(AssertUnwindSafe(|| reservation.iter_mut().for_each(|slot| *slot = 1))).is_err());
                assert_eq!((reservation.len(), reservation.is_empty()), (2, false));
                let _ = std::panic::take_hook();
                reservation.commit(2);
            });
            drop(reservation);
            child
        }
        "drain" => {
            let mut drain = consumer.drain().unwrap();
            assert_eq!(drain.next(), Some(0));
            let (child, drain) = in_child(None, drain, |mut drain| assert_eq!(drain.next(), None));
            received += 1 + drain.count() as u64;
            child
        }
        "drain each" => {
            let places = segment_pages();
            let mut forked = None;
            consumer.drain().unwrap().for_each(|number| {
                assert_eq!(number, received);
                received += 1;
                if number == 0 {
                    // SAFETY: this process has one thread. The child goes on from here, too, and any access to a segment would end it.
                    forked = Some(unsafe { fork() }.unwrap());
                }
            });
            match forked.unwrap() {
                ForkResult::Parent { child } => child,
                ForkResult::Child => end_child(&places, None, || assert_eq!(received, 1)),
            }
        }
        _ => {
            let (child, peek) = in_child(None, consumer.peek().unwrap(), |peek| {
                assert_eq!(peek.get(0), None);
                peek.consume(2);
            });
            peek.consume(1);
            received += 1;
            child
        }
    };
    received += count_from(received, || consumer.pop_blocking());
    producer.finish().unwrap();
    report(child, received);
}

/// Receives until the peer has finished: the numbers from `first` on. How many they were.
fn count_from(first: u64, mut pop: impl FnMut() -> Result<u64, RecvError>) -> u64 {
    for expected in first.. {
        match pop() {
            Ok(value) => assert_eq!(value, expected),
            Err(end) => {
                assert_eq!(end, RecvError::Finished);
                return expected - first;
            }
        }
    }
    unreachable!("more than 2^64 messages")
}
