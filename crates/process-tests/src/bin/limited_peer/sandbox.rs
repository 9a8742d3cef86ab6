//! Calls of the system that a sandbox denies: before the connection is made, or after.

use ipc_queue::{Options, Wait};
use nix::libc;
use process_tests::{
    seccomp::{Calls, fail},
    socket_of_peer,
};

use rustix::event::{PollFd, PollFlags};

use crate::end::{End, open};

/// Messages each way, each of which waits for the one before.
const MANY: u64 = 200;

/// Denies `call`, or several with a `+` in between, with `errno`, `before` or `after` connecting as `kind`, and says how it went.
pub(crate) fn run(kind: &str, when: &str, call: &str, errno: &str) {
    let stream = socket_of_peer();
    let options = Options::new().capacity(8).wait(Wait::Sleep).force_membarrier();
    let errno = if errno == "EPERM" { libc::EPERM } else { libc::ENOSYS };
    let deny = || call.split('+').for_each(|call| fail(number(call), Calls::All, errno));
    if when == "before" {
        deny();
    }
    let mut end = match open(kind, stream, &options) {
        Ok(end) => end,
        Err(error) => return println!("{error}"),
    };
    if when == "after" {
        deny();
    }
    match end.exchange(MANY) {
        Ok(()) => println!("all of them"),
        Err(error) => println!("{error}"),
    }
    if when == "after" {
        outlive(&end);
    }
}

/// Waits with its one ring until the other process is gone, where the kernel tells: what that knows it has not from this one's exit. An
/// end with two rings is dropped, since one of them may be as before.
fn outlive(end: &End) {
    let pidfd = match (&end.producer, &end.consumer) {
        (Some(producer), None) => producer.peer_pidfd(),
        (None, Some(consumer)) => consumer.peer_pidfd(),
        _ => None,
    };
    if let Some(pidfd) = pidfd {
        // Fails where ppoll is what is denied.
        let _ = rustix::event::poll(&mut [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)], None);
    }
}

/// The number of a call that the library makes.
fn number(call: &str) -> libc::c_long {
    match call {
        "clock_nanosleep" => libc::SYS_clock_nanosleep,
        "close" => libc::SYS_close,
        "fcntl" => libc::SYS_fcntl,
        "fstat" => libc::SYS_fstat,
        "fstatfs" => libc::SYS_fstatfs,
        "ftruncate" => libc::SYS_ftruncate,
        "getpeername" => libc::SYS_getpeername,
        "getpid" => libc::SYS_getpid,
        "getsockopt" => libc::SYS_getsockopt,
        "ioctl" => libc::SYS_ioctl,
        "madvise" => libc::SYS_madvise,
        "membarrier" => libc::SYS_membarrier,
        "memfd_create" => libc::SYS_memfd_create,
        "mmap" => libc::SYS_mmap,
        "munmap" => libc::SYS_munmap,
        "nanosleep" => libc::SYS_nanosleep,
        "ppoll" => libc::SYS_ppoll,
        "prlimit64" => libc::SYS_prlimit64,
        "pwrite64" => libc::SYS_pwrite64,
        "recvmsg" => libc::SYS_recvmsg,
        "sched_yield" => libc::SYS_sched_yield,
        "sendmsg" => libc::SYS_sendmsg,
        "setsockopt" => libc::SYS_setsockopt,
        "shutdown" => libc::SYS_shutdown,
        "socketpair" => libc::SYS_socketpair,
        _ => panic!("no call {call}"),
    }
}
