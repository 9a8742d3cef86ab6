//! What the fuzzer `channel` found worth keeping, and bytes at random, through the function that it runs.

mod descriptors;
mod ends;
mod plan;
mod rules;
mod seeds;
mod target;
mod value;

use std::{fs, panic::catch_unwind, path::PathBuf};

use nix::{
    sys::resource::{Resource, getrlimit, setrlimit},
    unistd::alarm,
};
use proptest::{collection::vec, prelude::*};

use self::{
    plan::Plan,
    target::{Reached, channel},
};

/// Nothing here needs so much memory, and nothing that is announced may be allocated.
const ADDRESS_SPACE: u64 = 2 << 30;

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/channel")
}

/// Within a minute and little memory.
fn bounded(run: impl FnOnce()) {
    let (before, most) = getrlimit(Resource::RLIMIT_AS).unwrap();
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE.min(most), most).unwrap();
    alarm::set(60);
    run();
    alarm::cancel();
    setrlimit(Resource::RLIMIT_AS, before, most).unwrap();
}

#[test]
fn messages_of_the_corpus_break_no_promise() {
    bounded(|| {
        let mut inputs: Vec<_> = fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().path()).collect();
        inputs.sort();
        let mut reached = Reached::new();
        for input in inputs {
            let bytes = fs::read(&input).unwrap();
            let far = catch_unwind(|| channel(&bytes));
            reached.extend(far.unwrap_or_else(|_| panic!("{}", input.display())));
        }
        let missing: Vec<_> = seeds::DUE.iter().filter(|due| !reached.contains(**due)).collect();
        assert!(missing.is_empty(), "the corpus does not reach {missing:#?}\nof {reached:#?}");
    });
}

#[test]
fn any_messages_break_no_promise() {
    let config =
        ProptestConfig { cases: 1000, failure_persistence: None, max_shrink_time: 20_000, ..ProptestConfig::default() };
    bounded(|| {
        proptest!(config, |(bytes in vec(any::<u8>(), 0..100))| {
            channel(&bytes);
        });
    });
}

#[test]
fn a_plan_is_written_as_it_is_read() {
    proptest!(|(bytes in vec(any::<u8>(), 0..100))| {
        let plan = Plan::read(&bytes);
        prop_assert_eq!(Plan::read(&plan.write()), plan);
    });
}

#[test]
fn seeds_of_messages_that_are_made_by_hand_are_in_the_corpus() {
    for (number, bytes) in seeds::all().into_iter().enumerate() {
        let path = directory().join(format!("seed-{number:03}"));
        assert_eq!(fs::read(&path).ok().as_ref(), Some(&bytes), "{}: write them anew", path.display());
    }
}

#[test]
#[ignore = "writes fuzz/seeds; run it when an input's format has changed"]
fn seeds_of_messages_are_written_anew() {
    fs::create_dir_all(directory()).unwrap();
    for (number, bytes) in seeds::all().into_iter().enumerate() {
        fs::write(directory().join(format!("seed-{number:03}")), bytes).unwrap();
    }
}
