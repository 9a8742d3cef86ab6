//! Any number of descriptors, on any byte.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use super::{Case, assert_told};
use crate::{
    expect::{Expect, refused, works},
    frames::accept,
    kind::{ALL, DUPLEX, Kind},
    offer::Offer,
    raw::Evil,
    wire,
};

const GROUP: &str = "descriptors";
const COUNTS: [usize; 7] = [0, 1, 2, 3, 4, 10, 253];

pub(super) fn add(cases: &mut Vec<Case>) {
    with_a_hello(cases);
    on_a_later_byte(cases);
    with_an_accept(cases);
    elsewhere(cases);
}

/// `n` descriptors, the right ones first.
fn resize(offer: &mut Offer, n: usize) {
    offer.fds.resize_with(n, || File::open("/dev/null").expect("/dev/null").into());
}

/// More than a Hello can carry are refused before it is known how many are due.
fn counted(kind: Kind, n: usize) -> Expect {
    let (due, n) = (kind.descriptors_due(), n as u64);
    match n {
        n if n < due => refused(14, due, n),
        n if n == due => works(),
        2 => refused(15, due, 2),
        n => refused(15, 2, n),
    }
}

fn with_a_hello(cases: &mut Vec<Case>) {
    for n in COUNTS {
        let change = move |offer: &mut Offer| resize(offer, n);
        cases.push(Case::offer(GROUP, format!("{n}-with-the-first-byte"), ALL, change, move |kind| counted(kind, n)));
    }
    // Two of the right number, in the wrong order.
    let swap = |offer: &mut Offer| offer.fds.swap(0, 1);
    cases.push(Case::offer(GROUP, "swapped", DUPLEX, swap, |_| refused(21, 0, 0)));
}

/// Sends the Hello with its descriptors on the byte at `at`, or the two on two bytes.
fn send_at(offer: &Offer, stream: &UnixStream, at: usize, each: bool) -> bool {
    let bytes = offer.bytes();
    let split = if each { 1.min(offer.fds.len()) } else { offer.fds.len() };
    let (first, second) = offer.fds.split_at(split);
    wire::send(stream, &bytes[..at], &[])
        && wire::send(stream, &bytes[at..at + 1], first)
        && wire::send(stream, &bytes[at + 1..], second)
}

fn on_a_later_byte(cases: &mut Vec<Case>) {
    for at in [1, 15, 16, 17, 48, 65] {
        for n in [0, 1, 2, 3, 253] {
            let deed = move |evil: Evil| {
                let mut offer = Offer::new(evil.kind);
                resize(&mut offer, n);
                let expect = counted(evil.kind, n);
                if let Expect::Opens(_) = expect {
                    return open_split(evil, offer, at, false);
                }
                evil.hear();
                // The honest end may have heard enough before the last byte.
                send_at(&offer, &evil.stream, at, false);
                assert_told(&evil, &expect);
            };
            cases.push(Case::new(GROUP, format!("{n}-with-byte-{at}"), ALL, deed, move |kind| counted(kind, n)));
        }
    }
    let deed = |evil: Evil| {
        let offer = Offer::new(evil.kind);
        open_split(evil, offer, 20, true);
    };
    cases.push(Case::new(GROUP, "each-with-a-byte-of-its-own", DUPLEX, deed, |_| works()));
}

fn open_split(evil: Evil, mut offer: Offer, at: usize, each: bool) {
    // All but the rest of the Hello goes before; what `open_with` sends is that rest.
    let copies: Vec<OwnedFd> = offer.fds.iter().map(|fd| fd.try_clone().expect("a copy")).collect();
    let fds = std::mem::take(&mut offer.fds);
    let bytes = offer.bytes();
    let split = if each { 1 } else { fds.len() };
    let sent =
        wire::send(&evil.stream, &bytes[..at], &[]) && wire::send(&evil.stream, &bytes[at..at + 1], &fds[..split]);
    assert!(sent, "the honest end hung up");
    drop(fds);
    offer.instead = Some(bytes[at + 1..].to_vec());
    offer.fds = copies.into_iter().skip(split).collect();
    evil.open_with(offer, wire::send).serve_well();
}

fn nulls(n: usize) -> Vec<OwnedFd> {
    (0..n).map(|_| File::open("/dev/null").expect("/dev/null").into()).collect()
}

fn with_an_accept(cases: &mut Vec<Case>) {
    for at in [0, 1, 15] {
        for n in [1, 2, 3, 4, 10, 253] {
            let expect = move |_| match n as u64 {
                n @ 1..=2 => refused(15, 0, n),
                n => refused(15, 2, n),
            };
            let deed = move |evil: Evil| {
                evil.hear();
                let stream = evil.stream.try_clone().expect("a copy");
                Offer::new(evil.kind).send(&stream);
                let bytes = accept();
                let (before, rest) = bytes.split_at(at);
                let _ = (before.is_empty() || wire::send(&stream, before, &[])) && wire::send(&stream, rest, &nulls(n));
                assert_told(&evil, &expect(evil.kind));
            };
            cases.push(Case::new(GROUP, format!("{n}-with-byte-{at}-of-accept"), ALL, deed, expect));
        }
    }
}

fn elsewhere(cases: &mut Vec<Case>) {
    // A Reject is heard whatever it carries.
    for n in [1, 2] {
        let deed = move |evil: Evil| {
            wire::send(&evil.stream, &crate::frames::reject(9, 16, 8, b""), &nulls(n));
            wire::until_over(&evil.stream);
        };
        let expect = |_| Expect::RefusedByPeer { reason: 9, here: 8, there: 16 };
        cases.push(Case::new(GROUP, format!("{n}-with-a-reject"), ALL, deed, expect));
    }
    let deed = |evil: Evil| {
        evil.hear();
        wire::send(&evil.stream, &[0x5A; 100], &nulls(253));
        let told = wire::told(&evil.stream).expect("a Reject");
        assert_eq!((told.0, told.1), (15, 2));
    };
    let expect = |_| refused(15, 2, 253);
    cases.push(Case::new(GROUP, "253-with-garbage", ALL, deed, expect));
    // The stream itself, which keeps it alive while it lies in it.
    let itself = |offer: &mut Offer| {
        let (ours, theirs) = UnixStream::pair().expect("sockets");
        wire::send(&ours, b"x", &[theirs.try_clone().expect("a copy").into()]);
        offer.fds[0] = theirs.into();
    };
    cases.push(Case::offer(GROUP, "a-socket-that-lies-in-itself", ALL, itself, |_| refused(16, 0, 22)));
}
