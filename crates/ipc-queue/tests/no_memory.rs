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

use ipc_queue::{Consumer, Options, Producer, Wait};
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

#[test]
fn who_owes_a_bell_does_not_sleep_as_long_as_who_waits_for_it() {
    let options = Options::new().capacity(4).wait(Wait::Sleep);
    let (one, other) = UnixStream::pair().unwrap();
    let peer = thread::spawn({
        let options = options.clone();
        move || Consumer::<u64>::new(other, &options).unwrap()
    });
    let mut producer = Producer::<u64>::new(one, &options).unwrap();
    let mut consumer = peer.join().unwrap();
    (0..4).for_each(|n| producer.push(n).unwrap());
    thread::scope(|scope| {
        let (here, there) = mpsc::channel();
        let sending = scope.spawn(move || {
            here.send(rustix::thread::gettid().as_raw_nonzero().get()).unwrap();
            // Waits for room.
            producer.push_timeout(4, LONG).unwrap();
        });
        let sender = there.recv().unwrap();
        while !sleeps(sender) {
            thread::yield_now();
        }
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
