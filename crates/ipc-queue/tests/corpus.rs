//! What the fuzzers found worth keeping, and bytes at random, through the functions that the fuzzers run.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[path = "corpus/seeds.rs"]
mod seeds;

use std::{collections::BTreeSet, fs, panic::catch_unwind, path::PathBuf};

use ipc_queue::fuzzing::{self, Reached};
use proptest::{collection::vec, prelude::*};

/// Reasons that a state machine gives by itself, and by a descriptor.
const BY_FRAMES: &str = "Magic ByteOrder Version OutOfOrder Malformed Role Direction Layout ElementSize ElementAlign SlotCount \
     SegmentTooLarge Schema DescriptorsMissing DescriptorsSurplus SegmentSize";
const BY_DESCRIPTORS: &str = "SegmentType SegmentUnsealed SegmentSize SegmentSparse SegmentUnmappable";
/// Reasons that only a peer can have, as far as frames go.
const BY_PEER: &str = "SegmentType SegmentUnsealed SegmentSparse SegmentUnmappable Socket Trouble";

fn directory(target: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target)
}

/// Runs the target over its part of the corpus, which must come this far; the name of an input is in the message if it fails.
fn replay(target: &str, run: fn(&[u8]) -> Reached, due: impl IntoIterator<Item = String>) {
    let mut inputs: Vec<_> = fs::read_dir(directory(target)).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    let mut reached = Reached::new();
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        match catch_unwind(|| run(&bytes)) {
            Ok(far) => reached.extend(far),
            Err(_) => panic!("{target}: {}", input.display()),
        }
    }
    let missing: BTreeSet<String> = due.into_iter().filter(|due| !reached.contains(due)).collect();
    assert!(missing.is_empty(), "{target}: the corpus does not reach {missing:#?}\nof {reached:#?}");
}

/// Each word, with something before it.
fn each(before: &str, words: &str) -> Vec<String> {
    words.split_whitespace().map(|word| format!("{before}{word}")).collect()
}

fn listed(list: &[&str]) -> Vec<String> {
    list.iter().map(|due| (*due).to_owned()).collect()
}

fn both_roles_open() -> Vec<String> {
    let roles = ["Client", "Server"].into_iter();
    roles.flat_map(|role| each(&format!("{role} opens, direction "), "0 1 2")).collect()
}

#[test]
fn frames_of_the_corpus_break_no_promise() {
    let due = [
        both_roles_open(),
        listed(&["Client does not adopt", "Server does not adopt"]),
        each("this side refuses: ", BY_FRAMES),
        each("the peer refuses: ", BY_FRAMES),
        each("the peer refuses: ", BY_PEER),
    ];
    replay("handshake", fuzzing::handshake, due.concat());
}

#[test]
fn meetings_of_the_corpus_break_no_promise() {
    let due = [
        both_roles_open(),
        each("this side refuses: ", BY_FRAMES),
        each("this side refuses: ", BY_DESCRIPTORS),
        each("the peer refuses: ", BY_FRAMES),
        each("the peer refuses: ", BY_PEER),
        listed(&["this side refuses: Socket", "left after 0", "left after 1", "left after 2"]),
        listed(&["Hasty: left", "Hasty: this side refuses: Version", "Hasty: the peer refuses: ElementSize"]),
    ];
    replay("meeting", fuzzing::meeting, due.concat());
}

#[test]
fn bells_of_the_corpus_break_no_promise() {
    let due = [
        each("kind ", "0 1 2 3 4 5"),
        each("rings ", "Data Room Finished Control"),
        each("corrupt: ", "ControlKind Descriptors"),
        listed(&["control message", "part of a message", "end"]),
    ];
    replay("control", fuzzing::control, due.concat());
}

#[test]
fn segments_of_the_corpus_break_no_promise() {
    replay("segment", fuzzing::segment, each("", "sound").into_iter().chain(each("", BY_DESCRIPTORS)));
}

#[test]
fn attacks_of_the_corpus_break_no_promise() {
    let due = [
        each("corrupt: ", "TailOutOfRange HeadOutOfRange Finished ControlKind Descriptors"),
        each("sends ", "nothing one more"),
        each("receives ", "nothing one more"),
        each("sending: ", "Full Closed Disconnected Corrupt TimedOut TooLong"),
        each("receiving: ", "Empty Finished Disconnected Corrupt TimedOut TooLong"),
    ];
    replay("ring", fuzzing::ring, due.concat());
}

#[test]
fn seeds_that_are_made_by_hand_are_in_the_corpus() {
    for (target, number, bytes) in seeds::all() {
        let path = directory(target).join(format!("seed-{number:02}"));
        assert_eq!(fs::read(&path).ok().as_ref(), Some(&bytes), "{}: write them anew", path.display());
    }
}

#[test]
#[ignore = "writes fuzz/seeds; run it when an input's format has changed"]
fn seeds_are_written_anew() {
    for (target, number, bytes) in seeds::all() {
        fs::create_dir_all(directory(target)).unwrap();
        fs::write(directory(target).join(format!("seed-{number:02}")), bytes).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_frames_break_no_promise(bytes in vec(any::<u8>(), 0..300)) {
        fuzzing::handshake(&bytes);
    }

    #[test]
    fn any_meeting_breaks_no_promise(bytes in vec(any::<u8>(), 0..300)) {
        fuzzing::meeting(&bytes);
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
