//! Inputs made by hand, from which the fuzzer starts and comes further.

use std::{collections::BTreeMap, io};

use local_socket::{Handle, Socket, channel, raw_channel, serialize};

use super::{
    plan::{Frame, Kind, Layout, Plan, Reader, Twist, What},
    target::{OWN, PADDED},
    value::Value,
};

/// How far the corpus must come.
pub(crate) const DUE: &[&str] = &[
    "Cbor:  byte behind the value",
    "Cbor: nested deeper than  levels",
    "Cbor: the message ends in the middle of the value",
    "CborAndOneFd: invalid type: break, expected enum",
    "Handles:  byte behind the value",
    "Handles:  of the  descriptors that came are not in the value",
    "Handles: a number too large for its type",
    "Handles: descriptor  is asked for twice",
    "Handles: descriptor  is asked for, and  came",
    "Handles: the message ends in the middle of the value",
    "Json:  byte behind the value",
    "Json: expected value at line  column ",
    "Json: nested deeper than  levels",
    "Json: the message ends in the middle of the value",
    r#"Malformed { "payloads come ahead, and no messages behind them" }"#,
    r#"Malformed { "the message is not of a channel, or of another version" }"#,
    r#"Malformed { "the message is of a kind that this version does not know" }"#,
    r#"Malformed { "the message is shorter than a header" }"#,
    r#"Malformed { "the message's payload does not lie in a sealed memfd" }"#,
    r#"Malformed { "the message's payload lies in a memfd that cannot be read" }"#,
    r#"Malformed { "the payload of the message has not come ahead, or too many others have come since" }"#,
    "Postcard:  byte behind the value",
    "Postcard: a value that its type refuses",
    "Postcard: more elements than the message has bytes for",
    "Postcard: nested deeper than  levels",
    "Postcard: the message ends in the middle of the value",
    "TooLong { length: , room:  }",
    "Units:  byte behind the value",
    "Units:  of the  descriptors that came are not in the value",
    "Values:  of the  descriptors that came are not in the value",
    "Values: a value that its type refuses",
    "Values: descriptor  is asked for, and  came",
    "Values: more elements than the message has bytes for",
    "Values: nested deeper than  levels",
    "Values: the message ends in the middle of the value",
    "WrongFds { expected: , got:  }",
    "WrongLength { expected: , got:  }",
    "ahead",
    "bytes",
    "came ahead",
    "handles",
    "own message ahead",
    "the oldest went",
    "the oldest went for the library's own",
    "unit",
    "value: file ",
    "value: raw ",
    "value: receiver ",
    "value: sender ",
];

const CHANNELS: [Reader; 4] = [Reader::Raw, Reader::Values, Reader::Units, Reader::Handles];
const LAYOUTS: &[Layout] = Layout::ALL;

/// The bytes of each.
pub(crate) fn all() -> Vec<Vec<u8>> {
    let plans = [layouts(), twists(), tickets(), kinds(), owns(), limits(), values(), numbers(), lists()].concat();
    plans.iter().map(Plan::write).collect()
}

fn frame(layout: Layout, fds: &[(Kind, u8)], payload: &[u8]) -> Frame {
    Frame { layout, fds: fds.to_vec(), payload: payload.to_vec(), ..Frame::default() }
}

fn plan(reader: Reader, frames: Vec<Frame>) -> Plan {
    Plan { reader, frames, ..Plan::default() }
}

fn one(reader: Reader, layout: Layout, fds: &[(Kind, u8)], payload: &[u8]) -> Plan {
    plan(reader, vec![frame(layout, fds, payload)])
}

/// Good messages of each layout, each length and each number of descriptors.
fn layouts() -> Vec<Plan> {
    let mut plans = Vec::new();
    for layout in LAYOUTS {
        for times in [0, 1, 3, 253] {
            plans.push(one(Reader::Raw, *layout, &[(Kind::PipeToRead, times)], b"payload"));
        }
        for padded in 0..PADDED.len() as u8 {
            let frame = Frame { padded, ..frame(*layout, &[(Kind::Null, 1)], b"x") };
            plans.push(plan(Reader::Raw, vec![frame]));
        }
    }
    plans.push(plan(
        Reader::Raw,
        vec![
            frame(Layout::Inline, &[], b"one"),
            frame(Layout::Memory, &[], b"two"),
            frame(Layout::Ahead, &[], b"three"),
            frame(Layout::CameAhead, &[(Kind::Null, 1)], b""),
        ],
    ));
    plans
}

fn twisted(frame: Frame, twists: &[(What, u64)]) -> Frame {
    Frame { twists: twists.iter().map(|(what, by)| Twist { what: *what, by: *by }).collect(), ..frame }
}

const MINUS_ONE: u64 = u64::MAX;

/// Each rule broken in each layout, between good messages. Each twist of what came ahead is one of what comes behind it, too.
fn twists() -> Vec<Plan> {
    let by: [(What, &[u64]); 12] = [
        (What::Magic, &[0, 1, 2, 3, 15]),
        (What::Kind, &[1, 2, 3, 4, 1 << 15]),
        (What::Count, &[1, MINUS_ONE, 254, 1 << 15]),
        (What::Length, &[1, MINUS_ONE, 1 << 16, 1 << 32, 1 << 63]),
        (What::Cut, &[0, 4, 15, 16, 17, 23]),
        (What::Longer, &[1, 200_000]),
        (What::Front, &[0, 1]),
        (What::NoMemory, &[0, 2, 4, 5, 6, 7, 8, 9, 12]),
        (What::Seals, &[0, 1, 2, 3, 4]),
        (What::Size, &[1, MINUS_ONE, 1 << 39]),
        (What::Access, &[0, 1]),
        (What::Both, &[0]),
    ];
    let mut plans = Vec::new();
    for (what, all) in by {
        for by in all {
            for layout in LAYOUTS {
                if !matters(what, *layout) {
                    continue;
                }
                let fds: &[_] = if *layout == Layout::Ahead { &[] } else { &[(Kind::PipeToWrite, 2)] };
                let good = frame(Layout::Inline, &[(Kind::Null, 1)], b"good");
                let [ahead, behind] = [Layout::Ahead, Layout::CameAhead].map(|layout| frame(layout, &[], b"payload"));
                let bad = twisted(frame(*layout, fds, b"payload"), &[(what, *by)]);
                plans.push(plan(
                    Reader::Raw,
                    match layout {
                        Layout::Inline | Layout::Memory => vec![bad, good],
                        Layout::Ahead => vec![bad, behind, good],
                        Layout::CameAhead => vec![ahead, bad, behind, good],
                    },
                ));
            }
        }
    }
    // More than the limit allows, and all of it: announced only, and there.
    for wide in [300 << 20, (64 << 20) - 4] {
        for twists in [&[(What::Length, wide)][..], &[(What::Length, wide), (What::Size, wide)]] {
            for layout in [Layout::Memory, Layout::Ahead] {
                let behind = frame(Layout::CameAhead, &[], b"");
                plans.push(plan(Reader::Raw, vec![twisted(frame(layout, &[], b"wide"), twists), behind]));
            }
        }
    }
    // Those who linger are not waited for, whatever is wrong.
    for (layout, what, by) in [
        (Layout::Inline, What::Count, 1),
        (Layout::Inline, What::Magic, 0),
        (Layout::Memory, What::Seals, 0),
        (Layout::Ahead, What::Cut, 24),
        (Layout::Ahead, What::Count, MINUS_ONE),
        (Layout::CameAhead, What::Ticket, 1),
        (Layout::Memory, What::NoMemory, Kind::Lingering as u64),
    ] {
        let bad = frame(layout, &[(Kind::Null, 1), (Kind::Lingering, 1)], b"payload");
        plans.push(plan(Reader::Raw, vec![twisted(bad, &[(what, by)])]));
    }
    let lingering = (What::NoMemory, Kind::Lingering as u64);
    plans.push(plan(Reader::Raw, vec![twisted(frame(Layout::Ahead, &[], b"payload"), &[lingering])]));
    plans
}

fn matters(what: What, layout: Layout) -> bool {
    match what {
        What::NoMemory | What::Seals | What::Size | What::Access | What::Front => {
            matches!(layout, Layout::Memory | Layout::Ahead)
        }
        What::Both => layout != Layout::Inline,
        _ => true,
    }
}

/// Payloads that come ahead, one by one and many: each is used once, in any order, by who has the ticket.
fn tickets() -> Vec<Plan> {
    let ahead = |ticket, payload| twisted(frame(Layout::Ahead, &[], payload), &[(What::Ticket, ticket)]);
    let behind =
        |ticket, times| twisted(frame(Layout::CameAhead, &[(Kind::PipeToRead, times)], b""), &[(What::Ticket, ticket)]);
    let many =
        |ticket, more| twisted(frame(Layout::Ahead, &[], b"many"), &[(What::Ticket, ticket), (What::More, more)]);
    let used = |ticket, more| {
        twisted(frame(Layout::CameAhead, &[(Kind::Null, 1)], b""), &[(What::Ticket, ticket), (What::More, more)])
    };
    let good = || frame(Layout::Inline, &[], b"good");
    let runs = vec![
        vec![ahead(1, b"one"), behind(1, 0)],
        vec![ahead(1, b"one"), behind(1, 253)],
        vec![ahead(1, b"one"), behind(1, 1), behind(1, 1)],
        vec![ahead(1, b"one"), ahead(2, b"two and"), behind(2, 2), behind(1, 1)],
        vec![ahead(1, b"one"), ahead(2, b"two and"), behind(1, 2), behind(2, 1)],
        vec![ahead(1, b"one"), behind(2, 1), good(), behind(1, 1)],
        vec![ahead(1, b"first"), ahead(1, b"again and again"), behind(1, 0), behind(1, 0), behind(1, 0)],
        vec![behind(1, 1), ahead(1, b"late"), good()],
        vec![ahead(1 << 63, b"high"), behind(0, 0), behind(1 << 63, 0)],
        vec![ahead(1, b""), behind(1, 1)],
        vec![twisted(ahead(1, b"unread"), &[(What::Ticket, 1), (What::Access, 0)]), behind(1, 1), behind(1, 1)],
        vec![ahead(1, b"one"), twisted(behind(1, 1), &[(What::Ticket, 1), (What::Length, 1)]), behind(1, 1)],
        vec![ahead(1, b"one"), twisted(behind(1, 1), &[(What::Ticket, 1), (What::Length, 1 << 62)]), behind(1, 1)],
        vec![many(1, 15), used(1, 16)],
        vec![many(1, 16), used(1, 17)],
        vec![many(1, 15), good(), ahead(99, b"more"), used(1, 15), behind(99, 1)],
        vec![many(1, 14), good(), ahead(99, b"more"), used(1, 15), behind(99, 1)],
        vec![many(1, 9), behind(5, 1), many(11, 6), used(1, 16)],
        vec![many(1, 9), behind(5, 1), many(11, 7), used(1, 17)],
        vec![many(1, 15), behind(3, 1), many(20, 3), used(1, 15)],
        vec![many(1, 20), many(30, 20), good()],
        vec![many(1, 12)],
    ];
    let mut plans: Vec<_> = runs.into_iter().map(|frames| plan(Reader::Raw, frames)).collect();
    // Between another sender's two datagrams, and while as much is kept as can be.
    for own in [4, 6].map(|place| place + OWN.len() as u8) {
        for reader in [Reader::Raw, Reader::Values] {
            plans.push(Plan { own, ..plan(reader, vec![ahead(1, b"\0"), behind(1, 0)]) });
            plans.push(Plan { own, ..plan(reader, vec![many(1, 14), used(1, 14)]) });
            plans.push(Plan { own, ..plan(reader, vec![many(1, 15), used(1, 15)]) });
        }
    }
    // Of a value, of a list and of nothing.
    for (reader, times, payload) in
        [(Reader::Values, 1, &b"\x0f\0"[..]), (Reader::Handles, 2, b"\x02\x01\0"), (Reader::Units, 0, b"")]
    {
        plans.push(plan(reader, vec![ahead(1, payload), behind(1, times)]));
        plans.push(plan(reader, vec![ahead(1, payload), behind(1, times + 1), behind(1, times)]));
    }
    plans
}

fn kinds() -> Vec<Plan> {
    Kind::ALL.iter().map(|kind| one(Reader::Raw, Layout::Inline, &[(Kind::Null, 1), (*kind, 1)], b"kind")).collect()
}

/// What the library sends itself, behind a bad message.
fn owns() -> Vec<Plan> {
    let mut plans = Vec::new();
    for own in 0..OWN.len() as u8 {
        for reader in CHANNELS {
            plans.push(Plan { own, ..one(reader, Layout::Memory, &[(Kind::PipeToRead, 1)], b"\xff") });
        }
    }
    plans
}

fn limits() -> Vec<Plan> {
    let mut plans = Vec::new();
    for limit in 1..6 {
        for (layout, payload) in
            [(Layout::Inline, &b"xy"[..]), (Layout::Memory, b"xy"), (Layout::Inline, b"x"), (Layout::Memory, b"x")]
        {
            plans.push(Plan { limit, own: 3, ..one(Reader::Raw, layout, &[(Kind::Null, 1)], payload) });
        }
        for layout in [Layout::Inline, Layout::Memory, Layout::Ahead] {
            for padded in 0..PADDED.len() as u8 {
                let frame = Frame { padded, ..frame(layout, &[], b"") };
                plans.push(Plan { limit, own: 4, ..plan(Reader::Raw, vec![frame]) });
            }
        }
    }
    plans
}

fn plain_values() -> Vec<Value> {
    let text = || "text".to_owned();
    vec![
        Value::Nothing,
        Value::Truth(true),
        Value::Small(200),
        Value::Wide(i128::MIN, u128::MAX),
        Value::Letter('\u{10ffff}'),
        Value::Real(-0.5),
        Value::Text(text()),
        Value::Bytes(vec![0, 128, 255]),
        Value::Units(vec![(); 20]),
        Value::Inner(Box::new(Value::Nothing)),
        Value::Maybe(None),
        Value::Maybe(Some(Box::new(Value::Maybe(None)))),
        Value::Many(vec![Value::Small(1), Value::Text(text())]),
        Value::Pair(Box::new((Value::Small(1), -2, Value::Nothing))),
        Value::Map(BTreeMap::from([(text(), Value::Nothing), (String::new(), Value::Small(0))])),
        Value::Named { name: text(), unit: (), file: None },
        (0..60).fold(Value::Nothing, |inner, _| Value::Inner(Box::new(inner))),
        (0..200).fold(Value::Nothing, |inner, _| Value::Inner(Box::new(inner))),
    ]
}

/// Values through channels, in each format of the sockets, and cut short.
fn values() -> Vec<Plan> {
    let mut plans = Vec::new();
    for value in plain_values() {
        for (reader, payload) in in_each_format(&value) {
            let fds: &[_] = if reader == Reader::CborAndOneFd { &[(Kind::PipeToRead, 1)] } else { &[] };
            plans.push(one(reader, Layout::Inline, fds, &payload));
            if reader != Reader::CborAndOneFd {
                plans.push(one(reader, Layout::Inline, fds, &payload[..payload.len() - 1]));
                plans.push(one(reader, Layout::Inline, fds, &[&payload[..], b"x"].concat()));
            }
        }
    }
    // As many units as a message may have, and more.
    for payload in [&b"\x08\x84\x80\x04"[..], b"\x08\xa0\x8d\x06", b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"] {
        plans.push(one(Reader::Values, Layout::Inline, &[], payload));
        plans.push(one(Reader::Postcard, Layout::Inline, &[], payload));
    }
    for reader in [Reader::Cbor, Reader::Json, Reader::Postcard, Reader::CborAndOneFd] {
        // In cbor a value, and in the others none.
        let text = b"\x67Nothing";
        for times in 0..3 {
            plans.push(one(reader, Layout::Inline, &[(Kind::PipeToRead, times)], text));
        }
        // Nobody waits for who lingers: not with a value, nor with what is none.
        for text in [&text[..], b"\xff"] {
            plans.push(one(reader, Layout::Inline, &[(Kind::Lingering, 1)], text));
            plans.push(one(reader, Layout::Inline, &[(Kind::Null, 1), (Kind::Lingering, 1)], text));
        }
    }
    plans
}

fn in_each_format(value: &Value) -> Vec<(Reader, Vec<u8>)> {
    let bytes = |send: fn(&Socket, &Value)| {
        let (here, there) = Socket::pair().unwrap();
        send(&here, value);
        there.recv_vec::<[_; 0]>(usize::MAX).unwrap().0
    };
    let cbor = bytes(|here, value| here.send_cbor(value, &[]).unwrap());
    let json = bytes(|here, value| here.send_json(value, &[]).unwrap());
    let postcard = bytes(|here, value| here.send_postcard(value, &[]).unwrap());
    let postcards = [Reader::Postcard, Reader::Values].map(|reader| (reader, postcard.clone()));
    [(Reader::Cbor, cbor.clone()), (Reader::CborAndOneFd, cbor), (Reader::Json, json)]
        .into_iter()
        .chain(postcards)
        .collect()
}

/// Values with descriptors, with the right ones and with others.
fn numbers() -> Vec<Plan> {
    let pipe = || Handle::new(io::pipe().unwrap().0.into());
    let sender = || channel().unwrap().0;
    let receiver = || channel().unwrap().1;
    let values = [
        Value::File(pipe()),
        Value::Named { name: String::new(), unit: (), file: Some(pipe()) },
        Value::Sender(sender()),
        Value::Receiver(receiver()),
        Value::Raw(raw_channel().unwrap().0, raw_channel().unwrap().1),
        Value::Many(vec![Value::File(pipe()), Value::Sender(sender()), Value::Nothing, Value::Receiver(receiver())]),
        Value::Map(BTreeMap::from([("a".to_owned(), Value::File(pipe())), ("b".to_owned(), Value::File(pipe()))])),
    ];
    let mut plans = Vec::new();
    for value in values {
        let (payload, fds) = serialize(value).unwrap();
        let count = fds.len() as u8;
        let mut add = |reader, layout, fds: &[_]| plans.push(one(reader, layout, fds, &payload));
        for kind in [Kind::Null, Kind::OwnSender, Kind::OwnReceiver, Kind::Listening, Kind::Stream] {
            add(Reader::Values, Layout::Inline, &[(kind, count)]);
        }
        for times in [count - 1, count, count + 1] {
            add(Reader::Values, Layout::Inline, &[(Kind::Seqpacket, times)]);
            add(Reader::Values, Layout::Inline, &[(Kind::Lingering, 1), (Kind::Seqpacket, times)]);
        }
        add(Reader::Values, Layout::Memory, &[(Kind::Seqpacket, count)]);
        add(Reader::Postcard, Layout::Inline, &[(Kind::Seqpacket, count)]);
    }
    // A value that has one that lingers before it turns out to be none.
    let (payload, fds) = serialize(vec![pipe(), pipe()]).unwrap();
    for payload in [&payload[..], &payload[..2]] {
        plans.push(one(Reader::Handles, Layout::Inline, &[(Kind::Lingering, 1)], payload));
        plans.push(one(Reader::Handles, Layout::Inline, &[(Kind::Lingering, 1), (Kind::Null, 1)], payload));
    }
    drop(fds);
    plans
}

/// Lists of numbers of descriptors: each once, twice, out of range, not at all, and written in other ways.
fn lists() -> Vec<Plan> {
    let lists = [
        &b"\0"[..],
        b"",
        b"\x01\0",
        b"\x02\0\x01",
        b"\x02\x01\0",
        b"\x02\0\0",
        b"\x02\0\x02",
        b"\x02\0",
        b"\x01\0\0",
        b"\x80\0",
        b"\x01\x80\0",
        b"\x01\xff\xff\xff\xff\x0f",
        b"\x01\x80\x80\x80\x80\x10",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
    ];
    let mut plans = Vec::new();
    for list in lists {
        for times in 0..4 {
            plans.push(one(Reader::Handles, Layout::Inline, &[(Kind::PipeToRead, times)], list));
        }
        plans.push(one(Reader::Handles, Layout::Inline, &[(Kind::Lingering, 1), (Kind::Null, 1)], list));
        plans.push(one(Reader::Units, Layout::Inline, &[], list));
    }
    plans.push(one(Reader::Units, Layout::Inline, &[(Kind::Lingering, 1)], b""));
    plans
}
