//! Inputs made by hand: each a string of choices in the order in which the targets take them. Fuzzers start from them and come further.

/// Target, number and bytes.
pub(crate) fn all() -> Vec<(&'static str, usize, Vec<u8>)> {
    let targets = [
        ("handshake", handshakes()),
        ("meeting", meetings()),
        ("control", bells()),
        ("segment", segments()),
        ("ring", rings()),
    ];
    let numbered = |(target, inputs): (_, Vec<Vec<u8>>)| {
        inputs.into_iter().enumerate().map(move |(number, bytes)| (target, number, bytes))
    };
    targets.into_iter().flat_map(numbered).collect()
}

fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
    let header = [b"mnpf".to_vec(), 0x0102_0304_u32.to_ne_bytes().to_vec(), kind.to_ne_bytes().to_vec()].concat();
    [header, 2_u16.to_ne_bytes().to_vec(), (body.len() as u32).to_ne_bytes().to_vec(), body.to_vec()].concat()
}

/// A Hello of a peer of the side with this role and direction: elements of 8 bytes, 8 slots, and a schema.
fn hello(role: u8, direction: u8, schema: &[u8]) -> Vec<u8> {
    let theirs = [0, 2, 1][usize::from(direction)];
    let slots = if theirs == 2 { 0_u64 } else { 8 };
    let mut body = [2_u16, 2].map(u16::to_ne_bytes).concat();
    body.extend([0, 0, 0, 0, 1 - role, theirs]);
    body.extend(1_u16.to_ne_bytes());
    body.extend(8_u32.to_ne_bytes());
    body.extend([8, slots, 0].into_iter().flat_map(u64::to_ne_bytes));
    body.extend([schema.len() as u8, 0, 0, 0, 0, 0, 0, 0]);
    body.extend(schema);
    frame(1, &body)
}

fn reject(reason: u16) -> Vec<u8> {
    let text: &[u8] = if reason == 13 { b"mine" } else { b"" };
    let mut body = reason.to_ne_bytes().to_vec();
    body.extend([text.len() as u8, 0, 0, 0, 0, 0]);
    body.extend([16, 8].into_iter().flat_map(u64::to_ne_bytes));
    body.extend(text);
    frame(3, &body)
}

/// Settings; then each frame behind its number of descriptors; behind a Hello, whether it cannot be adopted.
fn handshakes() -> Vec<Vec<u8>> {
    let mut inputs = Vec::new();
    let good = |role: u8, direction: u8| hello(role, direction, b"quote/1");
    // The flag of the role is 1 for the client, whose number is 0.
    let settings = |role: u8, direction: u8, limit: u8| vec![1 - role, direction, 1, limit];
    let due = |direction: u8| 1 + u8::from(direction == 0);
    for (role, direction, refused) in
        [0, 1].into_iter().flat_map(|role| (0..3).flat_map(move |d| [(role, d, 0), (role, d, 1)]))
    {
        let head = settings(role, direction, 0);
        inputs.push([head, vec![due(direction)], good(role, direction), vec![refused, 0], frame(2, &[])].concat());
    }
    // Each field of a Hello, by where it lies behind the header, with another value; 12 bytes in it is still the header's length.
    for (at, value) in [
        (0, 0),
        (4, 0),
        (8, 9),
        (10, 1),
        (15, 9),
        (18, 1),
        (24, 1),
        (25, 1),
        (26, 9),
        (28, 9),
        (32, 9),
        (40, 3),
        (64, b'x'),
    ] {
        let mut other = good(1, 0);
        other[at] = value;
        inputs.push([settings(1, 0, 0), vec![2], other].concat());
    }
    inputs.push([settings(1, 0, 3), vec![2], good(1, 0)].concat());
    inputs.push([settings(1, 0, 0), vec![1], good(1, 0)].concat());
    inputs.push([settings(1, 0, 0), vec![3], good(1, 0)].concat());
    inputs.push([settings(1, 0, 0), vec![0], frame(2, &[])].concat());
    inputs.extend((0..=23).map(|reason| [settings(0, 0, 0), vec![0], reject(reason)].concat()));
    inputs
}

/// A frame of `meeting`'s own making, sent in one piece; `how` are the choices that it takes.
fn meetings() -> Vec<Vec<u8>> {
    let whole: &[u8] = &[0, 7];
    let accept: &[u8] = &[7, 0, 0];
    let right = [&[0, 0][..], &[0, 0, 0], whole].concat();
    // Changes: how many, then field and value of each; then what comes with it.
    let changed = |field: u8, value: u8| [&[0, 6, field, value][..], &[0, 0, 0], whole].concat();
    let given = |segment: u8, socket: u8| [&[0, 0][..], &[segment, socket, 0], whole].concat();
    let one_way = [&[0, 0][..], &[0, 0], whole].concat();
    let mut inputs = Vec::new();
    for (role, manner) in [0, 1].into_iter().flat_map(|role| [0, 2, 3].map(|manner| (role, manner))) {
        inputs.push([&[role, 0, 0, 1, manner], &*right, accept].concat());
        inputs.push([&[role, 1, 0, 0, manner], &*one_way, accept].concat());
        inputs.push([&[role, 2, 0, 0, manner], &*one_way, accept].concat());
    }
    // Versions, role, direction, layout, alignment, size, count, schema; by the numbers of the target's table of values.
    let fields = [(0, 4), (1, 1), (3, 1), (3, 0), (4, 1), (5, 2), (6, 5), (7, 5), (8, 3), (8, 7), (11, 2)];
    for (manner, (field, value)) in [0, 3].into_iter().flat_map(|manner| fields.map(|change| (manner, change))) {
        inputs.push([&[0, 0, 1, 1, manner], &*changed(field, value), accept].concat());
    }
    // The peer's ring starts elsewhere.
    inputs.extend([0, 1].map(|role| [&[role, 0, 0, 1, 0], &*changed(9, 7), accept].concat()));
    inputs.extend((8..16).map(|segment| [&[0, 0, 0, 0, 0], &*given(segment, 0), accept].concat()));
    inputs.extend([8, 10, 12, 13, 14].map(|socket| [&[1, 0, 0, 0, 0], &*given(0, socket), accept].concat()));
    inputs.push([&[0, 0, 0, 0, 0, 0, 0, 0, 0, 6], whole, accept].concat());
    inputs.push([&[0, 0, 0, 0, 0, 0, 0, 0, 0, 7, 2], whole, accept].concat());
    // A Hello in small pieces, what goes with it behind its first; one byte of it changed: magic, mark, version, length.
    inputs.push([&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 6, 2], accept].concat());
    for at in [0, 4, 10, 12, 13] {
        inputs.push([&[0, 0, 0, 0, 0, 14, 0, 0, 0, 0, at, 0], whole].concat());
    }
    inputs.push([&[0, 0, 0, 0, 0], accept].concat());
    inputs.push([&[0, 0, 0, 0, 0], &*right, &[10, 1], whole].concat());
    inputs.push([&[0, 0, 0, 0, 0], &*right].concat());
    inputs.extend([vec![0, 0, 0, 0, 0], vec![1, 0, 0, 0, 0]]);
    inputs.push([&[0, 0, 0, 0, 0, 12, 3, 1, 2, 3, 4, 1], whole].concat());
    inputs.push([&[0, 0, 0, 0, 0, 13, 2, 2, 4, 1, 2, 3, 4], whole].concat());
    for (manner, reason) in (0..24).map(|reason| (0, reason)).chain([(3, 9)]) {
        let numbers = [16_u64, 8].map(u64::to_le_bytes).concat();
        inputs.push([&[1, 0, 0, 1, manner, 11, reason], &*numbers, &[4], b"mine", whole].concat());
    }
    inputs
}

/// Kinds of messages whole and in two pieces, everything that this side rings, a descriptor, and an end.
fn bells() -> Vec<Vec<u8>> {
    let numbers = [5_u64, 6].map(u64::to_le_bytes).concat();
    let mut inputs: Vec<_> = (0..6).map(|kind| [&[3, kind], &*numbers, &[6]].concat()).collect();
    let message = [4_u64, 5, 6].map(u64::to_ne_bytes).concat();
    inputs.push([&[0, 7], &message[..7], &[7, 1, 0, 17], &message[7..], &[6]].concat());
    inputs.push([&[0, 24][..], &message, &[4, 3, 1, 2, 3]].concat());
    inputs.push((0..4).flat_map(|bell| [5, bell]).collect());
    inputs
}

/// Slots, element size, a file, its size, what of it is there, holes, what lies behind it, seals, and how it was opened.
fn segments() -> Vec<Vec<u8>> {
    let right = [1, 3, 1, 9, 9, 7, 2, 1, 1, 1, 0];
    let other = |at: usize, values: &[u8]| [&right[..at], values, &right[at + 1..]].concat();
    let mut inputs: Vec<_> = (0..7).map(|count| other(1, &[count])).collect();
    inputs.extend((0..6).map(|kind| other(3, &[kind])));
    inputs.push(other(4, &[16]));
    inputs.extend((0..4).map(|size| other(5, &[size])));
    // Nothing there; all but the first page; each also with as many blocks behind the end.
    for there in [0, 1] {
        inputs.push(other(6, &[there]));
        inputs.push([&right[..6], &[there, 1, 0, 1, 0]].concat());
    }
    // A hole of one page: the first, the last of many, and one that is not a whole page; blocks behind the end as well.
    for (count, from, by_end, behind) in
        [(3, 0, 0, 1), (6, 1, 1, 1), (6, 1, 1, 0), (3, 1, 0, 1), (6, 4, 0, 0), (6, 200, 1, 0)]
    {
        inputs.push([&[1, count][..], &right[2..6], &[2, 0, behind, from, by_end, 1, 0]].concat());
    }
    inputs.extend((0..5).map(|seal| [&right[..9], &[0, seal, 0]].concat()));
    inputs.extend([2, 3].map(|mode| other(10, &[mode])));
    inputs
}

/// Right traffic in either role; each word out of range; bells that are wrong; the end.
fn rings() -> Vec<Vec<u8>> {
    let start = [128, 0, 128, 0];
    // Push one and two, pop one, take all.
    let push: &[u8] = &[10, 1, 0];
    let many: &[u8] = &[10, 2, 2];
    let pop: &[u8] = &[20, 0, 0];
    let all: &[u8] = &[20, 2, 4];
    // The peer's tail 1 and 2 further (an offset of 128 + 8 n, of which the eighth part counts), its head
    // as far from where this side is, its word `finished`.
    let tail = |by: u8| [0, 0, 128 + 8 * by, 0];
    let head = |by: u8| [0, 5, 128 + 8 * by, 0];
    let finished = |value: u8| [0, 10, value];
    let bell = |kind: u8, line: u8| [&[0, 13, kind - 1, 1][..], &[0; 16], &[line]].concat();
    let mut inputs = Vec::new();
    for first in 0..10 {
        // A ring of one slot has no second element.
        let most = 1 + u8::from(first % 5 > 0);
        let (wait, flush, too_long): (&[u8], &[u8], _) = (&[10, 1, 5], &[10, 0, 6], (1 << (first % 5)) + 1);
        let sending = [push, push, many, wait, &[10, too_long, 3], flush, &head(0), flush, push].concat();
        let receiving = [&[20, 1, 8], &[20, too_long, 8], &tail(1)[..], pop, &tail(most), all, pop].concat();
        let ending = [&[10, 0, 8, 0], push, &finished(1)[..], pop].concat();
        inputs.push([&[first][..], &start, &sending, &receiving, &ending].concat());
    }
    for attack in [&tail(15)[..], &head(15), &finished(2), &[0, 0, 120, 0], &[0, 5, 120, 0]] {
        inputs.push(
            [&[2][..], &start, attack, push, push, push, push, push, pop, &[10, 0, 9], &[20, 1, 8], pop].concat(),
        );
    }
    for (first, kind, line) in [2, 7]
        .into_iter()
        .flat_map(|first| [1, 4, 9, 16].into_iter().flat_map(move |kind| (0..4).map(move |line| (first, kind, line))))
    {
        inputs.push([&[first][..], &start, &bell(kind, line), &[20, 0, 10, 10, 0, 8, 1, 20, 0, 9], push, pop].concat());
    }
    for (first, socket) in [2, 7].into_iter().flat_map(|first| (0..4).map(move |socket| (first, socket))) {
        let ask: &[u8] = &[20, 0, 10, 10, 0, 8, 1, 20, 0, 8, 10, 3, 5];
        inputs.push([&[first][..], &start, push, &[0, 12, socket], ask, push, pop, many].concat());
    }
    inputs
}
