//! What the honest end is given to ring at, for the second ring: it only ever writes there.

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use super::Case;
use crate::{
    expect::{End, Expect, Then, refused, takes, works},
    frames::{DATA, bell},
    kind::DUPLEX,
    offer::Offer,
    raw::{Evil, Raw},
    things,
    unanswered::Unanswered,
    wire,
};

const GROUP: &str = "second-socket";

pub(super) fn add(cases: &mut Vec<Case>) {
    for &(name, make) in things::NO_SOCKETS {
        let change = move |offer: &mut Offer| offer.fds[1] = make();
        cases.push(Case::offer(GROUP, name, DUPLEX, change, |_| refused(21, 0, 0)));
    }
    // A flawed second socket is found before a flawed segment.
    let both = |offer: &mut Offer| offer.fds.fill_with(|| std::fs::File::open("/dev/null").expect("/dev/null").into());
    cases.push(Case::offer(GROUP, "and-segment-wrong", DUPLEX, both, |_| refused(21, 0, 0)));
    nobody_there(cases);
    never_read(cases);
    same_stream(cases);
    shared(cases);
    held(cases);
}

/// Nobody hears the bells: a peer that looks by itself needs none.
fn nobody_there(cases: &mut Vec<Case>) {
    let close = |offer: &mut Offer| (offer.inbox, offer.shared) = (None, None);
    cases.push(Case::offer(GROUP, "closed-at-the-other-end", DUPLEX, close, |_| works()));
    let shut = |socket: &Option<UnixStream>| {
        socket.as_ref().expect("a socket").shutdown(std::net::Shutdown::Both).expect("a shutdown");
    };
    let other = move |offer: &mut Offer| shut(&offer.inbox);
    cases.push(Case::offer(GROUP, "shut-at-the-other-end", DUPLEX, other, |_| works()));
    let own = move |offer: &mut Offer| shut(&offer.shared);
    cases.push(Case::offer(GROUP, "shut-at-its-own-end", DUPLEX, own, |_| works()));
    // The end that a service got of somebody who has no name.
    let accepted = |offer: &mut Offer| offer.fds[1] = things::service().1.into();
    cases.push(Case::offer(GROUP, "accepted-by-a-service", DUPLEX, accepted, |_| works()));
}

/// What lies in it is nothing to the honest end, and is closed with it.
fn never_read(cases: &mut Vec<Case>) {
    let fill = |bytes: Vec<u8>, descriptors: usize| {
        move |offer: &mut Offer| {
            let fds: Vec<OwnedFd> =
                (0..descriptors).map(|_| std::fs::File::open("/dev/null").expect("/dev/null").into()).collect();
            wire::send(offer.inbox.as_ref().expect("a socket"), &bytes, &fds);
        }
    };
    let bells = bell(DATA, 0, 0).repeat(300);
    for (name, bytes, descriptors) in
        [("a-bell-of-no-kind", vec![7; 24], 0), ("300-bells", bells, 0), ("253-descriptors", vec![0; 24], 253)]
    {
        let case = Case::offer(GROUP, format!("with-{name}-in-it"), DUPLEX, fill(bytes, descriptors), |_| works());
        cases.push(case);
    }
}

/// The peer's end of the stream as the second socket: what is rung there is heard on the first.
fn same_stream(cases: &mut Vec<Case>) {
    let offer = |evil: &Evil| {
        let mut offer = Offer::new(evil.kind);
        offer.fds[1] = evil.stream.try_clone().expect("a copy").into();
        (offer.inbox, offer.shared) = (None, None);
        offer
    };
    let deed = move |evil: Evil| {
        let offer = offer(&evil);
        evil.open_with(offer, wire::send).until_over();
    };
    cases.push(Case::new(GROUP, "the-stream-itself", DUPLEX, deed, |_| Expect::Opens(Then::Idles)));
    // The honest end has both ends, so no hang-up will ever tell it.
    let dies = move |evil: Evil| {
        let offer = offer(&evil);
        let raw = evil.open_with(offer, wire::send);
        raw.segment.publish(0, 3);
        super::ends::die();
    };
    let case = Case::new(GROUP, "the-stream-itself-and-death", DUPLEX, dies, |_| takes(3, End::Disconnected));
    cases.push(Case { dies: true, ..case.only_if(super::ends::deaths_are_told()) });
}

/// The peer keeps the very end that it sent, and sets what can be set.
fn shared(cases: &mut Vec<Case>) {
    let pidfds = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        let _ = wire::pass_pidfd(shared);
    };
    cases.push(Case::offer(GROUP, "that-brings-a-pidfd-with-each-bell", DUPLEX, pidfds, |_| works()));
    let credentials = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        rustix::net::sockopt::set_socket_passcred(shared, true).expect("an option");
        let _ = wire::pass_pidfd(shared);
    };
    cases.push(Case::offer(GROUP, "that-brings-credentials-with-each-bell", DUPLEX, credentials, |_| works()));
    let small = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        rustix::net::sockopt::set_socket_send_buffer_size(shared, 1).expect("an option");
    };
    cases.push(Case::offer(GROUP, "with-the-smallest-buffer", DUPLEX, small, |_| works()));
    let blocking = |evil: Evil| {
        let raw = evil.open();
        raw.serve(|raw, _| {
            let shared = raw.shared.as_ref().expect("a second socket");
            shared.set_nonblocking(false).expect("a flag");
            // Asked for each bell, and none is read.
            raw.segment.set(crate::segment::WAKE_TAIL, raw.head.wrapping_add(1));
        });
    };
    let expect = |_| Expect::Opens(Then::Works(2000));
    cases.push(Case::new(GROUP, "that-blocks-and-is-never-read", DUPLEX, blocking, expect));
}

/// The peer reads the same socket, into memory whose first touch nobody answers: whoever else reads it waits.
fn held(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let raw = evil.open();
        let memory = Unanswered::new().expect("memory");
        let copy = |socket: &Option<UnixStream>| socket.as_ref().expect("a socket").try_clone().expect("a copy");
        let (inbox, shared) = (copy(&raw.inbox), copy(&raw.shared));
        std::thread::scope(|scope| {
            scope.spawn(|| memory.read(&shared));
            wire::send(&inbox, &bell(DATA, 0, 0), &[]);
            memory.until_touched();
            // More to read for the honest end, if it did.
            wire::send(&inbox, &bell(DATA, 0, 0), &[]);
            Raw::serve_well(raw);
            memory.answer();
        });
    };
    let case = Case::new(GROUP, "held-by-another-reader", DUPLEX, deed, |_| works());
    cases.push(case.only_if(Unanswered::new().map(drop).map_err(|error| format!("userfaultfd: {error}"))));
}
