//! A system that has no memory for a bell, for a while: nobody sleeps through what was published meanwhile.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]
#![allow(unsafe_code, reason = "sendmsg(2) is replaced by one that fails")]

use std::{
    os::unix::net::UnixStream,
    sync::{
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
        mpsc,
    },
    thread,
    time::Duration,
};

use ipc_queue::{Consumer, Element, Options, Producer, RecvError, Wait};
use nix::{
    errno::Errno,
    libc::{self, c_int, msghdr, ssize_t},
};

static NO_MEMORY: AtomicBool = AtomicBool::new(false);
static REFUSED: AtomicU32 = AtomicU32::new(0);

/// In the C library's place.
#[unsafe(no_mangle)]
extern "C" fn sendmsg(socket: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    if NO_MEMORY.load(SeqCst) {
        REFUSED.fetch_add(1, SeqCst);
        Errno::ENOBUFS.set();
        return -1;
    }
    // SAFETY: the arguments are the caller's.
    unsafe { libc::syscall(libc::SYS_sendmsg, socket, message, flags) as ssize_t }
}

const LONG: Duration = Duration::from_secs(20);

/// Whether that thread of this process waits in ppoll(2).
fn sleeps(thread: i32) -> bool {
    let call = std::fs::read_to_string(format!("/proc/self/task/{thread}/syscall")).unwrap_or_default();
    call.split(' ').next() == Some(&libc::SYS_ppoll.to_string())
}

/// Waits until the thread that sends its number waits in ppoll(2).
fn await_sleeper(thread: &mpsc::Receiver<i32>) {
    let thread = thread.recv().unwrap();
    while !sleeps(thread) {
        thread::yield_now();
    }
}

fn this_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

/// Both ends of a ring whose sides sleep at once.
fn ring<T: Element + Send>(capacity: usize) -> (Producer<T>, Consumer<T>) {
    let options = Options::new().capacity(capacity).wait(Wait::Sleep);
    let (one, other) = UnixStream::pair().unwrap();
    thread::scope(|scope| {
        let peer = scope.spawn(|| Consumer::new(other, &options).unwrap());
        (Producer::new(one, &options).unwrap(), peer.join().unwrap())
    })
}

/// Two of these are a piece of a long run.
type Large = [u8; 6000];

/// Takes all that is there. `each` is called with each number on the way, where there is one.
type Take = fn(&mut Consumer<Large>, each: &mut dyn FnMut(u8)) -> Vec<Large>;

const WAYS_TO_TAKE: [Take; 3] = [
    |consumer, _| {
        let mut taken = Vec::new();
        consumer.pop_all(&mut taken).unwrap();
        taken
    },
    |consumer, _| {
        let mut taken = vec![[0; 6000]; 16];
        assert_eq!(consumer.pop_slice(&mut taken), Ok(16));
        taken
    },
    |consumer, each| {
        let mut taken = Vec::new();
        consumer.drain().unwrap().for_each(|value| {
            each(value[0]);
            taken.push(value);
        });
        taken
    },
];

#[test]
fn a_bell_that_is_owed_in_the_middle_of_a_long_run_is_tried_with_each_piece_and_by_the_next_look() {
    for (way, take) in WAYS_TO_TAKE.into_iter().enumerate() {
        let (mut producer, mut consumer) = ring::<Large>(16);
        (0..16).for_each(|n| producer.push([n; 6000]).unwrap());
        thread::scope(|scope| {
            let (here, there) = mpsc::channel();
            let sending = scope.spawn(move || {
                here.send(this_thread()).unwrap();
                // The third is in the second piece.
                assert!(producer.wait_for(3, LONG).unwrap() >= 3);
                producer.push([16; 6000]).unwrap();
            });
            await_sleeper(&there);
            NO_MEMORY.store(true, SeqCst);
            let tried = REFUSED.load(SeqCst);
            let taken = take(&mut consumer, &mut |_| {});
            assert!(taken.into_iter().eq((0..16).map(|n| [n; 6000])), "way {way}");
            let in_a_piece = 8;
            assert!(REFUSED.load(SeqCst) >= tried + 2 * in_a_piece, "way {way}: not tried again");
            assert_eq!(consumer.pop(), Err(RecvError::Empty), "way {way}");
            NO_MEMORY.store(false, SeqCst);
            assert_eq!(consumer.pop_timeout(LONG), Ok([16; 6000]), "way {way}");
            sending.join().unwrap();
        });
    }
}

#[test]
fn a_bell_that_is_owed_in_the_middle_of_a_drain_is_rung_before_its_end() {
    let (mut producer, mut consumer) = ring::<Large>(16);
    (0..16).for_each(|n| producer.push([n; 6000]).unwrap());
    thread::scope(|scope| {
        let (here, there) = mpsc::channel();
        let (awake, woken) = mpsc::channel();
        let sending = scope.spawn(move || {
            here.send(this_thread()).unwrap();
            assert!(producer.wait_for(3, LONG).unwrap() >= 3);
            awake.send(()).unwrap();
        });
        await_sleeper(&there);
        NO_MEMORY.store(true, SeqCst);
        WAYS_TO_TAKE[2](&mut consumer, &mut |number| match number {
            6 => NO_MEMORY.store(false, SeqCst),
            // Two pieces later.
            10 => woken.recv_timeout(LONG).unwrap(),
            _ => {}
        });
        sending.join().unwrap();
    });
}

#[test]
fn who_owes_a_bell_does_not_sleep_as_long_as_who_waits_for_it() {
    let (mut producer, mut consumer) = ring::<u64>(4);
    (0..4).for_each(|n| producer.push(n).unwrap());
    thread::scope(|scope| {
        let (here, there) = mpsc::channel();
        let sending = scope.spawn(move || {
            here.send(this_thread()).unwrap();
            // Waits for room.
            producer.push_timeout(4, LONG).unwrap();
        });
        await_sleeper(&there);
        NO_MEMORY.store(true, SeqCst);
        let receiving = scope.spawn(|| (0..5).for_each(|n| assert_eq!(consumer.pop_timeout(LONG), Ok(n))));
        // Takes one and cannot ring for it. Each look at the ring tries the bell again, before anything more is taken.
        let tried = REFUSED.load(SeqCst);
        while REFUSED.load(SeqCst) < tried + 1000 {
            assert!(!receiving.is_finished(), "the bell was given up, or the fifth came without it");
            thread::yield_now();
        }
        NO_MEMORY.store(false, SeqCst);
        receiving.join().unwrap();
        sending.join().unwrap();
    });
}
