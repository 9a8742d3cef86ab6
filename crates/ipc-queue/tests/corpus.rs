//! What the fuzzers found worth keeping, and bytes at random, through the functions that the fuzzers run.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::{fs, panic::catch_unwind, path::Path};

use ipc_queue::fuzzing;
use proptest::{collection::vec, prelude::*};

/// Runs the target over its part of the corpus; the name of an input is in the message if it fails.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut inputs: Vec<_> = fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    assert!(inputs.len() >= 20, "only {} inputs", inputs.len());
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        assert!(catch_unwind(|| run(&bytes)).is_ok(), "{target}: {}", input.display());
    }
}

#[test]
fn frames_of_the_corpus_break_no_promise() {
    replay("handshake", fuzzing::handshake);
}

#[test]
fn bells_of_the_corpus_break_no_promise() {
    replay("control", fuzzing::control);
}

#[test]
fn segments_of_the_corpus_break_no_promise() {
    replay("segment", fuzzing::segment);
}

#[test]
fn attacks_of_the_corpus_break_no_promise() {
    replay("ring", fuzzing::ring);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_break_no_promise(bytes in vec(any::<u8>(), 0..300)) {
        fuzzing::handshake(&bytes);
    }

    #[test]
    fn any_bells_break_no_promise(bytes in vec(any::<u8>(), 0..300)) {
        fuzzing::control(&bytes);
    }

    #[test]
    fn any_segment_breaks_no_promise(bytes in vec(any::<u8>(), 0..40)) {
        fuzzing::segment(&bytes);
    }

    #[test]
    fn any_attacks_break_no_promise(bytes in vec(any::<u8>(), 0..600)) {
        fuzzing::ring(&bytes);
    }
}
