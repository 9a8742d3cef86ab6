//! Bells without end, while the honest end works and while it sleeps until a deadline.

use std::{
    fs::File,
    io::Write,
    os::{fd::OwnedFd, unix::net::UnixStream},
};

use super::Case;
use crate::{
    expect::{End, Expect, Then, Waits, gives, takes},
    frames::{CONTROL, DATA, FINISHED, ROOM, accept, bell},
    kind::{ALL, Kind, RECEIVING},
    offer::Offer,
    raw::{Evil, Raw},
    segment::{SLOTS, TAIL},
    wire,
};

const GROUP: &str = "floods";

pub(super) fn add(cases: &mut Vec<Case>) {
    for (name, kind) in [("data", DATA), ("room", ROOM), ("finished", FINISHED), ("control", CONTROL)] {
        for (many, count) in [("one-by-one", 1), ("a-hundred-at-once", 100)] {
            let flood = move || bell(kind, u64::MAX, u64::MAX).repeat(count);
            let waits = move |evil: Evil| {
                let raw = evil.open();
                pour(raw, &flood());
            };
            let expect = |_| Expect::Opens(Then::Waits);
            let name_of_it = format!("{name}-{many}-while-it-waits");
            let case = || Case::new(GROUP, name_of_it.clone(), ALL, waits, expect);
            cases.push(case());
            if kind == DATA {
                cases.extend([Waits::Spinning, Waits::Asleep].map(|waits| case().waiting(waits)));
            }
            let works = move |evil: Evil| {
                let mut raw = evil.open();
                let sockets = sockets(&raw);
                let flood = flood();
                std::thread::scope(|scope| {
                    for socket in &sockets {
                        scope.spawn(|| pour_into(socket, &flood));
                    }
                    raw.silent = true;
                    raw.serve_well();
                });
            };
            let expect = |_| Expect::Opens(Then::Works(500));
            cases.push(Case::new(GROUP, format!("{name}-{many}-while-it-works"), ALL, works, expect));
        }
    }
    one_look(cases);
    descriptors(cases);
    publishing(cases);
}

/// More than one look may read lies in the socket when the connection opens; a message that would be seen is the last of it.
fn one_look(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let offer = Offer::new(evil.kind);
        let raw = evil.meet(offer, wire::send);
        let all = [accept(), bell(DATA, 0, 0).repeat(300), bell(CONTROL, 7, 9)].concat();
        wire::send(&raw.stream, &all, &[]);
        raw.until_over();
    };
    // The ring of the stream is the one that a server empties.
    let kinds = &[Kind::Consumer, Kind::DuplexServer];
    cases.push(Case::new(GROUP, "more-than-a-look-reads", kinds, deed, |_| Expect::Opens(Then::LooksBounded)));
}

/// Both, each in a copy of its own.
fn sockets(raw: &Raw) -> Vec<UnixStream> {
    [&raw.stream].into_iter().chain(&raw.second).map(|socket| socket.try_clone().expect("a copy")).collect()
}

/// Until the honest end hangs up.
fn pour_into(mut socket: &UnixStream, flood: &[u8]) {
    while socket.write_all(flood).is_ok() {}
}

/// Bells to every half there is.
fn pour(raw: Raw, flood: &[u8]) {
    let sockets = sockets(&raw);
    std::thread::scope(|scope| {
        for socket in &sockets {
            scope.spawn(move || pour_into(socket, flood));
        }
        raw.until_over();
    });
}

/// Descriptors with every bell: the first read finds out, and the rest lies in the socket until it is closed.
fn descriptors(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let raw = evil.open();
        if raw.kind.receives() || raw.until(TAIL, SLOTS) {
            let socket = if raw.kind.receives() { raw.to_consumer() } else { raw.to_producer() };
            let fds: Vec<OwnedFd> = (0..253).map(|_| File::open("/dev/null").expect("/dev/null").into()).collect();
            while wire::send(socket, &bell(DATA, 0, 0), &fds) {}
        }
    };
    let expect = |kind: Kind| match kind.receives() {
        true => takes(0, End::Descriptors),
        false => gives(SLOTS, End::Descriptors),
    };
    cases.push(Case::new(GROUP, "253-descriptors-with-each", ALL, deed, expect));
}

/// A tail that grows as fast as it can, within the rules, and a bell for each: a wait for a whole ring ends.
fn publishing(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let mut raw = evil.open();
        let sockets = sockets(&raw);
        std::thread::scope(|scope| {
            for socket in &sockets {
                scope.spawn(|| pour_into(socket, &bell(DATA, 0, 0)));
            }
            (raw.silent, raw.tail) = (true, 0);
            let mut turn = 0;
            while turn % 1024 != 0 || !wire::is_over(&raw.stream) {
                raw.serve_once(false);
                turn += 1;
            }
        });
    };
    cases.push(Case::new(GROUP, "bells-and-a-ring-that-is-never-empty", RECEIVING, deed, |_| {
        Expect::Opens(Then::Bounded)
    }));
}
