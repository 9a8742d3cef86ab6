//! The victim: does as it is told, and marks the places between.

#![allow(clippy::print_stdout, reason = "how a handshake ended is told on the standard output")]

use ipc_queue::{Options, Wait};

use super::{
    acts::{Act, Actor},
    ends::End,
    for_size,
};
use crate::{
    progress::Progress,
    socket_of_peer,
    traced::{consent, mark},
};

/// How many elements it sends when it was let go.
pub const REST: u64 = 20;

/// Plays the victim that the arguments tell of.
pub fn play(args: impl Iterator<Item = String>) {
    consent();
    let args: Vec<String> = args.collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["meet", end] => meet(end.parse().expect("an end")),
        ["act", end, words, capacity, progress, times, acts @ ..] => {
            let acts: Vec<Act> = acts.iter().map(|act| act.parse().expect("an act")).collect();
            let (end, capacity) = (end.parse().expect("an end"), capacity.parse().expect("a capacity"));
            let words: usize = words.parse().expect("a number of words");
            for_size!(words, act, end, capacity, &Progress::open(progress), *times == "forever", &acts);
        }
        other => panic!("no part {other:?}"),
    }
}

/// A handshake between two marks, and how it ended.
fn meet(end: End) {
    let stream = socket_of_peer();
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null").expect("nothing to read"))
        .expect("another standard input");
    let options = Options::new().capacity(4).wait(Wait::Sleep).force_membarrier().name("victim");
    mark();
    let met = end.connect::<8>(stream, &options);
    mark();
    match met {
        Ok(mut halves) => {
            if let Some(consumer) = &mut halves.consumer {
                println!("open {:?}", consumer.pop_blocking());
            } else if let Some(producer) = &mut halves.producer {
                let end = loop {
                    if let Err(error) = producer.push_blocking([0; 8]) {
                        break error.kind;
                    }
                };
                println!("open Err({end:?})");
            }
        }
        Err(error) => println!("failed {error:?}"),
    }
}

/// Acts, each behind a mark; then a mark, and what is left to do for one who was let go.
fn act<const WORDS: usize>(end: End, capacity: usize, progress: &Progress, forever: bool, acts: &[Act]) {
    let stream = socket_of_peer();
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null").expect("nothing to read"))
        .expect("another standard input");
    let options = Options::new().capacity(capacity).wait(Wait::Sleep).force_membarrier().name("victim");
    let halves = end.connect::<WORDS>(stream, &options).expect("a peer");
    let (next, due) = (end.first_number(), end.opposite().first_number());
    let batch = Vec::with_capacity(256);
    let mut actor = Actor { halves, progress, next: (next, next), due: (due, due), marks: true, batch };
    loop {
        acts.iter().for_each(|&act| actor.act(act));
        if !forever {
            break;
        }
    }
    mark();
    actor.marks = false;
    actor.rest(REST);
}
