//! The second socket, which the server of a connection both ways gets from its peer.

use std::os::fd::OwnedFd;

use super::Case;
use crate::{
    expect::{End, Expect, Then, gives, refused, takes, works},
    kind::SERVER,
    offer::Offer,
    raw::Evil,
    things, wire,
};

const GROUP: &str = "second-socket";

pub(super) fn add(cases: &mut Vec<Case>) {
    for &(name, make) in things::NO_SOCKETS {
        let change = move |offer: &mut Offer| offer.fds[1] = make();
        cases.push(Case::offer(GROUP, name, SERVER, change, |_| refused(21, 0, 0)));
    }
    // A flawed second socket is found before a flawed segment.
    let both = |offer: &mut Offer| offer.fds.fill_with(|| std::fs::File::open("/dev/null").expect("/dev/null").into());
    cases.push(Case::offer(GROUP, "and-segment-wrong", SERVER, both, |_| refused(21, 0, 0)));
    nobody_there(cases);
    same_stream(cases);
    shared(cases);
}

fn nobody_there(cases: &mut Vec<Case>) {
    let deed = |end: fn(&mut Offer)| {
        move |evil: Evil| {
            let mut offer = Offer::new(evil.kind);
            end(&mut offer);
            evil.open_with(offer, wire::send).until_over();
        }
    };
    let close = |offer: &mut Offer| (offer.second, offer.shared) = (None, None);
    cases.push(Case::new(GROUP, "closed-at-the-other-end", SERVER, deed(close), |_| gives(8, End::Disconnected)));
    let shut = |offer: &mut Offer| {
        let second = offer.second.take().expect("a second socket");
        second.shutdown(std::net::Shutdown::Both).expect("a shutdown");
        offer.second = Some(second);
    };
    cases.push(Case::new(GROUP, "shut-at-the-other-end", SERVER, deed(shut), |_| gives(8, End::Disconnected)));
    let shut = |offer: &mut Offer| {
        let shared = offer.shared.take().expect("a second socket");
        shared.shutdown(std::net::Shutdown::Both).expect("a shutdown");
        offer.shared = Some(shared);
    };
    cases.push(Case::new(GROUP, "shut-at-its-own-end", SERVER, deed(shut), |_| gives(8, End::Disconnected)));
    // Bells that nobody rang, and a descriptor, lie in it already.
    let filled = |offer: &mut Offer| {
        let second = offer.second.as_ref().expect("a second socket");
        wire::send(second, &[7; 24], &[]);
    };
    let expect = |_| gives(8, End::ControlKind { kind: 0x0707_0707_0707_0707 });
    cases.push(Case::new(GROUP, "with-a-bell-of-no-kind-in-it", SERVER, deed(filled), expect));
    let filled = |offer: &mut Offer| {
        let second = offer.second.as_ref().expect("a second socket");
        let null: OwnedFd = std::fs::File::open("/dev/null").expect("/dev/null").into();
        wire::send(second, &[0; 24], &[null]);
    };
    cases.push(Case::new(GROUP, "with-a-descriptor-in-it", SERVER, deed(filled), |_| gives(8, End::Descriptors)));
}

/// The peer's end of the stream as the second socket: what is rung there is heard on the first.
fn same_stream(cases: &mut Vec<Case>) {
    let offer = |evil: &Evil| {
        let mut offer = Offer::new(evil.kind);
        offer.fds[1] = evil.stream.try_clone().expect("a copy").into();
        (offer.second, offer.shared) = (None, None);
        offer
    };
    let deed = move |evil: Evil| {
        let offer = offer(&evil);
        evil.open_with(offer, wire::send).until_over();
    };
    cases.push(Case::new(GROUP, "the-stream-itself", SERVER, deed, |_| Expect::Opens(Then::Waits)));
    // The honest end has both ends, so no hang-up will ever tell it.
    let dies = move |evil: Evil| {
        let offer = offer(&evil);
        let raw = evil.open_with(offer, wire::send);
        raw.segment.publish(0, 3);
        super::ends::die();
    };
    let case = Case::new(GROUP, "the-stream-itself-and-death", SERVER, dies, |_| takes(3, End::Disconnected));
    cases.push(Case { dies: true, ..case.only_if(super::ends::deaths_are_told()) });
}

/// The peer keeps the very end that it sent, and sets what can be set.
fn shared(cases: &mut Vec<Case>) {
    let pidfds = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        let _ = fdpass::set_pass_pidfd(shared, true);
    };
    cases.push(Case::offer(GROUP, "that-brings-a-pidfd-with-each-bell", SERVER, pidfds, |_| works()));
    let credentials = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        rustix::net::sockopt::set_socket_passcred(shared, true).expect("an option");
        let _ = fdpass::set_pass_pidfd(shared, true);
    };
    cases.push(Case::offer(GROUP, "that-brings-credentials-with-each-bell", SERVER, credentials, |_| works()));
    let small = |offer: &mut Offer| {
        let shared = offer.shared.as_ref().expect("a second socket");
        rustix::net::sockopt::set_socket_send_buffer_size(shared, 1).expect("an option");
        let second = offer.second.as_ref().expect("a second socket");
        rustix::net::sockopt::set_socket_send_buffer_size(second, 1).expect("an option");
    };
    cases.push(Case::offer(GROUP, "with-the-smallest-buffers", SERVER, small, |_| works()));
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
    cases.push(Case::new(GROUP, "that-blocks-and-is-never-read", SERVER, blocking, expect));
}
