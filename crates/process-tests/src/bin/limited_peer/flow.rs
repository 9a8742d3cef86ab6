//! A process whose one thread transmits in full flow while another forks. Children and grandchildren use, drop or forget what they have.
#![allow(unsafe_code, reason = "fork(2) and _exit(2) beside other threads")]

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, TryLockError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use memenpsf::{Interface, Options, RecvError, RecvHalf, Role, XmitErrorKind, XmitHalf};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};
use process_tests::socket_of_peer;

/// What a child does with the halves.
const WAYS: [&str; 5] = ["use", "drop", "forget", "exit", "grandchild"];
/// Elements transmitted in one go, between which a child may find the half free.
const BURST: u64 = 1 << 12;
/// Elements received between two forks.
const BETWEEN: u64 = 1000;

/// Transmits the numbers from 0 on until it has forked so often, takes the echoes in between, and says how many there were.
pub(crate) fn run(forks: usize) {
    let options = Options::new().capacity(1 << 14);
    let (xmit, mut recv) = Interface::<u64>::with_options(socket_of_peer(), Role::Client, &options).unwrap().split();
    let (xmit, done) = (Arc::new(Mutex::new(xmit)), AtomicBool::new(false));
    let (mut received, mut free) = (0, 0);
    let transmitted = std::thread::scope(|scope| {
        let transmitting = scope.spawn(|| transmit(&xmit, &done));
        for way in WAYS.iter().cycle().take(forks) {
            received = receive(&mut recv, received, BETWEEN);
            free += usize::from(fork_once(&xmit, &mut recv, way));
        }
        done.store(true, Relaxed);
        transmitting.join().unwrap()
    });
    xmit.lock().unwrap().finish().unwrap();
    let end = loop {
        match recv.recv_blocking() {
            Ok(value) => assert_eq!(value, received),
            Err(end) => break end,
        }
        received += 1;
    };
    assert_eq!((end, received), (RecvError::Finished, transmitted), "lost or doubled");
    println!("{transmitted}");
    println!("{free}");
}

fn transmit(xmit: &Mutex<XmitHalf<u64>>, done: &AtomicBool) -> u64 {
    let mut next = 0;
    while !done.load(Relaxed) {
        let mut xmit = xmit.lock().unwrap();
        let until = next + BURST;
        // Full while the other thread forks: the lock is given back.
        while next < until && xmit.xmit(next).is_ok() {
            next += 1;
        }
        drop(xmit);
        std::thread::yield_now();
    }
    next
}

/// Takes `n` elements: there are more, the flow goes on.
fn receive(recv: &mut RecvHalf<u64>, received: u64, n: u64) -> u64 {
    (received..received + n).for_each(|expected| assert_eq!(recv.recv_blocking(), Ok(expected), "lost or doubled"));
    received + n
}

/// Returns whether the transmitting half was free in the child, and was tried there.
fn fork_once(xmit: &Mutex<XmitHalf<u64>>, recv: &mut RecvHalf<u64>, way: &str) -> bool {
    const FREE: i32 = 10;
    // SAFETY: the child uses nothing that another thread may have locked but what it can lock, and the allocator, which glibc makes
    // whole in the child.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => match waitpid(child, None).unwrap() {
            WaitStatus::Exited(_, code @ (0 | FREE)) => code == FREE,
            status => panic!("the child that was to {way}: {status:?}"),
        },
        ForkResult::Child => {
            let done = catch_unwind(AssertUnwindSafe(|| in_child(xmit, recv, way)));
            let code = match done {
                Ok(true) => FREE,
                Ok(false) => 0,
                Err(_) => 1,
            };
            // SAFETY: ends the process at once.
            unsafe { nix::libc::_exit(code) }
        }
    }
}

fn in_child(xmit: &Mutex<XmitHalf<u64>>, recv: &mut RecvHalf<u64>, way: &str) -> bool {
    match way {
        "use" => {
            assert_eq!(recv.recv_blocking(), Err(RecvError::ForkedChild));
            assert!(!recv.is_connected());
        }
        // SAFETY: the child ends by `_exit`, so nobody drops it again.
        "drop" => drop(unsafe { std::ptr::read(recv) }),
        "exit" => std::process::exit(0),
        "grandchild" => {
            // SAFETY: this process has one thread.
            match unsafe { fork() }.unwrap() {
                ForkResult::Parent { child } => assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0))),
                ForkResult::Child => {
                    let wrong = recv.try_recv() != Err(RecvError::ForkedChild);
                    // SAFETY: ends the process at once.
                    unsafe { nix::libc::_exit(i32::from(wrong)) }
                }
            }
        }
        _ => {}
    }
    // The other thread, which may hold it, is not there.
    match xmit.try_lock() {
        Ok(mut xmit) => {
            assert_eq!(xmit.xmit(7).map_err(|error| error.kind), Err(XmitErrorKind::ForkedChild));
            assert_eq!(xmit.finish().map_err(|error| error.kind), Err(XmitErrorKind::ForkedChild));
            true
        }
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Poisoned(_)) => panic!("nobody panics"),
    }
}
