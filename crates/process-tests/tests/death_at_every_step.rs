//! A process may be killed or stopped at any instruction and any system call of what it does, and the other loses nothing.
//!
//! What is judged where stands in `process_tests::steps`; its long form is the program `steps`.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use process_tests::{
    Holdings, Watchdog,
    steps::{
        ends::End,
        fates::{self, Fate},
        handshake, samples,
        scene::By,
    },
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_steps");

/// Runs a test that leaves nothing behind.
fn flat(what: &'static str, test: impl FnOnce()) {
    let _watchdog = Watchdog::new(what, Duration::from_secs(300));
    let before = Holdings::now();
    test();
    // A thread that was joined may be in the list for a moment more; if for ever, the watchdog barks.
    while Holdings::now() != before {
        std::thread::yield_now();
    }
}

/// At each `nth` system call; the beginning and the end must look as they do.
fn handshakes(fate: handshake::Fate, nth: usize) {
    for end in End::ALL {
        let met = samples::handshakes(PROGRAM, end, fate, nth);
        eprintln!("{end:?} {fate:?}: {met:?}");
        assert!(met.stops * nth > 40, "a handshake has more stops than {}", met.stops * nth);
        assert!(met.open > 0, "at the last stop all is done");
        match fate {
            handshake::Fate::Killed => assert!(met.disconnected > met.open),
            handshake::Fate::GivenUp => assert!(met.timed_out > met.open),
            handshake::Fate::Continued => assert_eq!(met.open, met.stops),
        }
    }
}

#[test]
fn a_peer_killed_at_any_system_call_of_the_handshake_is_gone_or_open_and_then_gone() {
    flat("kills in the handshake", || handshakes(handshake::Fate::Killed, 1));
}

#[test]
fn a_peer_stopped_at_any_system_call_of_the_handshake_is_given_up_in_time_and_copes() {
    flat("stops in the handshake", || handshakes(handshake::Fate::GivenUp, 3));
}

#[test]
fn a_peer_stopped_and_continued_at_any_system_call_of_the_handshake_opens() {
    flat("stops and continuations in the handshake", || handshakes(handshake::Fate::Continued, 1));
}

#[test]
fn a_handshake_interrupted_by_signals_at_every_call_opens() {
    flat("signals in the handshake", || {
        for end in End::ALL {
            let interrupted = handshake::interrupt(PROGRAM, end);
            eprintln!("{end:?}: {interrupted} calls");
            assert!(interrupted >= 3, "{end:?}: {interrupted} calls");
        }
    });
}

#[test]
fn what_a_peer_has_published_or_taken_is_exact_at_every_instruction() {
    flat("looks", || {
        let looked = samples::looks(PROGRAM, 20_000, 0);
        eprintln!("{looked:?}");
        assert!(looked.checks >= 20_000 && looked.elements > 300, "{looked:?}");
    });
}

fn some(fate: Fate, count: usize) {
    let tried = samples::some(PROGRAM, By::Instruction, fate, count, 0);
    eprintln!("{fate:?}: {tried:?}");
    assert_eq!(tried.victims, count);
}

#[test]
fn a_peer_killed_at_any_instruction_leaves_a_prefix_of_what_it_sent_and_the_truth_about_what_it_took() {
    flat("kills", || some(Fate::Killed, 100));
}

#[test]
fn a_peer_stopped_at_any_instruction_breaks_no_deadline_and_loses_nothing_when_it_goes_on() {
    flat("stops", || some(Fate::Stopped, 60));
}

#[test]
fn a_sleeper_is_woken_wherever_the_other_was_interrupted() {
    flat("overtakes", || {
        some(Fate::Overtaken, 20);
        let tried = samples::every(PROGRAM, By::Instruction, Fate::Overtaken, &samples::wakers_and_sleepers());
        eprintln!("at every instruction: {tried:?}");
        assert!(tried.victims > 200, "{tried:?}");
    });
}

#[test]
fn a_sleeper_interrupted_by_signals_sleeps_on_until_there_is_something() {
    flat("signals in a sleep", || {
        for cell in samples::wakers_and_sleepers().iter().filter(|cell| cell.act.blocks()) {
            fates::interrupt_sleeper(PROGRAM, cell, 5);
        }
    });
}

#[test]
fn a_peer_killed_stopped_or_overtaken_at_any_system_call_of_ringing_and_sleeping_loses_nothing() {
    flat("system calls", || {
        for fate in Fate::ALL {
            let tried = samples::all(PROGRAM, By::Call, fate, 7);
            eprintln!("{fate:?}: {tried:?}");
            assert!(tried.victims > 60, "{tried:?}");
        }
    });
}
