//! A peer that shook hands properly and then breaks every rule of the format: it is found out, once and for ever, and nobody hangs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    thread,
    time::{Duration, Instant},
};

use ipc_queue::{Consumer, ControlMessage, Corrupt, Options, Producer, RecvError, Wait, XmitErrorKind};
use rig::{End, Ends, FINISHED, HEAD, Kind, Raw, ReadOnly, SLOTS, TAIL, WAKE_HEAD, WAKE_TAIL, alone};

const CONSUMING: [Kind; 3] = [Kind::Consumer, Kind::DuplexServer, Kind::DuplexClient];
const PRODUCING: [Kind; 3] = [Kind::Producer, Kind::DuplexServer, Kind::DuplexClient];
const SOON: Duration = Duration::from_secs(5);

/// Every way to receive says it, twice.
fn assert_receives_nothing(consumer: &mut Consumer<u64>, rule: Corrupt, what: &str) {
    let corrupt = RecvError::Corrupt(rule);
    for _ in 0..2 {
        let mut one = 99;
        let mut many = vec![99; 4];
        assert_eq!(consumer.pop(), Err(corrupt), "{what}: pop");
        assert_eq!(consumer.pop_into(&mut one), Err(corrupt), "{what}: pop_into");
        assert_eq!(consumer.pop_slice(&mut many), Err(corrupt), "{what}: pop_slice");
        assert_eq!(consumer.pop_all(&mut many), Err(corrupt), "{what}: pop_all");
        assert_eq!((one, many), (99, vec![99; 4]), "{what}: something was delivered");
        assert_eq!(consumer.drain().map(|drain| drain.count()), Err(corrupt), "{what}: drain");
        assert_eq!(consumer.peek().map(|peek| peek.len()), Err(corrupt), "{what}: peek");
        assert_eq!(consumer.pop_blocking(), Err(corrupt), "{what}: pop_blocking");
        assert_eq!(consumer.pop_timeout(SOON), Err(corrupt), "{what}: pop_timeout");
        assert_eq!(consumer.wait_for(1, SOON), Err(corrupt), "{what}: wait_for");
        let never = UnixStream::pair().unwrap();
        assert_eq!(consumer.wait_unless(never.0.as_fd()), Err(corrupt), "{what}: wait_unless");
        assert_eq!(consumer.recv_control(), Err(corrupt), "{what}: recv_control");
        assert!(!consumer.arm(), "{what}: arm");
        consumer.disarm();
        assert!(!consumer.is_connected(), "{what}: is_connected");
    }
}

/// Every way to send says it, twice.
fn assert_sends_nothing(producer: &mut Producer<u64>, rule: Corrupt, what: &str) {
    let corrupt = XmitErrorKind::Corrupt(rule);
    for _ in 0..2 {
        let before = producer.published();
        assert_eq!(producer.push(1).map_err(|error| (error.kind, error.value)), Err((corrupt, 1)), "{what}: push");
        assert_eq!(producer.push_ref(&1).map_err(|error| error.kind), Err(corrupt), "{what}: push_ref");
        assert_eq!(producer.push_slice(&[1, 2]).map_err(|error| error.kind), Err(corrupt), "{what}: push_slice");
        assert_eq!(producer.push_blocking(1).map_err(|error| error.kind), Err(corrupt), "{what}: push_blocking");
        assert_eq!(producer.push_timeout(1, SOON).map_err(|error| error.kind), Err(corrupt), "{what}: push_timeout");
        assert_eq!(producer.reserve(1).map(drop).map_err(|error| error.kind), Err(corrupt), "{what}: reserve");
        assert_eq!(producer.wait_for(1, SOON).map_err(|error| error.kind), Err(corrupt), "{what}: wait_for");
        let never = UnixStream::pair().unwrap();
        let waited = producer.wait_unless(never.0.as_fd());
        assert_eq!(waited.map_err(|error| error.kind), Err(corrupt), "{what}: wait_unless");
        assert_eq!(producer.flush(SOON).map_err(|error| error.kind), Err(corrupt), "{what}: flush");
        assert_eq!(producer.send_control().map_err(|error| error.kind), Err(corrupt), "{what}: send_control");
        assert_eq!(producer.finish().map_err(|error| error.kind), Err(corrupt), "{what}: finish");
        assert!(!producer.arm(), "{what}: arm");
        assert_eq!(producer.published(), before, "{what}: something was published");
    }
}

/// Both halves of a connection, or the one there is.
fn assert_given_up(end: &mut End, rule: Corrupt, what: &str) {
    match end {
        End::Consumer(consumer) => assert_receives_nothing(consumer, rule, what),
        End::Producer(producer) => assert_sends_nothing(producer, rule, what),
        End::Duplex(producer, consumer) => {
            assert_sends_nothing(producer, rule, what);
            assert_receives_nothing(consumer, rule, what);
        }
    }
}

/// A message on the control channel.
fn bell(kind: u64, tail: u64, head: u64) -> Vec<u8> {
    [kind, tail, head].map(u64::to_ne_bytes).concat()
}

/// How an end comes to look at its peer's position.
type Look = fn(&mut End) -> Corrupt;

fn pop(end: &mut End) -> Corrupt {
    corrupt(end.consumer().pop().map(drop))
}

fn corrupt(result: Result<(), RecvError>) -> Corrupt {
    match result {
        Err(RecvError::Corrupt(rule)) => rule,
        other => panic!("not found out: {other:?}"),
    }
}

fn corrupt_sending<T>(result: Result<(), ipc_queue::XmitError<T>>) -> Corrupt {
    match result.map_err(|error| error.kind) {
        Err(XmitErrorKind::Corrupt(rule)) => rule,
        other => panic!("not found out: {other:?}"),
    }
}

struct Tail {
    what: &'static str,
    start: u64,
    /// Published and taken before.
    good: u64,
    /// Published behind those, and not taken until the end.
    seen: u64,
    /// Added to `start`.
    bad: u64,
}

#[test]
fn a_tail_that_no_correct_peer_has_ends_the_connection() {
    let alone = alone("a_tail_that_no_correct_peer_has_ends_the_connection");
    let case = |what, start, good, seen, bad| Tail { what, start, good, seen, bad };
    let cases = [
        case("a ring and one ahead", 0, 0, 0, SLOTS + 1),
        case("a ring and one ahead of what was taken", 0, 5, 0, 5 + SLOTS + 1),
        case("one back", 0, 4, 0, 3),
        case("back to the start", 0, 8, 0, 0),
        case("back to what was taken", 0, 4, 3, 6),
        case("the largest number", 0, 0, 0, u64::MAX),
        case("the largest number, later", 0, 3, 2, u64::MAX),
        case("half of all numbers ahead", 0, 1, 0, 1 << 63),
        case("a ring and one ahead, across the largest number", u64::MAX - 2, 1, 0, 1 + SLOTS + 1),
        case("one back, across the largest number", u64::MAX - 2, 4, 0, 3),
    ];
    let looks: [Look; 9] = [
        pop,
        |end| corrupt(end.consumer().pop_into(&mut 0)),
        |end| corrupt(end.consumer().pop_slice(&mut [0; 4]).map(drop)),
        |end| corrupt(end.consumer().pop_all(&mut Vec::new()).map(drop)),
        |end| corrupt(end.consumer().drain().map(drop)),
        |end| corrupt(end.consumer().peek().map(drop)),
        |end| corrupt(end.consumer().pop_timeout(SOON).map(drop)),
        |end| corrupt(end.consumer().wait_for(2, SOON).map(drop)),
        |end| corrupt(end.consumer().pop_blocking().map(drop)),
    ];
    for case in &cases {
        for kind in CONSUMING {
            for look in looks {
                let what = format!("{}, {kind:?}", case.what);
                let (mut end, raw) = open_at(kind, case.start, rig::options());
                let at = |n: u64| case.start.wrapping_add(n);
                let publish = |from: u64, to: u64| {
                    (from..to).for_each(|n| raw.segment.put(at(n), n));
                    raw.segment.set(TAIL, at(to));
                };
                publish(0, case.good);
                (0..case.good).for_each(|n| assert_eq!(end.consumer().pop(), Ok(n), "{what}"));
                if case.seen > 0 {
                    publish(case.good, case.good + case.seen);
                    assert_eq!(end.consumer().peek().map(|peek| peek.len()), Ok(case.seen as usize), "{what}");
                }
                raw.segment.set(TAIL, at(case.bad));
                // What was judged to be good is delivered still.
                let taken = case.good + case.seen;
                (case.good..taken).for_each(|n| assert_eq!(end.consumer().pop(), Ok(n), "{what}"));
                let rule = Corrupt::TailOutOfRange { tail: at(case.bad), head: at(taken), count: SLOTS };
                assert_eq!(look(&mut end), rule, "{what}");
                // Coming back does not help.
                publish(taken, taken + 2);
                assert_given_up(&mut end, rule, &what);
                drop((end, raw));
                alone.assert_nothing_left(&what);
            }
        }
    }
}

/// A connection whose rings both start there, as far as the raw peer says so.
fn open_at(kind: Kind, start: u64, options: Options) -> (End, Raw) {
    let (stream, theirs) = rig::pair();
    let meeting = rig::real(kind, theirs, options);
    let mut offer = rig::offer(kind);
    offer.hello.start = start;
    offer.segment.set(TAIL, start);
    rig::open_with(kind, stream, meeting, offer, &rig::send)
}

#[test]
fn a_head_that_no_correct_peer_has_ends_the_connection() {
    let alone = alone("a_head_that_no_correct_peer_has_ends_the_connection");
    // The head first announced, and the wrong one.
    let cases = [
        (0, SLOTS + 1),
        (0, u64::MAX),
        (0, 1 << 63),
        (3, 2),
        (3, 0),
        (3, SLOTS + 3 + 1),
        (3, u64::MAX),
        (8, 7),
        (8, 17),
    ];
    let looks: [Look; 8] = [
        |end| corrupt_sending(end.producer().push(1)),
        |end| corrupt_sending(end.producer().push_ref(&1)),
        |end| corrupt_sending(end.producer().push_slice(&[1; 3]).map(drop)),
        |end| corrupt_sending(end.producer().push_timeout(1, SOON)),
        |end| corrupt_sending(end.producer().push_blocking(1)),
        |end| corrupt_sending(end.producer().reserve(2).map(drop)),
        |end| corrupt_sending(end.producer().wait_for(2, SOON).map(drop)),
        |end| corrupt_sending(end.producer().flush(SOON)),
    ];
    for (good, bad) in cases {
        for kind in PRODUCING {
            for look in looks {
                let what = format!("head {good}, then {bad}, {kind:?}");
                let (mut end, raw) = rig::open(kind, rig::options());
                assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8), "{what}");
                if good > 0 {
                    raw.segment.set(HEAD, good);
                    assert_eq!(end.producer().push_slice(&[7; 20]), Ok(good as usize), "{what}");
                }
                raw.segment.set(HEAD, bad);
                let rule = Corrupt::HeadOutOfRange { head: bad, tail: SLOTS + good, count: SLOTS };
                assert_eq!(look(&mut end), rule, "{what}");
                raw.segment.set(HEAD, SLOTS + good);
                if kind != Kind::Producer {
                    raw.segment.publish(0, 2);
                }
                assert_given_up(&mut end, rule, &what);
                drop((end, raw));
                alone.assert_nothing_left(&what);
            }
        }
    }
}

#[test]
fn a_third_value_of_finished_ends_the_connection() {
    let alone = alone("a_third_value_of_finished_ends_the_connection");
    for kind in CONSUMING {
        for value in [2, 3, 1 << 32, u64::MAX] {
            let (mut end, raw) = rig::open(kind, rig::options());
            raw.segment.publish(0, 2);
            assert_eq!((end.consumer().pop(), end.consumer().pop()), (Ok(0), Ok(1)));
            raw.segment.set(FINISHED, value);
            let rule = Corrupt::Finished { value };
            assert_eq!(pop(&mut end), rule, "{kind:?}");
            raw.segment.set(FINISHED, 0);
            raw.segment.publish(2, 4);
            assert_given_up(&mut end, rule, "finished");
            drop((end, raw));
            alone.assert_nothing_left("finished");
        }
    }
}

/// How an end comes to read its socket.
fn bell_looks() -> [Look; 3] {
    [
        |end| corrupt(end.consumer().recv_control().map(drop)),
        |end| corrupt(end.consumer().pop_timeout(SOON).map(drop)),
        |end| {
            end.consumer().disarm();
            pop(end)
        },
    ]
}

#[test]
fn bells_of_a_kind_that_does_not_exist_end_the_connection() {
    let alone = alone("bells_of_a_kind_that_does_not_exist_end_the_connection");
    for kind in CONSUMING {
        for number in [0, 5, 1 << 32, u64::MAX] {
            for look in bell_looks() {
                let (mut end, raw) = rig::open(kind, rig::options().wait(Wait::Sleep));
                let bytes = [bell(1, 0, 0), bell(number, 0, 0), bell(4, 1, 1)].concat();
                rig::send(raw.to_consumer(), &bytes, &[]);
                let rule = Corrupt::ControlKind { kind: number };
                assert_eq!(look(&mut end), rule, "{kind:?}, {number}");
                raw.segment.publish(0, 2);
                assert_given_up(&mut end, rule, "a bell of no kind");
                drop((end, raw));
                alone.assert_nothing_left("a bell of no kind");
            }
        }
    }
}

#[test]
fn bells_of_a_kind_that_does_not_exist_are_found_by_the_sending_half_too() {
    let alone = alone("bells_of_a_kind_that_does_not_exist_are_found_by_the_sending_half_too");
    for kind in PRODUCING {
        for number in [0, 5, u64::MAX] {
            let (mut end, raw) = rig::open(kind, rig::options().wait(Wait::Sleep));
            assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8));
            rig::send(raw.to_producer(), &bell(number, 0, 0), &[]);
            let rule = Corrupt::ControlKind { kind: number };
            assert_eq!(corrupt_sending(end.producer().push_timeout(1, SOON)), rule, "{kind:?}");
            assert_given_up(&mut end, rule, "a bell of no kind");
            drop((end, raw));
            alone.assert_nothing_left("a bell of no kind");
        }
    }
}

#[test]
fn descriptors_on_a_bell_end_the_connection_and_are_closed() {
    let alone = alone("descriptors_on_a_bell_end_the_connection_and_are_closed");
    for kind in CONSUMING {
        for n in [1, 2, 253] {
            for look in bell_looks() {
                let (mut end, raw) = rig::open(kind, rig::options().wait(Wait::Sleep));
                let fds: Vec<OwnedFd> = (0..n).map(|_| File::open("/dev/null").unwrap().into()).collect();
                rig::send(raw.to_consumer(), &bell(1, 0, 0), &fds);
                assert_eq!(look(&mut end), Corrupt::Descriptors, "{kind:?}, {n}");
                assert_given_up(&mut end, Corrupt::Descriptors, "descriptors");
                drop((end, raw, fds));
                alone.assert_nothing_left("descriptors on a bell");
            }
        }
    }
}

#[test]
fn bells_in_pieces_of_one_byte_are_put_together() {
    let alone = alone("bells_in_pieces_of_one_byte_are_put_together");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let bytes = [bell(1, 0, 0), bell(4, 7, 9), bell(2, 0, 0)].concat();
        let mut messages = Vec::new();
        for byte in bytes {
            rig::send(raw.to_consumer(), &[byte], &[]);
            messages.extend(end.consumer().recv_control().unwrap());
        }
        let [ControlMessage { write_position: 7, read_position: 9, .. }] = messages[..] else { panic!("{messages:?}") };
        raw.segment.publish(0, 1);
        assert_eq!(end.consumer().pop(), Ok(0));
        drop((end, raw));
        alone.assert_nothing_left("bells in pieces");
    }
}

#[test]
fn a_flood_of_bells_holds_nobody_up() {
    let alone = alone("a_flood_of_bells_holds_nobody_up");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            let ends = Ends(&stop);
            scope.spawn(|| {
                let flood = bell(1, u64::MAX, u64::MAX).repeat(100);
                let mut socket = raw.to_consumer();
                while !stop.load(SeqCst) {
                    // Whole or not, what follows keeps the messages in line.
                    let _ = socket.write_all(&flood);
                }
            });
            let mut longest = Duration::ZERO;
            for n in 0..2000 {
                let started = Instant::now();
                assert_eq!(end.consumer().recv_control(), Ok(None), "{kind:?}");
                longest = longest.max(started.elapsed());
                raw.segment.publish(n, n + 1);
                assert_eq!(end.consumer().pop_timeout(SOON), Ok(n), "{kind:?}");
                raw.segment.set(HEAD, 0);
            }
            drop(ends);
            // The flood may be waiting for room.
            for _ in 0..100 {
                let _ = end.consumer().recv_control();
            }
            assert!(longest < Duration::from_secs(1), "{kind:?}: one call took {longest:?}");
            while end.consumer().recv_control() != Ok(None) {}
        });
        drop((end, raw));
        alone.assert_nothing_left("a flood");
    }
}

#[test]
fn one_look_at_a_flooded_socket_reads_a_bounded_amount() {
    let alone = alone("one_look_at_a_flooded_socket_reads_a_bounded_amount");
    let (mut end, raw) = rig::open(Kind::Consumer, rig::options());
    // More than 8 reads of 32 messages.
    let mut bytes = bell(1, 0, 0).repeat(300);
    bytes.extend(bell(4, 7, 9));
    rig::send(raw.to_consumer(), &bytes, &[]);
    assert_eq!(end.consumer().recv_control(), Ok(None), "everything was read at once");
    assert!(end.consumer().recv_control().unwrap().is_some());
    drop((end, raw));
    alone.assert_nothing_left("a bounded look");
}

#[test]
fn a_peer_that_publishes_for_ever_does_not_keep_a_call_for_ever() {
    let alone = alone("a_peer_that_publishes_for_ever_does_not_keep_a_call_for_ever");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let seen = ReadOnly::new(&raw.theirs);
        let (stop, raw_segment, seen_head) = (AtomicBool::new(false), &raw.segment, &seen);
        thread::scope(|scope| {
            let ends = Ends(&stop);
            scope.spawn(|| {
                while !stop.load(SeqCst) {
                    let head = seen_head.word(4096 + HEAD);
                    raw_segment.set(TAIL, head + SLOTS);
                }
            });
            let mut out = Vec::with_capacity(SLOTS as usize);
            for _ in 0..2000 {
                out.clear();
                match end.consumer().pop_all(&mut out) {
                    Ok(n) => assert!(n == out.len() && (1..=SLOTS as usize).contains(&n), "pop_all: {n}"),
                    Err(error) => assert_eq!(error, RecvError::Empty),
                }
                match end.consumer().drain() {
                    Ok(drain) => assert!((1..=SLOTS as usize).contains(&drain.count()), "drain"),
                    Err(error) => assert_eq!(error, RecvError::Empty),
                }
                match end.consumer().pop_slice(&mut [0; 100]) {
                    Ok(n) => assert!((1..=SLOTS as usize).contains(&n), "pop_slice: {n}"),
                    Err(error) => assert_eq!(error, RecvError::Empty),
                }
            }
            drop(ends);
        });
        drop((end, raw, seen));
        alone.assert_nothing_left("publishing for ever");
    }
}

#[test]
fn a_tail_that_swings_to_and_fro_is_caught_or_harmless() {
    let alone = alone("a_tail_that_swings_to_and_fro_is_caught_or_harmless");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let (stop, segment) = (AtomicBool::new(false), &raw.segment);
        (0..SLOTS).for_each(|n| segment.put(n, n));
        thread::scope(|scope| {
            let ends = Ends(&stop);
            scope.spawn(|| {
                let mut n = 0u64;
                while !stop.load(SeqCst) {
                    segment.set(TAIL, [4, 100, 0, u64::MAX][(n % 4) as usize]);
                    n += 1;
                }
            });
            let until = Instant::now() + SOON;
            let mut taken = 0;
            let rule = loop {
                assert!(Instant::now() < until, "{kind:?}: never caught");
                match end.consumer().pop() {
                    Ok(value) => {
                        assert_eq!(value, taken, "{kind:?}");
                        taken += 1;
                        assert!(taken <= 4, "{kind:?}: more than was ever published");
                    }
                    Err(RecvError::Corrupt(rule)) => break rule,
                    Err(error) => assert_eq!(error, RecvError::Empty),
                }
            };
            assert!(matches!(rule, Corrupt::TailOutOfRange { head, count: SLOTS, .. } if head == taken), "{rule:?}");
            assert_given_up(&mut end, rule, "swings");
            drop(ends);
        });
        drop((end, raw));
        alone.assert_nothing_left("swings");
    }
}

#[test]
fn a_head_that_swings_to_and_fro_is_caught_or_harmless() {
    let alone = alone("a_head_that_swings_to_and_fro_is_caught_or_harmless");
    for kind in PRODUCING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let (stop, segment) = (AtomicBool::new(false), &raw.segment);
        assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8));
        thread::scope(|scope| {
            let ends = Ends(&stop);
            scope.spawn(|| {
                let mut n = 0u64;
                while !stop.load(SeqCst) {
                    segment.set(HEAD, [4, 100, 0, u64::MAX][(n % 4) as usize]);
                    n += 1;
                }
            });
            let until = Instant::now() + SOON;
            let mut pushed = 8;
            let rule = loop {
                assert!(Instant::now() < until, "{kind:?}: never caught");
                match end.producer().push(7).map_err(|error| error.kind) {
                    Ok(()) => {
                        pushed += 1;
                        assert!(pushed <= 4 + SLOTS, "{kind:?}: more than there ever was room for");
                    }
                    Err(XmitErrorKind::Corrupt(rule)) => break rule,
                    Err(error) => assert_eq!(error, XmitErrorKind::Full),
                }
            };
            assert!(matches!(rule, Corrupt::HeadOutOfRange { tail, count: SLOTS, .. } if tail == pushed), "{rule:?}");
            assert_given_up(&mut end, rule, "swings");
            drop(ends);
        });
        drop((end, raw));
        alone.assert_nothing_left("swings");
    }
}

#[test]
fn slots_that_change_while_they_are_copied_give_one_value_or_the_other() {
    let alone = alone("slots_that_change_while_they_are_copied_give_one_value_or_the_other");
    const VALUES: [u64; 2] = [0x1111_1111_1111_1111, 0xEEEE_EEEE_EEEE_EEEE];
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        let (stop, segment) = (AtomicBool::new(false), &raw.segment);
        (0..SLOTS).for_each(|n| segment.put(n, VALUES[0]));
        thread::scope(|scope| {
            let ends = Ends(&stop);
            scope.spawn(|| {
                let mut n = 0u64;
                while !stop.load(SeqCst) {
                    segment.put(n, VALUES[(n / SLOTS % 2) as usize]);
                    n += 1;
                }
            });
            let until = Instant::now() + SOON;
            let (mut turn, mut tail, mut seen) = (0, 0, [0; 2]);
            // The other thread may have to wait for its turn on the processor.
            while turn < 10_000 || seen.contains(&0) {
                assert!(Instant::now() < until, "{kind:?}: nothing changed: {seen:?}");
                turn += 1;
                tail += SLOTS;
                segment.set(TAIL, tail);
                let mut values = vec![0; SLOTS as usize];
                match turn % 3 {
                    0 => assert_eq!(end.consumer().pop_slice(&mut values), Ok(values.len()), "{kind:?}"),
                    1 => values.fill_with(|| end.consumer().pop().unwrap()),
                    _ => values = end.consumer().drain().unwrap().collect(),
                }
                assert_eq!(values.len(), SLOTS as usize, "{kind:?}");
                for value in values {
                    let which = VALUES.iter().position(|known| *known == value);
                    seen[which.unwrap_or_else(|| panic!("{kind:?}: {value:#x} is neither"))] += 1;
                }
            }
            drop(ends);
        });
        drop((end, raw));
        alone.assert_nothing_left("slots that change");
    }
}

/// What lies in a socket: messages of 24 bytes, all of that kind.
fn bells_in(mut socket: &UnixStream, kind: u64) -> usize {
    let mut bytes = Vec::new();
    socket.set_nonblocking(true).unwrap();
    assert_eq!(socket.read_to_end(&mut bytes).unwrap_err().kind(), ErrorKind::WouldBlock);
    assert!(bytes.len().is_multiple_of(24), "a message in part: {}", bytes.len());
    assert!(bytes.chunks(24).all(|message| message[..8] == kind.to_ne_bytes()), "messages of another kind");
    bytes.len() / 24
}

#[test]
fn a_consumer_that_asks_for_every_bell_and_hears_none_holds_nobody_up() {
    let alone = alone("a_consumer_that_asks_for_every_bell_and_hears_none_holds_nobody_up");
    for kind in PRODUCING {
        let (mut end, raw) = rig::open(kind, rig::options());
        for n in 0..5000 {
            raw.segment.set(WAKE_TAIL, n + 1);
            assert_eq!(end.producer().push(n), Ok(()), "{kind:?}");
            raw.segment.set(HEAD, n + 1);
        }
        assert_eq!(end.producer().stats().bells, 5000, "{kind:?}");
        let bells = bells_in(raw.heard_from_producer(), 1);
        assert!((1..5000).contains(&bells), "{kind:?}: {bells} bells: the socket was never full");
        // Now there is room in the socket; positions that nobody comes to ask for nothing.
        for (n, lie) in (5000..).zip([0, 4999, 5000, 9000, 1 << 63, u64::MAX]) {
            raw.segment.set(WAKE_TAIL, lie);
            assert_eq!(end.producer().push(n), Ok(()), "{kind:?}");
            raw.segment.set(HEAD, n + 1);
        }
        assert_eq!(bells_in(raw.heard_from_producer(), 1), 0, "{kind:?}");
        drop((end, raw));
        alone.assert_nothing_left("bells that nobody hears");
    }
}

#[test]
fn a_producer_that_asks_for_every_bell_and_hears_none_holds_nobody_up() {
    let alone = alone("a_producer_that_asks_for_every_bell_and_hears_none_holds_nobody_up");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        for n in 0..5000 {
            raw.segment.set(WAKE_HEAD, n + 1);
            raw.segment.publish(n, n + 1);
            assert_eq!(end.consumer().pop(), Ok(n), "{kind:?}");
        }
        assert_eq!(end.consumer().stats().bells, 5000, "{kind:?}");
        let bells = bells_in(raw.heard_from_consumer(), 2);
        assert!((1..5000).contains(&bells), "{kind:?}: {bells} bells: the socket was never full");
        for (n, lie) in (5000..).zip([0, 4999, 5000, 9000, 1 << 63, u64::MAX]) {
            raw.segment.set(WAKE_HEAD, lie);
            raw.segment.publish(n, n + 1);
            assert_eq!(end.consumer().pop(), Ok(n), "{kind:?}");
        }
        assert_eq!(bells_in(raw.heard_from_consumer(), 2), 0, "{kind:?}");
        drop((end, raw));
        alone.assert_nothing_left("bells that nobody hears");
    }
}

#[test]
fn half_a_bell_and_the_end_is_the_end_after_everything_was_delivered() {
    let alone = alone("half_a_bell_and_the_end_is_the_end_after_everything_was_delivered");
    for wait in [Wait::Spin, Wait::Adaptive, Wait::Sleep] {
        for kind in CONSUMING {
            let (mut end, raw) = rig::open(kind, rig::options().wait(wait));
            raw.segment.publish(0, 3);
            rig::send(raw.to_consumer(), &bell(1, 0, 0)[..10], &[]);
            raw.to_consumer().shutdown(Shutdown::Both).unwrap();
            assert_eq!(end.consumer().recv_control(), Err(RecvError::Disconnected), "{kind:?}, {wait:?}");
            (0..3).for_each(|n| assert_eq!(end.consumer().pop_timeout(SOON), Ok(n), "{kind:?}, {wait:?}"));
            for _ in 0..2 {
                assert_eq!(end.consumer().pop_timeout(SOON), Err(RecvError::Disconnected), "{kind:?}, {wait:?}");
                assert_eq!(end.consumer().pop(), Err(RecvError::Disconnected), "{kind:?}, {wait:?}");
            }
            // What is published after the end is not looked at.
            raw.segment.publish(3, 5);
            assert_eq!(end.consumer().pop(), Err(RecvError::Disconnected), "{kind:?}, {wait:?}");
            drop((end, raw));
            alone.assert_nothing_left("half a bell");
        }
    }
}

#[test]
fn an_end_by_word_does_not_hide_that_the_peer_is_gone() {
    let alone = alone("an_end_by_word_does_not_hide_that_the_peer_is_gone");
    for kind in CONSUMING {
        let (mut end, raw) = rig::open(kind, rig::options());
        raw.segment.set(FINISHED, 1);
        assert_eq!(end.consumer().pop(), Err(RecvError::Finished), "{kind:?}");
        assert!(end.consumer().is_connected(), "{kind:?}: still there");
        raw.to_consumer().shutdown(Shutdown::Both).unwrap();
        (0..2).for_each(|_| assert!(!end.consumer().is_connected(), "{kind:?}: gone"));
        assert_eq!(end.consumer().pop(), Err(RecvError::Finished), "{kind:?}");
    }
    for kind in PRODUCING {
        let (mut end, raw) = rig::open(kind, rig::options());
        end.producer().finish().unwrap();
        assert!(end.producer().is_connected(), "{kind:?}: still there");
        raw.to_producer().shutdown(Shutdown::Both).unwrap();
        (0..2).for_each(|_| assert!(!end.producer().is_connected(), "{kind:?}: gone"));
        assert_eq!(end.producer().push(1).map_err(|error| error.kind), Err(XmitErrorKind::Closed), "{kind:?}");
    }
    alone.assert_nothing_left("an end by word");
}

/// How the raw peer breaks a rule.
type Break = fn(&Raw);

/// Until the end under test asks to be woken. One that spins never asks: there the rule is broken about when it begins to look.
fn await_question(raw: &Raw, word: usize, wait: Wait) {
    let seen = ReadOnly::new(&raw.theirs);
    while wait != Wait::Spin && seen.word(4096 + word) == 0 {
        thread::yield_now();
    }
}

/// The rule is broken while the end waits, with a bell where it would sleep.
#[test]
fn a_wait_ends_when_the_peer_breaks_a_rule() {
    let alone = alone("a_wait_ends_when_the_peer_breaks_a_rule");
    let breaks: [(&str, Break, Corrupt); 4] = [
        ("tail", |raw| raw.segment.set(TAIL, 9), Corrupt::TailOutOfRange { tail: 9, head: 0, count: SLOTS }),
        ("finished", |raw| raw.segment.set(FINISHED, 2), Corrupt::Finished { value: 2 }),
        ("kind", |raw| rig::send(raw.to_consumer(), &bell(5, 0, 0), &[]), Corrupt::ControlKind { kind: 5 }),
        (
            "descriptors",
            |raw| rig::send(raw.to_consumer(), &bell(1, 0, 0), &[File::open("/dev/null").unwrap().into()]),
            Corrupt::Descriptors,
        ),
    ];
    let waits: [Look; 4] = [
        |end| corrupt(end.consumer().pop_timeout(SOON).map(drop)),
        |end| corrupt(end.consumer().pop_blocking().map(drop)),
        |end| corrupt(end.consumer().wait_for(3, SOON).map(drop)),
        |end| {
            let never = UnixStream::pair().unwrap();
            corrupt(end.consumer().wait_unless(never.0.as_fd()).map(drop))
        },
    ];
    for wait in [Wait::Spin, Wait::Adaptive, Wait::Sleep] {
        for kind in CONSUMING {
            for (what, break_rule, rule) in breaks {
                for look in waits {
                    let (mut end, raw) = rig::open(kind, rig::options().wait(wait));
                    let what = format!("{what}, {kind:?}, {wait:?}");
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            await_question(&raw, WAKE_TAIL, wait);
                            break_rule(&raw);
                            // Who has found out already has hung up.
                            let _ = fdpass::send_fds(raw.to_consumer(), &bell(1, 0, 0), &[]);
                        });
                        let started = Instant::now();
                        assert_eq!(look(&mut end), rule, "{what}");
                        assert!(started.elapsed() < SOON, "{what}");
                    });
                    assert_given_up(&mut end, rule, &what);
                    drop((end, raw));
                    alone.assert_nothing_left(&what);
                }
            }
        }
    }
}

#[test]
fn a_wait_for_room_ends_when_the_peer_breaks_a_rule() {
    let alone = alone("a_wait_for_room_ends_when_the_peer_breaks_a_rule");
    let waits: [Look; 4] = [
        |end| corrupt_sending(end.producer().push_timeout(1, SOON)),
        |end| corrupt_sending(end.producer().push_blocking(1)),
        |end| corrupt_sending(end.producer().wait_for(3, SOON).map(drop)),
        |end| corrupt_sending(end.producer().flush(SOON)),
    ];
    for wait in [Wait::Spin, Wait::Adaptive, Wait::Sleep] {
        for kind in PRODUCING {
            for look in waits {
                let (mut end, raw) = rig::open(kind, rig::options().wait(wait));
                assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8));
                let rule = Corrupt::HeadOutOfRange { head: 9, tail: 8, count: SLOTS };
                thread::scope(|scope| {
                    scope.spawn(|| {
                        await_question(&raw, WAKE_HEAD, wait);
                        raw.segment.set(HEAD, 9);
                        // Who has found out already has hung up.
                        let _ = fdpass::send_fds(raw.to_producer(), &bell(2, 0, 0), &[]);
                    });
                    assert_eq!(look(&mut end), rule, "{kind:?}, {wait:?}");
                });
                assert_given_up(&mut end, rule, "a wait for room");
                drop((end, raw));
                alone.assert_nothing_left("a wait for room");
            }
        }
    }
}

/// One half waits, the other half finds out.
#[test]
fn what_one_half_finds_is_the_end_of_the_other() {
    let alone = alone("what_one_half_finds_is_the_end_of_the_other");
    for kind in [Kind::DuplexServer, Kind::DuplexClient] {
        let (mut end, raw) = rig::open(kind, rig::options());
        raw.segment.publish(0, 5);
        assert_eq!(end.consumer().pop(), Ok(0));
        // Four more are known to be there; then the other half finds the peer out.
        assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8));
        raw.segment.set(HEAD, 9);
        let rule = Corrupt::HeadOutOfRange { head: 9, tail: 8, count: SLOTS };
        let End::Duplex(producer, consumer) = &mut end else { unreachable!() };
        let mut drain = consumer.drain().unwrap();
        assert_eq!(drain.next(), Some(1));
        assert_eq!(corrupt_sending(producer.push(1)), rule);
        assert_eq!(drain.next(), None, "delivered after the end");
        drop(drain);
        assert_given_up(&mut end, rule, "the other half");
        drop((end, raw));
        alone.assert_nothing_left("the other half");
    }
}

/// The same in the code that a drain is run through.
#[test]
fn what_the_other_half_finds_meanwhile_ends_a_drain() {
    let alone = alone("what_the_other_half_finds_meanwhile_ends_a_drain");
    for kind in [Kind::DuplexServer, Kind::DuplexClient] {
        let (mut end, raw) = rig::open(kind, rig::options());
        raw.segment.publish(0, 5);
        assert_eq!(end.producer().push_slice(&[7; 20]), Ok(8));
        raw.segment.set(HEAD, 9);
        let rule = Corrupt::HeadOutOfRange { head: 9, tail: 8, count: SLOTS };
        let End::Duplex(producer, consumer) = &mut end else { unreachable!() };
        let mut taken = Vec::new();
        consumer.drain().unwrap().for_each(|value| {
            taken.push(value);
            if value == 1 {
                assert_eq!(corrupt_sending(producer.push(1)), rule);
            }
        });
        assert_eq!(taken, [0, 1], "delivered after the end");
        assert_eq!(consumer.position(), 2, "what was delivered");
        assert_given_up(&mut end, rule, "the other half, in a drain");
        drop((end, raw));
        alone.assert_nothing_left("the other half, in a drain");
    }
}

#[test]
fn what_one_half_finds_wakes_the_other() {
    let alone = alone("what_one_half_finds_wakes_the_other");
    for kind in [Kind::DuplexServer, Kind::DuplexClient] {
        let (mut end, raw) = rig::open(kind, rig::options().wait(Wait::Sleep));
        let rule = Corrupt::HeadOutOfRange { head: 99, tail: SLOTS, count: SLOTS };
        let End::Duplex(producer, consumer) = &mut end else { unreachable!() };
        thread::scope(|scope| {
            let asleep = scope.spawn(|| consumer.pop_timeout(20 * SOON));
            await_question(&raw, WAKE_TAIL, Wait::Sleep);
            raw.segment.set(HEAD, 99);
            // The ring is full at some time, and then it is looked at.
            let found = (0..=SLOTS).find_map(|n| producer.push(n).err()).unwrap();
            assert_eq!(found.kind, XmitErrorKind::Corrupt(rule), "{kind:?}");
            assert_eq!(asleep.join().unwrap(), Err(RecvError::Corrupt(rule)), "{kind:?}");
        });
        drop((end, raw));
        alone.assert_nothing_left("the other half asleep");
    }
}

#[test]
fn whoever_asks_again_and_again_without_any_time_learns_that_the_peer_is_gone() {
    let _alone = rig::alone("whoever_asks_again_and_again_without_any_time_learns_that_the_peer_is_gone");
    for wait in [Wait::Spin, Wait::Adaptive, Wait::Sleep] {
        let (mut end, raw) = rig::open(Kind::Consumer, rig::options().wait(wait));
        drop(raw);
        let mut tries = (0..100_000).map(|_| end.consumer().pop_timeout(Duration::ZERO));
        assert_eq!(
            tries.find(|result| *result != Err(RecvError::TimedOut)),
            Some(Err(RecvError::Disconnected)),
            "{wait:?}"
        );
    }
}

#[test]
fn whoever_needs_several_slots_learns_that_the_peer_is_gone_though_one_is_free() {
    let _alone = rig::alone("whoever_needs_several_slots_learns_that_the_peer_is_gone_though_one_is_free");
    let (ours, theirs) = UnixStream::pair().unwrap();
    let meeting = rig::real(Kind::Consumer, theirs, rig::options());
    let mut producer = Producer::<u64>::new(ours, &rig::options()).unwrap();
    drop(meeting.join().unwrap());
    (1..SLOTS).for_each(|value| producer.push(value).unwrap());
    for attempt in 0.. {
        match producer.reserve(2).map(drop).unwrap_err().kind {
            XmitErrorKind::Full => assert!(attempt < 10_000, "still full after {attempt} attempts"),
            kind => return assert_eq!(kind, XmitErrorKind::Disconnected),
        }
    }
}
