//! Frames in pieces, at once, out of order, too many, and Rejects of every kind.

use super::{Case, assert_told};
use crate::{
    expect::{End, Expect, gives, refused, takes, works},
    frames::{ORDER, REJECT, VERSION, accept, bell, frame, reject},
    kind::{ALL, Kind},
    offer::Offer,
    raw::{Evil, Raw, SendWith},
    wire,
};

const GROUP: &str = "frames";

pub(super) fn add(cases: &mut Vec<Case>) {
    pieces(cases);
    orders(cases);
    behind_accept(cases);
    rejects(cases);
    hostile_texts(cases);
}

fn pieces(cases: &mut Vec<Case>) {
    let bytewise = |evil: Evil| {
        let offer = Offer::new(evil.kind);
        evil.open_with(offer, wire::send_in_pieces).serve_well();
    };
    cases.push(Case::new(GROUP, "in-pieces-of-one-byte", ALL, bytewise, |_| works()));
    let out_of_band: [(&str, SendWith); 3] = [
        ("with-the-last-byte-oob", wire::send_out_of_band),
        ("with-oob-bytes", |socket, bytes, fds| wire::send_out_of_band_in_pieces(socket, bytes, fds, 10)),
        ("of-oob-bytes-only", |socket, bytes, fds| wire::send_out_of_band_in_pieces(socket, bytes, fds, 1)),
    ];
    for (name, send) in out_of_band {
        let deed = move |evil: Evil| {
            let offer = Offer::new(evil.kind);
            evil.open_with(offer, send).serve_well();
        };
        cases.push(Case::new(GROUP, name, ALL, deed, |_| works()).only_if(wire::out_of_band_is_known()));
    }
    // Without waiting for anything.
    let at_once = |evil: Evil| {
        let mut offer = Offer::new(evil.kind);
        offer.accept_at_once();
        evil.meet(offer, wire::send).serve_well();
    };
    cases.push(Case::new(GROUP, "hello-and-accept-at-once", ALL, at_once, |_| works()));
    let with_bells = |evil: Evil| {
        let mut offer = Offer::new(evil.kind);
        offer.accept_at_once();
        (1..=4).for_each(|kind| offer.behind.extend(bell(kind, u64::MAX, u64::MAX)));
        evil.meet(offer, wire::send).serve_well();
    };
    cases.push(Case::new(GROUP, "hello-accept-and-bells-at-once", ALL, with_bells, |_| works()));
}

fn orders(cases: &mut Vec<Case>) {
    let garbage = |n: u32| (0..n).map(|n| (n as u8).wrapping_mul(37) ^ 0x5A).collect::<Vec<u8>>();
    let firsts = [
        ("garbage", garbage(200), refused(1, 0x6d6e_7066, 0x5a7f_1035)),
        ("zeros", vec![0; 1024], refused(1, 0x6d6e_7066, 0)),
        ("a-megabyte-of-garbage", garbage(100_000), refused(1, 0x6d6e_7066, 0x5a7f_1035)),
        ("accept-first", accept(), refused(4, 0, 2)),
        ("unknown-kind-first", frame(9, &[1; 100]), refused(4, 0, 9)),
        ("longest-frame-of-no-kind", frame(u16::MAX, &[0xFF; 1024]), refused(4, 0, 65535)),
        ("hello-too-short", frame(1, &[1; 47]), refused(5, 48, 47)),
        ("hello-without-body", frame(1, &[]), refused(5, 48, 0)),
        ("reject-too-short", frame(REJECT, &[1, 0]), refused(5, 24, 2)),
        ("reject-of-no-reason", reject(0, 1, 2, b""), refused(5, 0, 0)),
        ("reject-of-an-unknown-reason", reject(23, 1, 2, b""), refused(5, 0, 23)),
        ("reject-of-the-last-number", reject(u16::MAX, 1, 2, b""), refused(5, 0, 65535)),
    ];
    for (name, bytes, expect) in firsts {
        let change = move |offer: &mut Offer| offer.instead = Some(bytes.clone());
        cases.push(Case::offer(GROUP, name, ALL, change, move |_| expect.clone()));
    }
    let behind = [
        ("hello-twice", None, refused(4, 0, 1)),
        ("accept-with-a-body", Some(frame(2, &[0; 3])), refused(5, 0, 3)),
        ("unknown-kind-behind-hello", Some(frame(4, b"more")), refused(4, 0, 4)),
        ("garbage-behind-hello", Some(garbage(40)), refused(1, 0x6d6e_7066, 0x5a7f_1035)),
        ("accept-of-version-0", Some(bad_version()), refused(3, u64::from(VERSION), 0)),
    ];
    for (name, bytes, expect) in behind {
        let change = move |offer: &mut Offer| offer.behind = bytes.clone().unwrap_or_else(|| offer.hello.bytes());
        cases.push(Case::offer(GROUP, name, ALL, change, move |_| expect.clone()));
    }
}

fn bad_version() -> Vec<u8> {
    let mut bytes = accept();
    bytes[10..12].fill(0);
    bytes
}

/// What is behind an Accept is a bell for the ring of the stream: that which the honest client fills, and the server empties.
fn on_the_stream(kind: Kind, end: End) -> Expect {
    if kind.is_client() { gives(8, end) } else { takes(0, end) }
}

fn behind_accept(cases: &mut Vec<Case>) {
    let word = u64::from_ne_bytes([&b"mnpf"[..], &ORDER.to_ne_bytes()].concat().try_into().expect("eight bytes"));
    let behind = [
        ("zeros-behind-accept", vec![0; 24], End::ControlKind { kind: 0 }),
        ("ones-behind-accept", vec![0xFF; 24], End::ControlKind { kind: u64::MAX }),
        ("less-than-a-bell-behind-accept", vec![0xFF; 23], End::Silence),
        ("accept-twice", [accept(), vec![0; 8]].concat(), End::ControlKind { kind: word }),
        ("hello-behind-accept", frame(1, &[1; 48]), End::ControlKind { kind: word }),
        ("reject-behind-accept", reject(9, 16, 8, b""), End::ControlKind { kind: word }),
    ];
    for (name, bytes, end) in behind {
        let deed = move |evil: Evil| {
            let offer = Offer::new(evil.kind);
            let raw = evil.meet(offer, wire::send);
            wire::send(&raw.stream, &[accept(), bytes.clone()].concat(), &[]);
            raw.until_over();
        };
        cases.push(Case::new(GROUP, name, ALL, deed, move |kind| on_the_stream(kind, end)));
    }
}

fn rejects(cases: &mut Vec<Case>) {
    for code in 1..=22u16 {
        let text: &[u8] = if code == 13 { b"yours" } else { b"" };
        let expect = move |_| Expect::RefusedByPeer { reason: code, here: 8, there: 16 };
        let deed = move |evil: Evil| {
            wire::send(&evil.stream, &reject(code, 16, 8, text), &[]);
            wire::until_over(&evil.stream);
        };
        cases.push(Case::new(GROUP, format!("reject-{code}-first"), ALL, deed, expect));
    }
    let expect = |_| Expect::RefusedByPeer { reason: 9, here: 8, there: u64::MAX };
    let behind = |evil: Evil| {
        evil.hear();
        let mut offer = Offer::new(evil.kind);
        offer.behind = reject(9, u64::MAX, 8, b"");
        offer.send(&evil.stream);
        wire::until_over(&evil.stream);
    };
    cases.push(Case::new(GROUP, "reject-behind-hello", ALL, behind, expect));
    let late = |evil: Evil| {
        let offer = Offer::new(evil.kind);
        let raw: Raw = evil.meet(offer, wire::send);
        wire::send_in_pieces(&raw.stream, &reject(9, u64::MAX, 8, b""), &[]);
        raw.until_over();
    };
    cases.push(Case::new(GROUP, "reject-for-accept", ALL, late, expect));
    // Said, and gone at once.
    let gone = |evil: Evil| {
        wire::send(&evil.stream, &reject(9, u64::MAX, 8, b""), &[]);
    };
    cases.push(Case::new(GROUP, "reject-and-gone", ALL, gone, expect));
    // One refusal is answered by another: the honest end has the last word.
    let both = |evil: Evil| {
        evil.hear();
        let mut offer = Offer::new(evil.kind);
        offer.hello.layout = 7;
        offer.behind = reject(9, 16, 8, b"");
        offer.send(&evil.stream);
        assert_told(&evil, &refused(8, 1, 7));
    };
    cases.push(Case::new(GROUP, "reject-behind-what-is-refused", ALL, both, |_| refused(8, 1, 7)));
}

fn hostile_texts(cases: &mut Vec<Case>) {
    let texts: [(&str, &[u8]); 6] = [
        ("escapes", b"\x1b]0;owned\x07\x1b[2J\x1b[1;1H"),
        ("line-ends", b"ok\r\nrefused: nothing\n\0"),
        ("no-utf8", &[0xFF; 255]),
        ("half-a-character", b"abc\xE2\x80"),
        ("turned-around", b"\xE2\x80\xAEtxet\xE2\x81\xA6\xEF\xBB\xBF"),
        ("quotes", b"\" here, \"mine\" there\\"),
    ];
    for (name, text) in texts {
        for code in [13, 9, 22] {
            let deed = move |evil: Evil| {
                wire::send(&evil.stream, &reject(code, u64::MAX, u64::MAX, text), &[]);
                wire::until_over(&evil.stream);
            };
            let expect = move |_| Expect::RefusedByPeer { reason: code, here: u64::MAX, there: u64::MAX };
            let case = Case::new(GROUP, format!("reject-{code}-text-{name}"), ALL, deed, expect);
            cases.push(case.with(|honest| honest.schema = "mine"));
        }
    }
    // The text is longer, or shorter, than it says.
    for (said, there) in [(0u8, 5u64), (255, 5)] {
        let mut bytes = reject(13, 0, 0, b"yours");
        bytes[18] = said;
        let expect = refused(5, 24 + u64::from(said), 24 + there);
        let change = move |offer: &mut Offer| offer.instead = Some(bytes.clone());
        cases.push(Case::offer(GROUP, format!("reject-text-says-{said}"), ALL, change, move |_| expect.clone()));
    }
}
