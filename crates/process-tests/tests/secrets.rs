//! What a process does not send, its peer does not get: not from its stacks, its heap, pages that it gave back, or the ring of an earlier
//! connection. The peer reads all that it can: the whole segment, and every byte that comes over the sockets.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{os::unix::net::UnixStream, time::Duration};

use process_tests::{Peer, Watchdog, secret::SECRET};

const PEER: &str = env!("CARGO_BIN_EXE_limited_peer");

/// The process with the secret, and the one that records.
const ENDS: [(&str, &str); 4] =
    [("client", "server"), ("server", "client"), ("producer", "consumer"), ("consumer", "producer")];

/// Bytes of an element and elements of a ring, such that words, slots and pages have tails of every kind, and none.
const SIZES: [(&str, u64); 11] = [
    ("1", 1),
    ("1", 4096),
    ("3", 8),
    ("3", 2048),
    ("8", 1),
    ("8", 1024),
    ("24", 2),
    ("24", 128),
    ("1000", 4),
    ("1000", 64),
    ("4100", 2),
];

/// What the recorder has got, and where a piece of the secret is in it.
#[derive(Debug)]
struct Got {
    segment: u64,
    sockets: u64,
    in_segment: Option<u64>,
    in_sockets: Option<u64>,
}

fn record(ends: (&str, &str), (size, capacity): (&str, u64), doing: &str) -> Got {
    let (one, other) = UnixStream::pair().unwrap();
    let capacity = capacity.to_string();
    let mut secretive = Peer::start_with(PEER, &["secretive", ends.0, size, &capacity, doing], one.into());
    let mut recorder = Peer::start_with(PEER, &["recorder", ends.1, size, &capacity], other.into());
    let mut count = |what: &str| {
        let line = recorder.line();
        line.strip_suffix(what)
            .unwrap_or_else(|| panic!("{ends:?}, {size}, {capacity}, {doing}: {line}"))
            .parse()
            .unwrap()
    };
    let (segment, sockets) = (count(" bytes of segment"), count(" bytes over the sockets"));
    let mut place = || match recorder.line().as_str() {
        "None" => None,
        some => Some(some.strip_prefix("Some(").unwrap().strip_suffix(')').unwrap().parse().unwrap()),
    };
    let (in_segment, in_sockets) = (place(), place());
    for peer in [&mut recorder, &mut secretive] {
        let status = peer.wait();
        assert!(status.success(), "{ends:?}, {size}, {capacity}, {doing}: {status}");
    }
    Got { segment, sockets, in_segment, in_sockets }
}

/// Bytes of the segment of an end.
fn segment_of(end: &str, (size, capacity): (&str, u64)) -> u64 {
    let slots = if end == "consumer" { 0 } else { capacity * size.parse::<u64>().unwrap() };
    (8192 + slots).next_multiple_of(4096)
}

#[test]
fn nothing_but_what_was_sent_is_in_the_segment_or_comes_over_the_sockets() {
    let _watchdog = Watchdog::new("secrets", Duration::from_secs(100));
    for (ends, sizes) in ENDS.into_iter().flat_map(|ends| SIZES.map(|sizes| (ends, sizes))) {
        let got = record(ends, sizes, "talk");
        assert_eq!(got.segment, segment_of(ends.0, sizes), "{ends:?}, {sizes:?}: all of it");
        // A Hello, an Accept, and what bells were needed.
        assert!(got.sockets >= 64 + 16, "{ends:?}, {sizes:?}: {got:?}");
        assert_eq!((got.in_segment, got.in_sockets), (None, None), "{ends:?}, {sizes:?}");
    }
}

#[test]
fn a_refusal_tells_nothing_but_its_reason() {
    let _watchdog = Watchdog::new("refusals", Duration::from_secs(60));
    for (ends, sizes) in ENDS.into_iter().flat_map(|ends| [SIZES[0], SIZES[7]].map(|sizes| (ends, sizes))) {
        let got = record(ends, sizes, "refuse");
        // The side that speaks second judges, and refuses before it makes a segment.
        let refuses = ["server", "consumer"].contains(&ends.0);
        assert_eq!(got.segment, if refuses { 0 } else { segment_of(ends.0, sizes) }, "{ends:?}, {sizes:?}");
        assert!(got.sockets > 16 + 24, "{ends:?}, {sizes:?}: {got:?}");
        assert_eq!((got.in_segment, got.in_sockets), (None, None), "{ends:?}, {sizes:?}");
    }
}

/// Which shows that the search finds what is there, and where the documentation says that it is.
#[test]
fn a_reservation_that_is_aborted_and_a_name_can_be_read_by_the_peer() {
    let _watchdog = Watchdog::new("the search", Duration::from_secs(60));
    for (ends, sizes) in ENDS.into_iter().flat_map(|ends| SIZES.map(|sizes| (ends, sizes))) {
        let long_enough =
            segment_of("producer", sizes) - 8192 > 0 && sizes.1 * sizes.0.parse::<u64>().unwrap() > 64 * 3;
        if ends.0 != "consumer" && long_enough {
            let got = record(ends, sizes, "abort");
            assert!(got.in_segment.is_some_and(|at| at >= 8192), "{ends:?}, {sizes:?}: {got:?}");
            assert_eq!(got.in_sockets, None, "{ends:?}, {sizes:?}");
        }
    }
    for ends in ENDS {
        let got = record(ends, SIZES[0], "name");
        assert_eq!(got.in_segment, Some(40), "the name in the header of the segment, {ends:?}");
        assert!(got.in_sockets.is_some_and(|at| at > 16 + 48), "{ends:?}, {} bytes of name: {got:?}", SECRET.len());
    }
}
