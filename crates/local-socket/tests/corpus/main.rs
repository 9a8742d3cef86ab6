//! What the fuzzers `names` and `channel` found worth keeping, and bytes at random, through the functions that they run.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

#[cfg(all(feature = "cbor", feature = "json", feature = "serde"))]
mod channel;
mod place;
mod seeds;
mod target;

use std::{env, fs, panic::catch_unwind, path::PathBuf};

use nix::unistd::alarm;
use proptest::{collection::vec, prelude::*};

use crate::{
    place::{Home, Place},
    target::{Reached, names},
};

/// How far the corpus must come.
const DUE: &str = "written as 0,written as 1,written as 2,written as 3,written as 4,written as 5,written as 6,written as 7,\
    the name of a socket cannot be empty,the name of a socket cannot have a NUL in it,\
    the name of a socket has at most 107 bytes\\, not ,abstract,absolute,a bare name,a free path,a dead socket,outside,\
    AddrInUse,AlreadyExists,NotFound,NotADirectory";

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/names")
}

/// Plays a part of this program in a process whose directories are a place of its own.
fn in_a_place(part: &str) {
    let place = Place::new().unwrap();
    let mut inhabitant = place.command(env::current_exe().unwrap());
    inhabitant.args([part, "--exact", "--ignored", "--nocapture", "--quiet"]);
    assert!(inhabitant.status().unwrap().success(), "see above");
}

/// The place in which this process is, where nothing takes longer than half a minute.
fn home() -> Option<Home> {
    alarm::set(30);
    Home::here()
}

#[test]
fn names_of_the_corpus_break_no_promise() {
    in_a_place("replays_the_corpus");
}

#[test]
fn any_names_break_no_promise() {
    in_a_place("replays_any_bytes");
}

#[test]
#[ignore = "a part that a test here starts in a process of its own"]
fn replays_the_corpus() {
    let Some(home) = home() else { return };
    let mut inputs: Vec<_> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    let mut reached = Reached::new();
    for input in inputs {
        let bytes = fs::read(&input).unwrap();
        let far = catch_unwind(|| names(&home, &bytes));
        reached.extend(far.unwrap_or_else(|_| panic!("{}", input.display())));
    }
    let due = DUE.replace("\\,", "\u{1f}");
    let missing: Vec<_> =
        due.split(',').map(|due| due.replace('\u{1f}', ",")).filter(|due| !reached.contains(due)).collect();
    assert!(missing.is_empty(), "the corpus does not reach {missing:#?}\nof {reached:#?}");
}

#[test]
#[ignore = "a part that a test here starts in a process of its own"]
fn replays_any_bytes() {
    let Some(home) = home() else { return };
    let config = ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(bytes in vec(any::<u8>(), 0..120))| {
        names(&home, &bytes);
    });
}

#[test]
fn seeds_that_are_made_by_hand_are_in_the_corpus() {
    for (number, bytes) in seeds::all().into_iter().enumerate() {
        let path = directory().join(format!("seed-{number:03}"));
        assert_eq!(fs::read(&path).ok().as_ref(), Some(&bytes), "{}: write them anew", path.display());
    }
}

#[test]
#[ignore = "writes fuzz/seeds; run it when an input's format has changed"]
fn seeds_are_written_anew() {
    fs::create_dir_all(directory()).unwrap();
    for (number, bytes) in seeds::all().into_iter().enumerate() {
        fs::write(directory().join(format!("seed-{number:03}")), bytes).unwrap();
    }
}
