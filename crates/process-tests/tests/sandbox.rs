//! A sandbox that denies one system call, before the connection is made or after it, to one of two processes: it works and every message
//! arrives, or both say why. Nobody dies of a signal and nobody waits in vain.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{os::unix::net::UnixStream, time::Duration};

use process_tests::{Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_limited_peer");

/// The end in the sandbox, and the other one. Of each pair the first speaks first.
const ENDS: [(&str, &str); 4] =
    [("client", "server"), ("server", "client"), ("producer", "consumer"), ("consumer", "producer")];

/// How the kernel's answer is named, and how it is shown.
const ERRORS: [(&str, &str, &str); 2] = [
    ("EPERM", "Operation not permitted (os error 1)", "0x1"),
    ("ENOSYS", "Function not implemented (os error 38)", "0x26"),
];

const CLOSED: &str = "the peer closed the connection during the handshake";
const ALL: &str = "all of them";

/// What a call is needed for, and so what is said when it is denied before the connection is made.
#[derive(Clone, Copy)]
enum Need {
    /// It is done without.
    None,
    /// To begin: only this side knows why.
    Beginning(&'static str),
    /// To make this side's segment: the side that speaks second tells the other why.
    Segment(&'static str),
    /// To make one end of the second ring's sockets and the other.
    Sockets,
    /// To judge the peer's segment.
    Judging,
    /// To seal this side's segment, and to judge the peer's.
    Sealing,
    /// To talk: only this side knows why.
    Talking(&'static str),
}

use Need::{Beginning, Judging, Sealing, Segment, Sockets, Talking};

const CALLS: [(&str, Need); 25] = [
    ("clock_nanosleep", Need::None),
    ("close", Need::None),
    ("fcntl", Sealing),
    ("fstat", Judging),
    ("fstatfs", Judging),
    ("ftruncate", Segment("sizing the segment")),
    ("getpeername", Beginning("the socket is not a connected unix stream socket")),
    ("getpid", Need::None),
    ("getsockopt", Beginning("the socket is not a connected unix stream socket")),
    ("ioctl", Talking("making the stream nonblocking")),
    ("madvise", Talking("making the page that tells a fork")),
    ("membarrier", Need::None),
    ("memfd_create", Segment("making a memfd")),
    ("mmap", Talking("making the page that tells a fork")),
    ("munmap", Need::None),
    ("ppoll", Need::None),
    // Neither can be waited for anything, nor just for a while.
    ("ppoll+clock_nanosleep+nanosleep", Need::None),
    ("prlimit64", Segment("asking how large a file may be")),
    ("pwrite64", Segment("allocating the segment's memory")),
    ("recvmsg", Talking("receiving from the peer")),
    ("sched_yield", Need::None),
    ("sendmsg", Talking("sending to the peer")),
    ("setsockopt", Need::None),
    ("shutdown", Need::None),
    ("socketpair", Sockets),
];

/// What the end in the sandbox says, and what the other one is told.
fn denied_before(need: Need, end: &str, error: &str, number: &str) -> (String, String) {
    let speaks_first = ["client", "producer"].contains(&end);
    let unjudged = (
        format!("refused: the segment is not a memfd (0x0 here, {number} there)"),
        format!("refused by the peer: the segment is not a memfd ({number} here, 0x0 there)"),
    );
    match need {
        Beginning(text) => (text.into(), CLOSED.into()),
        Talking(doing) => (format!("{doing}: {error}"), CLOSED.into()),
        Segment(doing) if speaks_first => (format!("{doing}: {error}"), CLOSED.into()),
        Segment(doing) => {
            (format!("{doing}: {error}"), format!("refused by the peer: one end could not go on: {error}"))
        }
        Sockets if end == "client" => (format!("making the second ring's sockets: {error}"), CLOSED.into()),
        Sockets if end == "server" => (
            format!("making the second ring's sockets: {error}"),
            format!("refused by the peer: one end could not go on: {error}"),
        ),
        Sealing if speaks_first => {
            ("this kernel is too old: memfds cannot be sealed (Linux 5.1 and later can)".into(), CLOSED.into())
        }
        Judging | Sealing => unjudged,
        Need::None | Sockets => (ALL.into(), ALL.into()),
    }
}

/// Once connected only bells need the system: where they cannot go, the connection ends for both.
fn is_denied_after(call: &str) -> bool {
    ["sendmsg", "recvmsg"].contains(&call)
}

/// What the end in the sandbox and the other one say.
fn run(ends: (&str, &str), when: &str, call: &str, errno: &str) -> (String, String) {
    let (one, other) = UnixStream::pair().unwrap();
    let mut boxed = Peer::start_with(PEER, &["sandbox", ends.0, when, call, errno], one.into());
    let mut free = Peer::start_with(PEER, &["sandbox", ends.1, "never", call, errno], other.into());
    // The other first: the one in the sandbox keeps its handles until that is gone, so that its exit tells nobody anything.
    let told = (free.line(), boxed.line());
    for peer in [&mut free, &mut boxed] {
        let status = peer.wait();
        assert!(status.success(), "{ends:?}, {call} denied {when}, {errno}: {status}");
    }
    (told.1, told.0)
}

#[test]
fn a_call_denied_before_connecting_is_done_without_or_named_and_the_peer_told_at_once() {
    let _watchdog = Watchdog::new("a sandbox before", Duration::from_secs(100));
    for (call, need) in CALLS {
        for ((errno, error, number), ends) in ERRORS.into_iter().flat_map(|error| ENDS.map(|ends| (error, ends))) {
            let expected = denied_before(need, ends.0, error, number);
            assert_eq!(run(ends, "before", call, errno), expected, "{ends:?}, {call}, {errno}");
        }
    }
}

#[test]
fn a_call_denied_after_connecting_loses_no_message_or_ends_both_sides() {
    let _watchdog = Watchdog::new("a sandbox after", Duration::from_secs(100));
    for (call, _) in CALLS {
        let mut ended = 0;
        for ((errno, ..), ends) in ERRORS.into_iter().flat_map(|error| ENDS.map(|ends| (error, ends))) {
            let (here, there) = run(ends, "after", call, errno);
            let gone = |text: &str| text.ends_with(": the peer is gone");
            if is_denied_after(call) && gone(&here) && gone(&there) {
                ended += 1;
            } else {
                // Two that always find the other's answer while they go to sleep never need a bell.
                assert_eq!((here.as_str(), there.as_str()), (ALL, ALL), "{ends:?}, {call}, {errno}");
            }
        }
        assert_eq!(ended > 0, is_denied_after(call), "{call}: {ended} ended");
    }
}
