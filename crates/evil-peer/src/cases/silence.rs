//! Nothing more is said, or the peer is gone, at each step of the handshake.

use std::io::Write;

use super::Case;
use crate::{
    expect::{End, Expect, gives, takes},
    frames::accept,
    kind::{ALL, Kind},
    offer::Offer,
    raw::Evil,
    wire,
};

const GROUP: &str = "silence";

/// How much is said: bytes of a Hello, and then of an Accept.
const STEPS: [(&str, usize, usize); 9] = [
    ("nothing", 0, 0),
    ("one-byte", 1, 0),
    ("half-a-header", 8, 0),
    ("a-header", 16, 0),
    ("half-a-hello", 40, 0),
    ("all-but-a-byte-of-a-hello", 66, 0),
    ("a-hello", 67, 0),
    ("half-an-accept", 67, 9),
    ("all-but-a-byte-of-an-accept", 67, 15),
];

fn say(evil: &Evil, hello: usize, and_accept: usize) {
    let offer = Offer::new(evil.kind);
    let mut bytes = offer.bytes()[..hello].to_vec();
    bytes.extend(&accept()[..and_accept]);
    if !bytes.is_empty() {
        wire::send(&evil.stream, &bytes, &offer.fds);
    }
}

pub(super) fn add(cases: &mut Vec<Case>) {
    for (step, hello, and_accept) in STEPS {
        let silent = move |evil: Evil| {
            say(&evil, hello, and_accept);
            wire::until_over(&evil.stream);
        };
        let case = Case::new(GROUP, format!("after-{step}"), ALL, silent, |_| Expect::TimedOut);
        cases.push(case.with(|honest| honest.handshake = 100));
        let gone = move |evil: Evil| {
            evil.hear();
            say(&evil, hello, and_accept);
            // What is not read would turn the end into a reset.
            let due = if hello < 67 { 0 } else { 1 + usize::from(!evil.kind.is_client()) };
            (0..due).for_each(|_| drop(wire::read_frame(&evil.stream)));
        };
        cases.push(Case::new(GROUP, format!("gone-after-{step}"), ALL, gone, |_| Expect::Disconnected));
        let reset = move |evil: Evil| say(&evil, hello, and_accept);
        cases.push(Case::new(GROUP, format!("reset-after-{step}"), ALL, reset, |_| Expect::Disconnected));
        let killed = move |evil: Evil| {
            say(&evil, hello, and_accept);
            super::ends::die();
        };
        let mut case = Case::new(GROUP, format!("killed-after-{step}"), ALL, killed, |_| Expect::Disconnected);
        case.dies = true;
        cases.push(case);
    }
    // Everything is said, and nobody is there any more: the handshake is complete all the same.
    let gone = |evil: Evil| drop(evil.open());
    let expect = |kind: Kind| if kind.receives() { takes(0, End::Disconnected) } else { gives(8, End::Disconnected) };
    cases.push(Case::new(GROUP, "gone-after-an-accept", ALL, gone, expect));
    slow(cases);
}

fn slow(cases: &mut Vec<Case>) {
    // A byte at a time, never the last one.
    let trickle = |evil: Evil| {
        let offer = Offer::new(evil.kind);
        let bytes = offer.bytes();
        let pace = rustix::event::Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
        for (n, byte) in bytes[..bytes.len() - 1].iter().enumerate() {
            if !wire::send(&evil.stream, &[*byte], if n == 0 { &offer.fds } else { &[] }) {
                return;
            }
            // The pace of the attack, or its end.
            let mut watched = [rustix::event::PollFd::new(&evil.stream, rustix::event::PollFlags::empty())];
            if rustix::event::poll(&mut watched, Some(&pace)) == Ok(1) {
                return;
            }
        }
        wire::until_over(&evil.stream);
    };
    let case = Case::new(GROUP, "a-trickle", ALL, trickle, |_| Expect::TimedOut);
    cases.push(case.with(|honest| honest.handshake = 100));
    // It writes frames of no kind for ever and reads nothing: the refusal cannot be said, and that is not waited for.
    let deaf = |evil: Evil| {
        evil.hear();
        let flood = vec![0x5A; 1 << 16];
        while (&evil.stream).write_all(&flood).is_ok() {}
    };
    let expect = |_| Expect::Refused { reason: 1, here: 0x6d6e_7066, there: 0x5a5a_5a5a..=0x5a5a_5a5a };
    cases.push(Case::new(GROUP, "a-flood-of-garbage", ALL, deaf, expect));
}
