//! Bells of no kind, with descriptors, in pieces, and never read.

use std::{
    fs::File,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use super::Case;
use crate::{
    expect::{End, Expect, Then, gives, takes, works},
    frames::{CONTROL, DATA, FINISHED, ROOM, bell},
    kind::{ALL, Kind, RECEIVING, SENDING},
    raw::{Evil, Raw},
    segment::{HEAD, SLOTS, TAIL, WAKE_HEAD, WAKE_TAIL},
    wire,
};

const GROUP: &str = "bells";

pub(super) fn add(cases: &mut Vec<Case>) {
    kinds(cases);
    descriptors(cases);
    lies(cases);
    pieces(cases);
    unread(cases);
    out_of_band(cases);
}

/// Messages with these descriptors to each half of that kind, found by that half: by the receiving one behind three elements, by the
/// sending one behind a full ring.
pub(super) fn to_each_half(
    cases: &mut Vec<Case>,
    group: &'static str,
    name: &str,
    send: impl Fn(&UnixStream) + Clone + 'static,
    end: End,
) {
    let to_consumer = send.clone();
    let deed = move |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        raw.ring();
        if raw.until(HEAD, 3) {
            to_consumer(raw.to_consumer());
            raw.until_over();
        }
    };
    cases.push(Case::new(group, format!("{name}-to-the-consumer"), RECEIVING, deed, move |_| takes(3, end)));
    let deed = move |evil: Evil| {
        let raw = evil.open();
        if raw.until(TAIL, SLOTS) {
            send(raw.to_producer());
            raw.until_over();
        }
    };
    cases.push(Case::new(group, format!("{name}-to-the-producer"), SENDING, deed, move |_| gives(SLOTS, end)));
}

fn kinds(cases: &mut Vec<Case>) {
    for kind in [0, 5, 6, 255, 256, 1 << 32, (1 << 32) | 1, 1 << 63, (1 << 63) | 1, u64::MAX] {
        for (where_, before) in [("", 0), ("-behind-300", 300)] {
            let send = move |socket: &UnixStream| {
                let bytes = [bell(DATA, 0, 0).repeat(before), bell(kind, 0, 0), bell(CONTROL, 1, 1)].concat();
                wire::send(socket, &bytes, &[]);
            };
            to_each_half(cases, GROUP, &format!("kind-{kind}{where_}"), send, End::ControlKind { kind });
        }
    }
}

fn nulls(n: usize) -> Vec<OwnedFd> {
    (0..n).map(|_| File::open("/dev/null").expect("/dev/null").into()).collect()
}

fn descriptors(cases: &mut Vec<Case>) {
    for n in [1, 2, 253] {
        for kind in [DATA, ROOM, FINISHED, CONTROL, 99] {
            let send = move |socket: &UnixStream| {
                wire::send(socket, &bell(kind, 0, 0), &nulls(n));
            };
            to_each_half(cases, GROUP, &format!("{n}-descriptors-with-kind-{kind}"), send, End::Descriptors);
        }
    }
    let send = |socket: &UnixStream| {
        let bytes = bell(DATA, 0, 0);
        wire::send(socket, &bytes[..11], &[]);
        wire::send(socket, &bytes[11..12], &nulls(1));
        wire::send(socket, &bytes[12..], &[]);
    };
    to_each_half(cases, GROUP, "a-descriptor-in-the-middle", send, End::Descriptors);
}

/// Bells of every kind, with positions that are nowhere: nothing is decided by them.
fn lies(cases: &mut Vec<Case>) {
    const NUMBERS: [u64; 6] = [0, 1, SLOTS, SLOTS + 1, 1 << 63, u64::MAX];
    for kind in [DATA, ROOM, FINISHED, CONTROL] {
        let send = move |socket: &UnixStream| {
            for tail in NUMBERS {
                for head in NUMBERS {
                    wire::send(socket, &bell(kind, tail, head), &[]);
                }
            }
        };
        to_each_half(cases, GROUP, &format!("kind-{kind}-with-wrong-positions"), send, End::Silence);
        let deed = move |evil: Evil| {
            evil.open().serve(move |raw, turn| {
                for socket in [&raw.stream].into_iter().chain(&raw.second) {
                    let _ = wire::try_send(socket, &bell(kind, turn, !turn));
                }
            });
        };
        let expect = |_| Expect::Opens(Then::Works(1000));
        cases.push(Case::new(GROUP, format!("kind-{kind}-all-the-time"), ALL, deed, expect));
    }
}

fn pieces(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let mut next = [0; 2];
        evil.open().serve(move |raw, _| {
            raw.silent = true;
            let bytes = bell(CONTROL, 7, 9);
            for (socket, at) in [&raw.stream].into_iter().chain(&raw.second).zip(&mut next) {
                // A full socket is tried again: whoever waits on the other one is served first.
                if wire::try_send(socket, &bytes[*at..=*at]).is_some() {
                    *at = (*at + 1) % bytes.len();
                }
            }
        });
    };
    let case = Case::new(GROUP, "in-pieces-of-one-byte", ALL, deed, |_| works());
    cases.push(case);
    for length in [1, 8, 23] {
        let send = move |socket: &UnixStream| {
            wire::send(socket, &bell(DATA, 0, 0)[..length], &[]);
        };
        to_each_half(cases, GROUP, &format!("{length}-bytes-and-no-more"), send, End::Silence);
        let send = move |socket: &UnixStream| {
            wire::send(socket, &bell(DATA, 0, 0)[..length], &[]);
            socket.shutdown(std::net::Shutdown::Both).expect("a shutdown");
        };
        to_each_half(cases, GROUP, &format!("{length}-bytes-and-the-end"), send, End::Disconnected);
    }
    // Only one direction of the socket ends.
    for (name, how) in [("reads-no-more", std::net::Shutdown::Read), ("writes-no-more", std::net::Shutdown::Write)] {
        let deed = move |evil: Evil| {
            let raw = evil.open();
            raw.segment.publish(0, 3);
            raw.to_consumer().shutdown(how).expect("a shutdown");
            raw.until_over();
        };
        let end = if how == std::net::Shutdown::Write { End::Disconnected } else { End::Silence };
        cases.push(Case::new(GROUP, name, &[Kind::Consumer, Kind::DuplexServer], deed, move |_| takes(3, end)));
    }
}

/// A peer that asks for every bell and reads none: the sockets are full, and it matters to nobody.
fn unread(cases: &mut Vec<Case>) {
    let ask = |raw: &mut Raw| {
        raw.segment.set(WAKE_TAIL, raw.head.wrapping_add(1));
        raw.segment.set(WAKE_HEAD, raw.tail.wrapping_sub(SLOTS).wrapping_add(1));
    };
    let deed = move |evil: Evil| {
        evil.open().serve(move |raw, _| ask(raw));
    };
    let expect = |_| Expect::Opens(Then::Works(5000));
    cases.push(Case::new(GROUP, "asked-for-and-never-read", ALL, deed, expect));
    // Full both ways: each read makes room for more.
    let deed = move |evil: Evil| {
        evil.open().serve(move |raw, _| {
            ask(raw);
            for socket in [&raw.stream].into_iter().chain(&raw.second) {
                // Whole bells, as long as they go.
                while wire::try_send(socket, &bell(DATA, 0, 0)).is_some() {}
            }
        });
    };
    cases.push(Case::new(GROUP, "full-both-ways", ALL, deed, |_| works()));
}

/// Bytes out of band are bytes like the others.
fn out_of_band(cases: &mut Vec<Case>) {
    let at = cases.len();
    type Send = fn(&UnixStream, &[u8]) -> bool;
    let ways: [(&str, Send); 4] = [
        ("the-last-byte-oob", |socket, bell| wire::send_out_of_band(socket, bell, &[])),
        ("several-bytes-oob", |socket, bell| wire::send_out_of_band_in_pieces(socket, bell, &[], 5)),
        ("only-bytes-oob", |socket, bell| wire::send_out_of_band_in_pieces(socket, bell, &[], 1)),
        ("the-first-byte-oob", |socket, bell| {
            wire::send_out_of_band(socket, &bell[..1], &[]) && wire::send(socket, &bell[1..], &[])
        }),
    ];
    for (name, send) in ways {
        // No byte may be lost: what comes behind it would be taken for something else.
        let whole = move |socket: &UnixStream| {
            let _ = (0..10).all(|_| send(socket, &bell(CONTROL, 7, 9)));
        };
        to_each_half(cases, GROUP, &format!("{name}-of-good-bells"), whole, End::Silence);
        let wrong = move |socket: &UnixStream| {
            whole(socket);
            send(socket, &bell(99, 7, 9));
        };
        to_each_half(cases, GROUP, &format!("{name}-of-a-wrong-bell"), wrong, End::ControlKind { kind: 99 });
        let end = move |socket: &UnixStream| {
            send(socket, &bell(DATA, 0, 0));
            socket.shutdown(std::net::Shutdown::Both).expect("a shutdown");
        };
        to_each_half(cases, GROUP, &format!("{name}-and-the-end"), end, End::Disconnected);
    }
    let known = wire::out_of_band_is_known();
    cases[at..].iter_mut().for_each(|case| case.lacks = known.clone().err());
}
