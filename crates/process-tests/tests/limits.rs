//! A machine that gives too little, to one process or to both: an error with a reason on both sides or a connection that works, nothing
//! left behind, and a connection as soon as there is enough again. Every limit is set in a process of its own.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{collections::BTreeSet, fs::File, path::PathBuf, time::Duration};

use ipc_queue::{Options, Producer, Wait, XmitErrorKind};
use memenpsf::{Interface, Role};
use process_tests::{Peer, Watchdog, skipped};

const PEER: &str = env!("CARGO_BIN_EXE_limited_peer");

/// Attempts under one limit.
const TIMES: usize = 100;

/// The two ends that meet: the one that calls and speaks first, and the one that listens.
const PAIRS: [(&str, &str); 3] = [("client", "server"), ("producer", "consumer"), ("connect", "accept")];

const CLOSED: &str = "the peer closed the connection during the handshake";
const CONNECTED: &str = "connected";
const TOLD: &str = "refused by the peer: one end could not go on: Too many open files (os error 24)";

/// The name of a limit and its value.
type Limited<'a> = Option<(&'a str, u64)>;

/// What two limited processes said, over all attempts; the outcomes are sets, so equal ones are told once.
fn meet(kinds: (&str, &str), limits: (Limited, Limited), times: usize) -> BTreeSet<(String, String)> {
    let path = SocketPath::new();
    let start = |kind: &str, limit: Limited| {
        let (name, value) = limit.unwrap_or(("none", 0));
        let words = ["meet", kind, path.0.to_str().unwrap(), name, &value.to_string(), &times.to_string()];
        Peer::start_with(PEER, &words, File::open("/dev/null").unwrap().into())
    };
    let mut listening = start(kinds.1, limits.1);
    assert_eq!(listening.line(), "listening");
    let mut calling = start(kinds.0, limits.0);
    let context = format!("{kinds:?} with {limits:?}");
    let line =
        |peer: &mut Peer| Some(peer.line()).filter(|line| !line.is_empty()).unwrap_or_else(|| panic!("{context}"));
    let mut told: Vec<_> = (0..times + 2).map(|_| (line(&mut calling), line(&mut listening))).collect();
    for peer in [&mut calling, &mut listening] {
        assert_eq!(peer.line(), "");
        let status = peer.wait();
        assert!(status.success(), "{context}: {status}");
    }
    let both = (CONNECTED.to_owned(), CONNECTED.to_owned());
    assert_eq!(told.pop().as_ref(), Some(&both), "{context}: with the limit lifted");
    assert_eq!(told.remove(0), both, "{context}: before the limit");
    told.into_iter().collect()
}

/// Removed when this is dropped, by a failure too.
struct SocketPath(PathBuf);

impl SocketPath {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("memenpsf-limits.{}", std::process::id())))
    }
}

impl Drop for SocketPath {
    fn drop(&mut self) {
        // A listener has removed its own.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What the listener says when there is no room for what its caller has sent.
const NO_ROOM: &str = "refused: one end could not go on: Too many open files (os error 24)";

/// What the caller says with room for so many descriptors.
fn calling_with_room(kind: &str, room: u64) -> &'static str {
    match (kind, room) {
        ("connect", 0) => "connecting: Too many open files (os error 24)",
        ("connect", 1) | (_, 0) => "making a memfd: Too many open files (os error 24)",
        ("connect", 2 | 3) | ("client", 1 | 2) => "making the second ring's sockets: Too many open files (os error 24)",
        _ => CONNECTED,
    }
}

/// What the two say, the listener having room for so many and the caller for all.
fn listening_with_room(kind: &str, room: u64) -> (&'static str, &'static str) {
    match (kind, room) {
        // The client waits in the queue until there is room.
        ("accept", 0) => (CONNECTED, "accepting a client: Too many open files (os error 24); then connected"),
        ("accept", 1 | 2) | ("server", 0 | 1) | ("consumer", 0) => (TOLD, NO_ROOM),
        ("accept", 3..=5) | ("server", 2..=4) => {
            (TOLD, "making the second ring's sockets: Too many open files (os error 24)")
        }
        _ => (CONNECTED, CONNECTED),
    }
}

/// Whether it matters which is there first: what a server makes while it waits, or what its client sends, for which there is no room then.
fn depends_on_who_is_first(kind: &str, room: u64) -> bool {
    matches!((kind, room), ("accept", 4 | 5) | ("server", 3 | 4) | ("consumer", 1))
}

#[test]
fn a_lack_of_descriptors_in_either_process_is_told_to_both_and_passes() {
    let _watchdog = Watchdog::new("RLIMIT_NOFILE", Duration::from_secs(120));
    for ((caller, listener), room) in PAIRS.into_iter().flat_map(|pair| (0..=7).map(move |room| (pair, room))) {
        let (limit, context) = (Some(("descriptors", room)), format!("{caller} and {listener}, room for {room}"));
        let no_room = depends_on_who_is_first(listener, room).then(|| (TOLD.to_owned(), NO_ROOM.to_owned()));
        let check = |limits, due: (&str, &str), or: Option<&(String, String)>, who| {
            let due = (due.0.to_owned(), due.1.to_owned());
            for told in meet((caller, listener), limits, TIMES) {
                assert!(told == due || Some(&told) == or, "{context} for {who}: {told:?}, not {due:?}");
            }
        };
        let as_caller = calling_with_room(caller, room);
        let met = if as_caller == CONNECTED { CONNECTED } else { CLOSED };
        check((limit, None), (as_caller, met), None, "the caller");
        let (there, here) = listening_with_room(listener, room);
        check((None, limit), (there, here), no_room.as_ref(), "the listener");
        if as_caller == CONNECTED {
            check((limit, limit), (there, here), no_room.as_ref(), "both");
        } else {
            let closed =
                here.split_once("; then").map_or(CLOSED.into(), |(first, _)| format!("{first}; then {CLOSED}"));
            check((limit, limit), (as_caller, &closed), None, "both");
        }
    }
}

#[test]
fn a_user_with_too_many_descriptors_in_flight_is_told_at_once_and_so_is_its_peer() {
    let _watchdog = Watchdog::new("ETOOMANYREFS", Duration::from_secs(20));
    if !nix::unistd::Uid::effective().is_root() {
        return skipped("only root can become a user whom the limit binds");
    }
    let text = "sending to the peer: Too many references: cannot splice (os error 109)";
    let options = Options::new().handshake_timeout(Duration::from_secs(600));
    for (kind, role) in [("client", Role::Server), ("server", Role::Client)] {
        let (mut peer, stream) = Peer::start(PEER, &["in-flight", kind]);
        let told = Interface::<u64>::with_options(stream, role, &options).unwrap_err();
        assert_eq!((peer.line().as_str(), told.to_string().as_str()), (text, CLOSED), "{kind}");
        assert!(peer.wait().success());
    }
}

#[test]
fn a_receiver_whose_last_descriptor_is_taken_away_receives_all_and_sees_the_end() {
    let _watchdog = Watchdog::new("RLIMIT_NOFILE of 0", Duration::from_secs(60));
    let (mut peer, stream) = Peer::start(PEER, &["none-left"]);
    let mut producer = Producer::<u64>::new(stream, &Options::new().capacity(8).wait(Wait::Sleep)).unwrap();
    assert_eq!(peer.line(), "ready");
    assert_eq!(peer.line(), "waiting");
    (0..1000).for_each(|number| producer.push_blocking(number).unwrap());
    producer.flush(Duration::from_secs(50)).unwrap();
    drop(producer);
    assert_eq!(peer.line(), "1000, the peer is gone");
    assert!(peer.wait().success());
}

/// What the caller says when files may be so large, and then what the listener says.
fn with_file_size(kind: &str, most: u64) -> String {
    let needed = if kind == "consumer" { 8192 } else { 12288 };
    match most {
        most if most >= needed => CONNECTED.into(),
        most => format!(
            "the segment needs {needed} bytes, but this process may make files of {most} bytes only (RLIMIT_FSIZE)"
        ),
    }
}

#[test]
fn a_limit_on_files_is_an_error_and_never_its_signal() {
    let _watchdog = Watchdog::new("RLIMIT_FSIZE", Duration::from_secs(60));
    const TOLD: &str = "refused by the peer: one end could not go on: File too large (os error 27)";
    for (caller, listener) in [("client", "server"), ("producer", "consumer")] {
        for most in [0, 1, 4096, 8191, 8192, 12287, 12288] {
            let limit = Some(("file-size", most));
            let here = with_file_size(caller, most);
            let there = if here == CONNECTED { CONNECTED } else { CLOSED };
            assert_eq!(meet((caller, listener), (limit, None), 3), BTreeSet::from([(here, there.into())]));
            let here = with_file_size(listener, most);
            let there = if here == CONNECTED { CONNECTED } else { TOLD };
            assert_eq!(meet((caller, listener), (None, limit), 3), BTreeSet::from([(there.into(), here)]));
        }
    }
}

/// What may be said for want of address space, here and by the peer: in the order in which the mappings are made.
const UNMAPPABLE: [(&str, &str); 4] = [
    ("making the page that tells a fork: Cannot allocate memory (os error 12)", CLOSED),
    ("mapping the segment: Cannot allocate memory (os error 12)", CLOSED),
    (
        "mapping the segment: Cannot allocate memory (os error 12)",
        "refused by the peer: one end could not go on: Cannot allocate memory (os error 12)",
    ),
    (
        "refused: the segment cannot be mapped: Cannot allocate memory (os error 12)",
        "refused by the peer: the segment cannot be mapped: Cannot allocate memory (os error 12)",
    ),
];

#[test]
fn address_space_too_small_by_any_number_of_pages_is_an_error_on_both_sides() {
    let _watchdog = Watchdog::new("RLIMIT_AS", Duration::from_secs(60));
    const MOST: u64 = 24;
    for (kinds, caller) in [(PAIRS[0], true), (PAIRS[0], false), (PAIRS[1], true), (PAIRS[1], false)] {
        let mut reasons = BTreeSet::new();
        let mut enough = None;
        for pages in 0..=MOST {
            let limit = Some(("address-space", pages * 4096));
            let limits = if caller { (limit, None) } else { (None, limit) };
            for (calling, listening) in meet(kinds, limits, 5) {
                let (here, there) = if caller { (calling, listening) } else { (listening, calling) };
                let context = format!("{kinds:?}, {caller}, {pages} pages: {here}; {there}");
                if here == CONNECTED {
                    assert_eq!(there, CONNECTED, "{context}");
                    enough.get_or_insert(pages);
                    continue;
                }
                assert!(UNMAPPABLE.contains(&(here.as_str(), there.as_str())), "{context}");
                assert_eq!(enough, None, "{context}, with fewer it was enough");
                reasons.insert(here);
            }
        }
        assert!(enough.is_some_and(|pages| pages > 0), "{kinds:?}, {caller}: enough is {enough:?}");
        assert_eq!(reasons.len(), 3, "each mapping fails at some size: {reasons:?}");
    }
}

#[test]
fn nothing_has_to_be_locked_in_memory() {
    let _watchdog = Watchdog::new("RLIMIT_MEMLOCK", Duration::from_secs(60));
    let limit = Some(("locked-memory", 0));
    for kinds in PAIRS {
        assert_eq!(meet(kinds, (limit, limit), 3), BTreeSet::from([(CONNECTED.into(), CONNECTED.into())]));
    }
}

#[test]
fn a_run_loop_and_a_pair_without_a_thread_are_errors_and_lose_nothing() {
    let _watchdog = Watchdog::new("no threads", Duration::from_secs(60));
    for how in ["address-space", "processes", "seccomp"] {
        if how == "processes" && !nix::unistd::Uid::effective().is_root() {
            skipped("only root can become a user without processes");
            continue;
        }
        let (mut peer, stream) = Peer::start(PEER, &["threads", how]);
        let mut interface = Interface::<u64>::with_options(stream, Role::Client, &Options::new().capacity(8)).unwrap();
        assert_eq!(interface.xmit_slice(&[1, 2, 3]).unwrap(), 3);
        let reason = if how == "seccomp" {
            "Operation not permitted (os error 1)"
        } else {
            "Resource temporarily unavailable (os error 11)"
        };
        for what in ["a run loop", "a pair"] {
            assert_eq!(peer.line(), format!("starting a thread: {reason}"), "{what}, by {how}");
        }
        // Nothing of the channel was sent, and nothing that was sent here was taken.
        assert!(interface.recv_blocking().is_err_and(|end| end == memenpsf::RecvError::Disconnected));
        assert_eq!(interface.acknowledged(), 0);
        assert_eq!(
            interface.flush(Duration::from_secs(10)).map_err(|error| error.kind),
            Err(XmitErrorKind::Disconnected)
        );
        assert_eq!(peer.line(), "");
        assert!(peer.wait().success(), "{how}");
    }
}

#[test]
fn neither_proc_nor_files_nor_executable_memfds_are_needed() {
    let _watchdog = Watchdog::new("other worlds", Duration::from_secs(60));
    for world in ["noexec-1", "noexec-2", "empty-proc", "no-files"] {
        for (kind, role) in [("client", Role::Server), ("server", Role::Client)] {
            let (mut peer, stream) = Peer::start(PEER, &["world", kind, world]);
            let near = std::thread::spawn(move || {
                let mut near = Interface::<u64>::with_options(stream, role, &Options::new().capacity(8))?;
                for number in 0..200 {
                    if role == Role::Client {
                        near.xmit_blocking(number).unwrap();
                    }
                    assert_eq!(near.recv_blocking(), Ok(number));
                    if role == Role::Server {
                        near.xmit_blocking(number).unwrap();
                    }
                }
                near.finish().unwrap();
                near.flush(Duration::from_secs(50)).unwrap();
                assert!(near.recv_blocking().is_err());
                Ok::<_, memenpsf::Error>(())
            });
            let line = peer.line();
            match line.strip_prefix("skipped: ") {
                Some(why) => skipped(&format!("{world}: {why}")),
                None => {
                    assert_eq!(line, "all of them", "{world}, {kind}");
                    near.join().unwrap().unwrap();
                }
            }
            assert!(peer.wait().success(), "{world}, {kind}");
        }
    }
}
