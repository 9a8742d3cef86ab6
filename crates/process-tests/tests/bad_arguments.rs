//! Arguments that no connection can be made of, and a system that refuses: each is an error with a sentence, in a process of its
//! own that ends by itself, by no signal and no panic.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{os::unix::net::UnixStream, time::Duration};

use memenpsf::{Error, Interface, Options, Role};
use process_tests::{Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// A process that tries `case`, and the other end of its stream.
fn start(case: &str) -> (Peer, UnixStream) {
    Peer::start(PEER, &["bad", case])
}

/// What the process says, which must be all, and then end well.
fn assert_says(mut peer: Peer, sentence: &str) {
    assert_eq!(peer.line(), sentence);
    assert_eq!(peer.line(), "");
    let status = peer.wait();
    assert!(status.success(), "{status}");
}

/// The process refuses by itself: the other end of its stream does nothing.
fn assert_refused(case: &str, sentence: &str) {
    let (peer, _stream) = start(case);
    assert_says(peer, sentence);
}

/// What the other end, here, is told while the process says `sentence`.
fn told(case: &str, role: Role, options: &Options, sentence: &str) -> Result<(), Error> {
    let (peer, stream) = start(case);
    let told = Interface::<u64>::with_options(stream, role, options).map(drop);
    assert_says(peer, sentence);
    told
}

fn told_text(case: &str, role: Role, options: &Options, sentence: &str) -> String {
    told(case, role, options, sentence).unwrap_err().to_string()
}

#[test]
fn a_capacity_of_0_is_refused() {
    let _watchdog = Watchdog::new("capacity 0", Duration::from_secs(60));
    for case in ["capacity-0", "capacity-0-run"] {
        assert_refused(case, "a capacity of 0 elements: at least 1 is needed");
    }
}

#[test]
fn a_capacity_too_large_is_refused_before_anything_is_allocated() {
    let _watchdog = Watchdog::new("large capacities", Duration::from_secs(60));
    let over = |capacity: usize, limit: u64| {
        format!("a capacity of {capacity} elements of 8 bytes is over the limit of {limit} bytes a segment")
    };
    assert_refused("capacity-max", &over(usize::MAX, 1 << 30));
    assert_refused("capacity-over-limit", &over((1 << 27) + 1, 1 << 30));
    assert_refused("capacity-no-limit", &over(usize::MAX, u64::MAX));
}

#[test]
fn a_segment_too_large_for_a_file_is_refused() {
    let _watchdog = Watchdog::new("a file of 2^63 bytes", Duration::from_secs(60));
    assert_refused("size-negative", "sizing the segment: Invalid argument (os error 22)");
}

#[test]
fn a_name_too_long_is_refused() {
    let _watchdog = Watchdog::new("long names", Duration::from_secs(60));
    assert_refused("name-256", "the name has 256 bytes, at most 255 are allowed");
    told("name-255", Role::Server, &Options::new(), "connected").unwrap();
}

#[test]
fn a_schema_too_long_is_refused() {
    let _watchdog = Watchdog::new("long schemas", Duration::from_secs(60));
    assert_refused("schema-256", "the schema has 256 bytes, at most 255 are allowed");
}

#[test]
fn what_is_not_a_connected_unix_stream_is_refused() {
    let _watchdog = Watchdog::new("other descriptors", Duration::from_secs(60));
    for kind in ["tcp", "listening", "unconnected", "datagram", "seqpacket", "file", "pipe"] {
        let (mut peer, _stream) = start(&format!("stream-{kind}"));
        assert_eq!(peer.line(), "the socket is not a connected unix stream socket", "{kind}");
        assert_says(peer, "the socket is not a connected unix stream socket");
    }
}

#[test]
fn a_stream_without_another_end_is_a_disconnection() {
    let _watchdog = Watchdog::new("an abandoned stream", Duration::from_secs(60));
    let (mut peer, _stream) = start("stream-abandoned");
    let as_client = peer.line();
    assert!(
        as_client == "the peer closed the connection during the handshake"
            || as_client == "sending to the peer: Broken pipe (os error 32)",
        "{as_client}"
    );
    assert_says(peer, "the peer closed the connection during the handshake");
}

#[test]
fn a_limit_on_the_size_of_files_is_an_error_and_no_signal() {
    let _watchdog = Watchdog::new("RLIMIT_FSIZE", Duration::from_secs(60));
    let sentence = "the segment needs 12288 bytes, but this process may make files of 12287 bytes only (RLIMIT_FSIZE)";
    let text = told_text("file-size-client", Role::Server, &Options::new(), sentence);
    assert_eq!(text, "the peer closed the connection during the handshake");
    let text = told_text("file-size-server", Role::Client, &Options::new(), sentence);
    assert_eq!(text, "refused by the peer: one end could not go on: File too large (os error 27)");
    told("file-size-just-enough", Role::Server, &Options::new(), "connected").unwrap();
}

#[test]
fn a_lack_of_memory_is_an_error_and_no_signal() {
    let _watchdog = Watchdog::new("writes made to fail", Duration::from_secs(60));
    let sentence = "allocating the segment's memory: No space left on device (os error 28)";
    let text = told_text("no-memory-client", Role::Server, &Options::new(), sentence);
    assert_eq!(text, "the peer closed the connection during the handshake");
    let text = told_text("no-memory-server", Role::Client, &Options::new(), sentence);
    assert_eq!(text, "refused by the peer: one end could not go on: No space left on device (os error 28)");
    assert_refused("no-memory-huge", "allocating the segment's memory: Cannot allocate memory (os error 12)");
}

#[test]
fn a_lack_of_address_space_is_an_error_on_both_sides() {
    let _watchdog = Watchdog::new("RLIMIT_AS", Duration::from_secs(60));
    let text = told_text(
        "no-address-space",
        Role::Server,
        &Options::new(),
        "mapping the segment: Cannot allocate memory (os error 12)",
    );
    assert_eq!(text, "the peer closed the connection during the handshake");
    let text = told_text(
        "no-address-space-for-the-peers",
        Role::Client,
        &Options::new().capacity(1 << 20),
        "refused: the segment cannot be mapped: Cannot allocate memory (os error 12)",
    );
    assert_eq!(text, "refused by the peer: the segment cannot be mapped: Cannot allocate memory (os error 12)");
}

#[test]
fn a_lack_of_descriptors_is_an_error_wherever_it_comes() {
    let _watchdog = Watchdog::new("RLIMIT_NOFILE", Duration::from_secs(60));
    let (mut peer, _stream) = start("few-descriptors");
    let lines: Vec<_> = std::iter::from_fn(|| Some(peer.line()).filter(|line| !line.is_empty())).collect();
    let status = peer.wait();
    assert!(status.success(), "{status}: {lines:#?}");
    let (last, refusals) = lines.split_last().unwrap();
    assert_eq!(last, "connected");
    assert_eq!(refusals[0], "0: making a pair of sockets: Too many open files (os error 24)");
    // Two sockets, and of each side a segment, and of one side a pair more.
    assert!(refusals.len() >= 5, "{refusals:#?}");
    assert!(!refusals.iter().any(|line| line.contains("within 30s")), "{refusals:#?}");
}

#[test]
fn what_an_old_kernel_or_a_sandbox_lacks_is_an_error_that_says_so() {
    let _watchdog = Watchdog::new("missing system calls", Duration::from_secs(60));
    for (case, sentence) in [
        ("no-memfd", "making a memfd: Operation not permitted (os error 1)"),
        (
            "no-future-write-seal",
            "this kernel is too old: it does not know F_SEAL_FUTURE_WRITE (Linux 5.1 and later do)",
        ),
        ("no-dont-fork", "keeping the segment out of forked children: Invalid argument (os error 22)"),
    ] {
        let text = told_text(case, Role::Server, &Options::new(), sentence);
        assert_eq!(text, "the peer closed the connection during the handshake", "{case}");
    }
    let (peer, stream) = start("no-wipe-on-fork");
    let _told = Interface::<u64>::with_options(stream, Role::Server, &Options::new());
    assert_says(peer, "making the page that tells a fork: Invalid argument (os error 22)");
}

#[test]
fn what_can_be_done_without_is_done_without() {
    let _watchdog = Watchdog::new("optional system calls", Duration::from_secs(60));
    for case in ["no-noexec-seal", "no-membarrier", "no-pidfd"] {
        told(case, Role::Server, &Options::new(), "connected").unwrap_or_else(|error| panic!("{case}: {error}"));
    }
}
