//! Every field of a Hello with every value at an edge.

use super::Case;
use crate::{
    expect::{Expect, refused, works},
    frames::{ACCEPT, HELLO, ORDER, REJECT, VERSION},
    kind::{ALL, Kind, RECEIVING},
    offer::Offer,
    segment::SIZE,
};

const GROUP: &str = "hello";

/// Bytes of the body of a correct Hello: 48, and "raw".
const BODY: u64 = 51;

pub(super) fn add(cases: &mut Vec<Case>) {
    header(cases);
    versions(cases);
    small_fields(cases);
    sizes(cases);
    slots(cases);
    texts(cases);
}

fn header(cases: &mut Vec<Case>) {
    let magic = u64::from(u32::from_be_bytes(*b"mnpf"));
    for wrong in [*b"mnpg", *b"nnpf", *b"MNPF", *b"fpnm", [0; 4], [0xFF; 4]] {
        let number = u64::from(u32::from_be_bytes(wrong));
        cases.push(Case::offer(
            GROUP,
            format!("magic-{number:08x}"),
            ALL,
            move |offer| offer.hello.magic = wrong,
            move |_| refused(1, magic, number),
        ));
    }
    for wrong in [0, 1, ORDER - 1, ORDER + 1, ORDER.swap_bytes(), u32::MAX] {
        cases.push(Case::offer(
            GROUP,
            format!("order-{wrong:08x}"),
            ALL,
            move |offer| offer.hello.order = wrong,
            move |_| refused(2, u64::from(ORDER), u64::from(wrong)),
        ));
    }
    for version in [0, 1, 2, 3, u16::MAX] {
        cases.push(Case::offer(
            GROUP,
            format!("header-version-{version}"),
            ALL,
            move |offer| offer.hello.version = version,
            move |_| if version < VERSION { refused(3, u64::from(VERSION), u64::from(version)) } else { works() },
        ));
    }
    for kind in [0, ACCEPT, REJECT, REJECT + 1, 256, u16::MAX] {
        let expect = move |_| match kind {
            ACCEPT => refused(5, 0, BODY),
            // The version stands where the length of the text would.
            REJECT => refused(5, 24 + u64::from(VERSION.to_ne_bytes()[0]), BODY),
            _ => refused(4, 0, u64::from(kind)),
        };
        cases.push(Case::offer(GROUP, format!("kind-{kind}"), ALL, move |offer| offer.hello.kind = kind, expect));
    }
    assert_eq!(HELLO, 1);
    for length in [0, 1, 24, 47, 48, 50, 51, 52, 1023, 1024, 1025, 1 << 16, 1 << 31, u32::MAX] {
        let number = u64::from(length);
        let expect = move |_| match number {
            0..48 => refused(5, 48, number),
            BODY => works(),
            48..BODY => refused(5, BODY, number),
            // The rest never comes.
            52..=1024 => Expect::TimedOut,
            _ => refused(5, 1024, number),
        };
        let change = move |offer: &mut Offer| offer.hello.length = Some(length);
        let case = Case::offer(GROUP, format!("length-{length}"), ALL, change, expect);
        cases.push(case.with(|honest| {
            if (52..=1024).contains(&length) {
                honest.handshake = 100
            }
        }));
    }
}

fn versions(cases: &mut Vec<Case>) {
    let numbers = || [0, 1, 2, 3, 65535].into_iter();
    for (lowest, highest) in numbers().flat_map(|lowest| numbers().map(move |highest| (lowest, highest))) {
        let fits = lowest <= VERSION && highest >= VERSION;
        cases.push(Case::offer(
            GROUP,
            format!("versions-{lowest}-{highest}"),
            ALL,
            move |offer| (offer.hello.version_min, offer.hello.version_max) = (lowest, highest),
            move |_| if fits { works() } else { refused(3, u64::from(VERSION), u64::from(highest)) },
        ));
    }
}

fn small_fields(cases: &mut Vec<Case>) {
    for features in [1, 2, 0x8000_0000, !1, u32::MAX] {
        let change = move |offer: &mut Offer| offer.hello.features = features;
        cases.push(Case::offer(GROUP, format!("features-{features:x}"), ALL, change, |_| works()));
    }
    for role in [0, 1, 2, 127, 128, 254, 255] {
        let expect = move |kind: Kind| match kind.role() {
            ours if u64::from(role) == 1 - ours => works(),
            ours => refused(6, ours, u64::from(role)),
        };
        cases.push(Case::offer(GROUP, format!("role-{role}"), ALL, move |offer| offer.hello.role = role, expect));
    }
    for direction in [0, 1, 2, 3, 128, 255] {
        let expect = move |kind: Kind| match kind.direction() {
            ours if u64::from(direction) == [0, 2, 1][ours as usize] => works(),
            ours => refused(7, ours, u64::from(direction)),
        };
        let change = move |offer: &mut Offer| offer.hello.direction = direction;
        cases.push(Case::offer(GROUP, format!("direction-{direction}"), ALL, change, expect));
    }
    for layout in [0, 1, 2, 256, u16::MAX] {
        let expect = move |_| if layout == 1 { works() } else { refused(8, 1, u64::from(layout)) };
        cases.push(Case::offer(
            GROUP,
            format!("layout-{layout}"),
            ALL,
            move |offer| offer.hello.layout = layout,
            expect,
        ));
    }
    for start in [0, 1, 7, 8, 9, 1 << 32, i64::MAX as u64, 1 << 63, u64::MAX - 8, u64::MAX - 1, u64::MAX] {
        let expect = move |_| works();
        cases.push(Case::offer(GROUP, format!("start-{start}"), ALL, move |offer| offer.start_at(start), expect));
    }
    cases.push(Case::offer(GROUP, "padding-set", ALL, |offer| offer.hello.padding = [0xFF; 6], |_| works()));
}

fn sizes(cases: &mut Vec<Case>) {
    for align in [0, 1, 4, 7, 8, 9, 16, 4096, 8192, 1 << 31, u32::MAX] {
        let expect = move |_| if align == 8 { works() } else { refused(10, 8, u64::from(align)) };
        cases.push(Case::offer(GROUP, format!("align-{align}"), ALL, move |offer| offer.hello.align = align, expect));
    }
    for size in [0, 1, 7, 8, 9, 16, 1 << 32, 1 << 61, i64::MAX as u64, 1 << 63, u64::MAX - 7, u64::MAX] {
        let expect = move |_| if size == 8 { works() } else { refused(9, 8, size) };
        cases.push(Case::offer(GROUP, format!("size-{size}"), ALL, move |offer| offer.hello.size = size, expect));
    }
}

/// What an end says to so many slots of eight bytes, with a segment for eight.
fn slots_expected(kind: Kind, slots: u64, limit: u64) -> Expect {
    if !kind.receives() {
        return if slots == 0 { works() } else { refused(11, 0, slots) };
    }
    if !slots.is_power_of_two() {
        return refused(11, 1, slots);
    }
    let bytes = (u128::from(slots) * 8 + 8192).next_multiple_of(4096);
    match u64::try_from(bytes).unwrap_or(u64::MAX) {
        bytes if bytes > limit => refused(12, limit, bytes),
        SIZE => works(),
        bytes => refused(18, bytes, SIZE),
    }
}

fn slots(cases: &mut Vec<Case>) {
    let powers = [1, 2, 4, 8, 16, 512, 1024, 1 << 26, 1 << 27, 1 << 31, 1 << 32, 1 << 60, 1 << 61, 1 << 63];
    let others = [0, 3, 7, 9, 511, 1023, (1 << 32) - 1, (1 << 63) - 1, (1 << 63) + 1, u64::MAX - 1, u64::MAX];
    for slots in powers.into_iter().chain(others) {
        let change = move |offer: &mut Offer| (offer.hello.slots, offer.segment.slots) = (slots, slots);
        cases.push(Case::offer(GROUP, format!("slots-{slots}"), ALL, change, move |kind| {
            slots_expected(kind, slots, 1 << 30)
        }));
    }
    // A limit that just is too small, and one that just is not.
    for (limit, slots) in [(SIZE - 1, 8), (SIZE, 8), (SIZE, 512), (SIZE, 1024)] {
        let change = move |offer: &mut Offer| (offer.hello.slots, offer.segment.slots) = (slots, slots);
        let expect = move |kind| slots_expected(kind, slots, limit);
        // A producer's own segment must be within its limit.
        let kinds = if limit < SIZE { &[Kind::Consumer] } else { RECEIVING };
        let case = Case::offer(GROUP, format!("slots-{slots}-limit-{limit}"), kinds, change, expect);
        cases.push(case.with(|honest| honest.limit = limit));
    }
}

fn texts(cases: &mut Vec<Case>) {
    let texts: [(&str, Vec<u8>); 6] = [
        ("empty", Vec::new()),
        ("255-bytes", vec![b'x'; 255]),
        ("no-utf8", vec![0xFF; 255]),
        ("surrogate", b"\xED\xA0\x80".to_vec()),
        ("zeros", vec![0; 255]),
        ("escapes", b"\x1b]0;owned\x07\x1b[2J\r\n\xE2\x80\xAE".to_vec()),
    ];
    for (what, text) in texts {
        let copy = text.clone();
        let change = move |offer: &mut Offer| offer.hello.name = copy.clone();
        cases.push(Case::offer(GROUP, format!("name-{what}"), ALL, change, |_| works()));
        for ours in ["", "mine/1"] {
            let copy = text.clone();
            let change = move |offer: &mut Offer| offer.hello.schema = copy.clone();
            let open = ours.is_empty() || text.is_empty();
            let expect = move |_| if open { works() } else { refused(13, 0, 0) };
            let name = format!("schema-{what}-against-{}", if ours.is_empty() { "none" } else { "one" });
            cases.push(Case::offer(GROUP, name, ALL, change, expect).with(|honest| honest.schema = ours));
        }
    }
    for lengths in [[0, 0], [0, 2], [0, 4], [1, 3], [3, 0], [2, 1], [255, 255], [255, 0], [0, 255]] {
        let said = lengths.map(u64::from).iter().sum::<u64>();
        // Three bytes follow, whoever they are said to belong to.
        let expect = move |_| if said == 3 { works() } else { refused(5, 48 + said, BODY) };
        let change = move |offer: &mut Offer| offer.hello.lengths = Some(lengths);
        cases.push(Case::offer(GROUP, format!("lengths-{}-{}", lengths[0], lengths[1]), ALL, change, expect));
    }
}
