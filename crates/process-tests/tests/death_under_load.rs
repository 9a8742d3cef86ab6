//! A process may be killed in full flow, and the other loses nothing.
//!
//! What is judged stands in `process_tests::storm`; its long form is the program `kill_storm`.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use process_tests::{
    Holdings, Watchdog,
    storm::{forms::Storm, kills, listeners},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_kill_storm");

/// Of the random times of death, so that a failure can be had again; the rest is up to the scheduler.
const SEED: u64 = 7;

/// Runs a test that leaves nothing behind.
fn flat(what: &'static str, test: impl FnOnce()) {
    let _watchdog = Watchdog::new(what, Duration::from_secs(180));
    let before = Holdings::now();
    test();
    // A thread that was joined may be in the list for a moment more; if for ever, the watchdog barks.
    while Holdings::now() != before {
        std::thread::yield_now();
    }
}

#[test]
fn a_peer_killed_in_full_flow_leaves_a_prefix_whatever_it_used_to_send_or_receive() {
    flat("a storm of kills", || {
        let raged = kills::rage(PROGRAM, Storm::all().len(), SEED);
        eprintln!("{raged:?}, seed {SEED}");
        assert!(raged.received > 1000 && raged.taken > 1000, "{raged:?}");
    });
}

#[test]
fn a_listener_killed_among_its_clients_leaves_its_path_to_the_next() {
    flat("a storm of listeners", || {
        let listened = listeners::rage(PROGRAM, 30, SEED);
        eprintln!("{listened:?}, seed {SEED}");
        assert!(listened.served >= 30, "{listened:?}");
    });
}
