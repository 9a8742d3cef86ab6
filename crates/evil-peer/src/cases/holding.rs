//! Descriptors that hold up whoever asks about them or closes them: none of these holds up the honest end.

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use super::{Case, assert_told, bells::to_each_half};
use crate::{
    expect::{End, Expect, gives, refused, takes},
    frames::{DATA, accept, bell, reject},
    kind::{ALL, DUPLEX, Kind},
    offer::Offer,
    raw::{Evil, SendWith},
    segment::{SLOTS, TAIL},
    things, wire,
};

const GROUP: &str = "holding";

pub(super) fn add(cases: &mut Vec<Case>) {
    let at = cases.len();
    in_a_hello(cases);
    in_other_frames(cases);
    on_a_bell(cases);
    unread(cases);
    out_of_band(cases);
    unanswered(cases);
    cases[at..].iter_mut().for_each(|case| case.honest.prompt = true);
}

/// Offers with these descriptors, of which the honest end then has the last copies.
fn offering(
    name: impl Into<String>,
    kinds: &'static [Kind],
    fds: impl Fn(&mut Offer) + 'static,
    expect: impl Fn(Kind) -> Expect + Clone + 'static,
) -> Case {
    let told = expect.clone();
    let deed = move |evil: Evil| {
        evil.hear();
        let mut offer = Offer::new(evil.kind);
        fds(&mut offer);
        offer.send(&evil.stream);
        drop(offer);
        assert_told(&evil, &told(evil.kind));
    };
    Case::new(GROUP, name, kinds, deed, expect)
}

fn in_a_hello(cases: &mut Vec<Case>) {
    let segment = |offer: &mut Offer| offer.fds[0] = things::lingering();
    cases.push(offering("lingers-as-segment", ALL, segment, |_| refused(16, 0, 22)));
    let second = |offer: &mut Offer| offer.fds[1] = things::lingering();
    cases.push(offering("lingers-as-second-socket", DUPLEX, second, |_| refused(21, 0, 0)));
    for n in [3, 20] {
        let surplus = move |offer: &mut Offer| offer.fds.resize_with(n, things::lingering);
        cases.push(offering(format!("lingers-{n}-with-a-hello"), ALL, surplus, move |_| refused(15, 2, n as u64)));
    }
    let wrong = |offer: &mut Offer| {
        offer.hello.layout = 9;
        offer.fds[0] = things::lingering();
    };
    cases.push(offering("lingers-in-what-does-not-fit", ALL, wrong, |_| refused(8, 1, 9)));
    let silent = |evil: Evil| {
        let bytes = Offer::new(evil.kind).bytes();
        send_lingering(wire::send, &evil.stream, &bytes[..20]);
        wire::until_over(&evil.stream);
    };
    let case = Case::new(GROUP, "lingers-and-silence", ALL, silent, |_| Expect::TimedOut);
    cases.push(case.with(|honest| honest.handshake = 100));
}

fn in_other_frames(cases: &mut Vec<Case>) {
    for n in [1, 3] {
        let here = if n == 1 { 0 } else { 2 };
        let deed = move |evil: Evil| {
            evil.hear();
            Offer::new(evil.kind).send(&evil.stream);
            wire::send(&evil.stream, &accept(), &lingering(n));
            assert_told(&evil, &refused(15, here, n as u64));
        };
        let expect = move |_| refused(15, here, n as u64);
        cases.push(Case::new(GROUP, format!("lingers-{n}-with-an-accept"), ALL, deed, expect));
    }
    let deed = |evil: Evil| {
        wire::send(&evil.stream, &reject(9, 16, 8, b""), &lingering(1));
        wire::until_over(&evil.stream);
    };
    let expect = |_| Expect::RefusedByPeer { reason: 9, here: 8, there: 16 };
    cases.push(Case::new(GROUP, "lingers-with-a-reject", ALL, deed, expect));
}

fn lingering(n: usize) -> Vec<OwnedFd> {
    (0..n).map(|_| things::lingering()).collect()
}

/// What nobody reads is closed with the socket in which it lies.
fn unread(cases: &mut Vec<Case>) {
    for (name, to_all) in [("unread-behind-a-bell", false), ("unread-behind-a-bell-on-each-socket", true)] {
        let deed = move |evil: Evil| {
            let raw = evil.open();
            if raw.kind.receives() || raw.until(TAIL, SLOTS) {
                let heard = if raw.kind.receives() { raw.to_consumer() } else { raw.to_producer() };
                let others = [&raw.stream].into_iter().chain(&raw.second).filter(|_| to_all);
                // The first one that is heard ends the connection.
                others.chain([heard]).for_each(|socket| leave_lingering(socket, &bell(DATA, 0, 0)));
                raw.until_over();
            }
        };
        cases.push(Case::new(GROUP, format!("lingers-{name}"), ALL, deed, descriptors_end_it));
    }
}

fn leave_lingering(socket: &UnixStream, bytes: &[u8]) {
    let _ = (0..3).all(|_| send_lingering(wire::send, socket, bytes));
}

fn send_lingering(send: SendWith, socket: &UnixStream, bytes: &[u8]) -> bool {
    let fds = lingering(1);
    let sent = send(socket, bytes, &fds);
    if !sent {
        // This process would be the one that lingers.
        std::mem::forget(fds);
    }
    sent
}

fn descriptors_end_it(kind: Kind) -> Expect {
    match kind.receives() {
        true => takes(0, End::Descriptors),
        false => gives(SLOTS, End::Descriptors),
    }
}

fn on_a_bell(cases: &mut Vec<Case>) {
    for n in [1, 10] {
        let deed = move |evil: Evil| {
            let raw = evil.open();
            if raw.kind.receives() || raw.until(TAIL, SLOTS) {
                let socket = if raw.kind.receives() { raw.to_consumer() } else { raw.to_producer() };
                wire::send(socket, &bell(DATA, 0, 0), &lingering(n));
                raw.until_over();
            }
        };
        cases.push(Case::new(GROUP, format!("lingers-{n}-with-a-bell"), ALL, deed, descriptors_end_it));
    }
}

/// On a byte out of band: a receive that comes upon one drops it, unless it was told not to.
fn out_of_band(cases: &mut Vec<Case>) {
    let at = cases.len();
    let expect = |kind: Kind| {
        let due = kind.descriptors_due();
        refused(15, due, due + 1)
    };
    let deed = move |evil: Evil| {
        evil.hear();
        let offer = Offer::new(evil.kind);
        let bytes = offer.bytes();
        wire::send(&evil.stream, &bytes[..20], &offer.fds);
        leave_out_of_band(&evil.stream, &bytes[20..21]);
        wire::send(&evil.stream, &bytes[21..], &[]);
        assert_told(&evil, &expect(evil.kind));
    };
    cases.push(Case::new(GROUP, "lingers-on-an-oob-byte-of-a-hello", ALL, deed, expect));
    // The bell is there already when the byte is come upon, or is not.
    for (name, before, behind) in [("with-a-bell", 0, 1), ("with-a-bell-before", 1, 1), ("and-no-bell", 0, 0)] {
        let send = move |socket: &UnixStream| {
            wire::send(socket, &bell(DATA, 0, 0).repeat(before), &[]);
            leave_out_of_band(socket, b"x");
            wire::send(socket, &bell(DATA, 0, 0).repeat(behind), &[]);
        };
        let name = format!("lingers-on-an-oob-byte-{name}");
        to_each_half(cases, GROUP, &name, send, End::Descriptors);
    }
    // Nobody reads these: they are closed with the socket.
    let deed = |evil: Evil| {
        let raw = evil.open();
        if raw.kind.receives() || raw.until(TAIL, SLOTS) {
            let heard = if raw.kind.receives() { raw.to_consumer() } else { raw.to_producer() };
            for socket in [heard, &raw.stream].into_iter().chain(&raw.second) {
                // The first one that is heard ends the connection.
                send_lingering(wire::send, socket, &bell(DATA, 0, 0));
                (0..3).for_each(|_| leave_out_of_band(socket, b"x"));
                wire::send(socket, b"x", &[]);
            }
            raw.until_over();
        }
    };
    cases.push(Case::new(GROUP, "lingers-on-unread-oob-bytes", ALL, deed, descriptors_end_it));
    let known = wire::out_of_band_is_known();
    cases[at..].iter_mut().for_each(|case| case.lacks = known.clone().err());
}

fn leave_out_of_band(socket: &UnixStream, byte: &[u8]) {
    send_lingering(wire::send_out_of_band, socket, byte);
}

fn unanswered(cases: &mut Vec<Case>) {
    // The program alone mounts anything: its tests ask whether it could.
    let possible = || match std::fs::File::options().read(true).write(true).open("/dev/fuse") {
        Ok(_) if rustix::process::geteuid().is_root() => Ok(()),
        Ok(_) => Err("only root mounts a FUSE file system here".to_owned()),
        Err(error) => Err(format!("/dev/fuse: {error}")),
    };
    let segment = |offer: &mut Offer| offer.fds[0] = things::unanswered().expect("a mount");
    let case = offering("unanswered-as-segment", ALL, segment, |_| refused(16, 0, 9));
    cases.push(case.only_if(possible()));
    let second = |offer: &mut Offer| offer.fds[1] = things::unanswered().expect("a mount");
    let case = offering("unanswered-as-second-socket", DUPLEX, second, |_| refused(21, 0, 0));
    cases.push(case.only_if(possible()));
}
