//! What the honest end does with an open connection, and what it must find.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use evil_peer::{
    expect::{End, Lie, Then},
    segment::SLOTS,
};
use ipc_queue::{Consumer, Corrupt, Producer, RecvError, XmitErrorKind};
use rustix::time::ClockId;

use super::{Open, SOON, item::Item};

/// How long nothing must come to be called silence.
const SILENCE: Duration = Duration::from_millis(20);
/// A wait that must last as long, whatever the peer does.
const WAIT: Duration = Duration::from_millis(100);
/// An idle wait uses less than this part of it on the processor.
const IDLE: u32 = 10;
/// What no wait may take: a hang guard.
const TOO_LONG: Duration = Duration::from_secs(30);

pub(crate) fn use_it<T: Item>(mut open: Open<T>, then: &Then) {
    match then {
        Then::Works(n) => works(&mut open, *n),
        Then::Takes { start, n, end } => {
            let (mut taken, consumer) = (0, open.halves().1.expect("a half that receives"));
            let found = loop {
                let wait = if taken < *n.start() || *end != End::Silence { SOON } else { SILENCE };
                match consumer.pop_timeout(wait) {
                    Ok(value) => assert_eq!(value.number(), Some(start.wrapping_add(taken)), "element {taken}"),
                    Err(error) => break error,
                }
                taken += 1;
            };
            assert!(n.contains(&taken), "{taken} elements instead of {n:?}, then {found:?}");
            assert_eq!(found, recv_error(*end, consumer.capacity() as u64), "behind {taken} elements");
            stays(&mut open, *end, true);
        }
        Then::Gives { n, end } => {
            let (mut given, producer) = (0, open.halves().0.expect("a half that sends"));
            let found = loop {
                let wait = if given < *n || *end != End::Silence { SOON } else { SILENCE };
                match producer.push_timeout(T::of(given), wait) {
                    Ok(()) => given += 1,
                    Err(error) => break error.kind,
                }
            };
            assert_eq!((given, found), (*n, xmit_error(*end, producer.capacity() as u64)));
            stays(&mut open, *end, false);
        }
        Then::Waits => drop(waits(&mut open)),
        Then::Idles => {
            let (used, waited) = waits(&mut open);
            assert!(used < waited / IDLE, "{used:?} on the processor in {waited:?} of waiting");
        }
        Then::TakesAnything(n) => takes_anything(open.halves().1.expect("a half that receives"), *n),
        Then::Bounded => bounded(open.halves().1.expect("a half that receives")),
        Then::FindsOut(lie) => {
            let rule = finds_out(&mut open, Instant::now() + SOON).expect("never found out");
            gives_up(&mut open, *lie, rule);
        }
        Then::MayFindOut(lie) => {
            if let Some(rule) = finds_out(&mut open, Instant::now() + WAIT) {
                gives_up(&mut open, *lie, rule);
            }
        }
        Then::LooksBounded => {
            let consumer = open.halves().1.expect("a half that receives");
            assert_eq!(consumer.recv_control(), Ok(None), "everything was read at once");
            let message = consumer.recv_control().expect("no end").expect("the rest is read by the next look");
            assert_eq!((message.write_position, message.read_position), (7, 9));
        }
        Then::HearsItself => {
            let (Some(producer), Some(consumer)) = open.halves() else { panic!("both halves") };
            for n in 0..100 {
                producer.push_timeout(T::of(n), SOON).unwrap();
                assert_eq!(consumer.pop_timeout(SOON), Ok(T::of(n)));
            }
            assert_eq!(consumer.pop(), Err(RecvError::Empty));
        }
    }
}

fn corrupt(end: End, count: u64) -> Option<Corrupt> {
    Some(match end {
        End::TailOutOfRange { tail, head } => Corrupt::TailOutOfRange { tail, head, count },
        End::HeadOutOfRange { head, tail } => Corrupt::HeadOutOfRange { head, tail, count },
        End::FinishedWord { value } => Corrupt::Finished { value },
        End::ControlKind { kind } => Corrupt::ControlKind { kind },
        End::Descriptors => Corrupt::Descriptors,
        End::Silence | End::Finished | End::Disconnected => return None,
    })
}

fn recv_error(end: End, count: u64) -> RecvError {
    match (end, corrupt(end, count)) {
        (_, Some(rule)) => RecvError::Corrupt(rule),
        (End::Finished, _) => RecvError::Finished,
        (End::Disconnected, _) => RecvError::Disconnected,
        _ => RecvError::TimedOut,
    }
}

fn xmit_error(end: End, count: u64) -> XmitErrorKind {
    match (end, corrupt(end, count)) {
        (_, Some(rule)) => XmitErrorKind::Corrupt(rule),
        (End::Disconnected, _) => XmitErrorKind::Disconnected,
        _ => XmitErrorKind::TimedOut,
    }
}

/// An end is for ever: by every way to ask, for the half that found it, and where a rule was broken for the other one too.
fn stays<T: Item>(open: &mut Open<T>, end: End, found_by_consumer: bool) {
    if end == End::Silence {
        return;
    }
    let (producer, consumer) = open.halves();
    let both = corrupt(end, SLOTS).is_some();
    // Each half counts the slots of its own ring; here the rule says whose.
    let count = if found_by_consumer { consumer.as_ref().map(|half| half.capacity()) } else { None };
    let count = count.unwrap_or(SLOTS as usize) as u64;
    if let Some(consumer) = consumer.filter(|_| both || found_by_consumer) {
        consumer_stays(consumer, recv_error(end, count));
    }
    if let Some(producer) = producer.filter(|_| both || !found_by_consumer) {
        producer_stays(producer, xmit_error(end, count));
    }
}

fn consumer_stays<T: Item>(consumer: &mut Consumer<T>, error: RecvError) {
    let mut out = Vec::new();
    let never = std::os::unix::net::UnixStream::pair().unwrap();
    for _ in 0..2 {
        assert_eq!(consumer.pop(), Err(error), "pop");
        assert_eq!(consumer.pop_into(&mut T::of(0)), Err(error), "pop_into");
        assert_eq!(consumer.pop_slice(&mut [T::of(0); 4]), Err(error), "pop_slice");
        assert_eq!(consumer.pop_all(&mut out), Err(error), "pop_all");
        assert_eq!(consumer.drain().map(Iterator::count), Err(error), "drain");
        assert_eq!(consumer.peek().map(|peek| peek.len()), Err(error), "peek");
        assert_eq!(consumer.pop_blocking(), Err(error), "pop_blocking");
        assert_eq!(consumer.pop_timeout(SOON), Err(error), "pop_timeout");
        assert_eq!(consumer.wait_for(1, SOON), Err(error), "wait_for");
        assert_eq!(consumer.wait_unless(never.0.as_fd()), Err(error), "wait_unless");
        assert!(!consumer.arm(), "arm");
        consumer.disarm();
    }
    assert!(out.is_empty(), "something was delivered");
}

fn producer_stays<T: Item>(producer: &mut Producer<T>, error: XmitErrorKind) {
    let one = T::of(1);
    for _ in 0..2 {
        let before = producer.published();
        assert_eq!(producer.push(one).map_err(|error| error.kind), Err(error), "push");
        assert_eq!(producer.push_slice(&[one; 2]).map_err(|error| error.kind), Err(error), "push_slice");
        assert_eq!(producer.push_blocking(one).map_err(|error| error.kind), Err(error), "push_blocking");
        assert_eq!(producer.push_timeout(one, SOON).map_err(|error| error.kind), Err(error), "push_timeout");
        assert_eq!(producer.reserve(1).map(drop).map_err(|error| error.kind), Err(error), "reserve");
        assert_eq!(producer.wait_for(1, SOON).map_err(|error| error.kind), Err(error), "wait_for");
        assert_eq!(producer.finish().map_err(|error| error.kind), Err(error), "finish");
        assert!(!producer.arm(), "arm");
        assert_eq!(producer.published(), before, "something was published");
    }
}

/// So many messages each way that there is, whole and in order.
fn works<T: Item>(open: &mut Open<T>, n: u64) {
    let (mut producer, mut consumer) = open.halves();
    let first = consumer.as_ref().map_or(0, |half| half.position());
    for i in 0..n {
        if let Some(producer) = &mut producer {
            producer.push_timeout(T::of(i), SOON).unwrap_or_else(|error| panic!("push {i}: {error}"));
        }
        if let Some(consumer) = &mut consumer {
            assert_eq!(consumer.pop_timeout(SOON), Ok(T::of(first.wrapping_add(i))), "element {i}");
        }
    }
    if let Some(producer) = &mut producer {
        producer.flush(SOON).expect("the peer takes everything");
    }
    if let Some(consumer) = &mut consumer {
        consumer.recv_control().expect("no end");
        assert!(consumer.is_connected());
    }
}

/// Each wait lasts until its deadline, and no call that does not wait takes long. The processor time of the waits, and how long they took.
fn waits<T: Item>(open: &mut Open<T>) -> (Duration, Duration) {
    let mut waits = (Duration::ZERO, Duration::ZERO);
    let (producer, consumer) = open.halves();
    let mut timed = |what: &str, wait: &mut dyn FnMut()| {
        let (started, used_before) = (Instant::now(), used());
        wait();
        let (took, used) = (started.elapsed(), used() - used_before);
        assert!(took < TOO_LONG, "{what} took {took:?}, of which {used:?} on the processor");
        if took >= WAIT {
            waits = (waits.0 + used, waits.1 + took);
        }
        took
    };
    if let Some(consumer) = consumer {
        let took = timed("pop_timeout", &mut || assert_eq!(consumer.pop_timeout(WAIT), Err(RecvError::TimedOut)));
        assert!(took >= WAIT, "pop_timeout after {took:?}");
        let took = timed("wait_for", &mut || assert_eq!(consumer.wait_for(8, WAIT), Err(RecvError::TimedOut)));
        assert!(took >= WAIT, "wait_for after {took:?}");
        for _ in 0..100 {
            timed("recv_control", &mut || assert!(consumer.recv_control().is_ok()));
            timed("disarm", &mut || consumer.disarm());
            timed("is_connected", &mut || assert!(consumer.is_connected()));
            timed("pop", &mut || assert_eq!(consumer.pop(), Err(RecvError::Empty)));
        }
    }
    if let Some(producer) = producer {
        assert_eq!(producer.push_slice(&[T::of(7); 20]), Ok(8));
        let late = Err(XmitErrorKind::TimedOut);
        let push = &mut || assert_eq!(producer.push_timeout(T::of(1), WAIT).map_err(|error| error.kind), late);
        let took = timed("push_timeout", push);
        assert!(took >= WAIT, "push_timeout after {took:?}");
        let took = timed("flush", &mut || assert_eq!(producer.flush(WAIT).map_err(|error| error.kind), late));
        assert!(took >= WAIT, "flush after {took:?}");
        for _ in 0..100 {
            timed("is_connected", &mut || assert!(producer.is_connected()));
            timed("push", &mut || assert!(producer.push(T::of(1)).is_err_and(|error| error.is_full())));
            timed("send_control", &mut || {
                let _ = producer.send_control();
            });
        }
    }
    waits
}

/// Processor time of this thread: the bystander has one of its own.
fn used() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap())
}

/// Any values, but as many as were published, by every way to take them.
fn takes_anything<T: Item>(consumer: &mut Consumer<T>, n: u64) {
    let (mut taken, mut turn, first) = (0, 0, consumer.position());
    let mut out = Vec::new();
    while taken < n {
        assert!(consumer.wait_for(1, SOON).is_ok());
        out.clear();
        let got = match turn % 5 {
            0 => consumer.pop().map(|_| 1),
            1 => consumer.pop_slice(&mut [T::of(0); 100]),
            2 => consumer.pop_all(&mut out),
            3 => consumer.drain().map(Iterator::count),
            _ => consumer.peek().map(|peek| {
                let k = peek.len();
                (0..k).for_each(|index| assert!(peek.get(index).is_some()));
                peek.consume(k);
                k
            }),
        };
        taken += got.expect("there is something") as u64;
        assert_eq!(consumer.position(), first.wrapping_add(taken));
        turn += 1;
    }
}

/// However much comes behind, a call takes a ring at most, and comes back.
fn bounded<T: Item>(consumer: &mut Consumer<T>) {
    let started = Instant::now();
    let (mut all, mut rounds) = (Vec::new(), 0);
    while rounds < 500 {
        assert!(started.elapsed() < SOON * 2, "only {rounds} rounds");
        consumer.wait_for(SLOTS as usize, SOON).expect("a ring that is never empty for long");
        all.clear();
        let counts = [
            consumer.pop_all(&mut all),
            consumer.drain().map(Iterator::count),
            consumer.pop_slice(&mut [T::of(0); 100]),
            consumer.peek().map(|peek| peek.len()),
        ];
        for count in counts {
            match count {
                Ok(n) => assert!((1..=SLOTS as usize).contains(&n), "{n} elements at once"),
                Err(error) => assert_eq!(error, RecvError::Empty),
            }
        }
        rounds += 1;
    }
}

/// Elements may come, or go, as long as no lie is seen.
fn finds_out<T: Item>(open: &mut Open<T>, until: Instant) -> Option<Corrupt> {
    let (mut producer, mut consumer) = open.halves();
    while Instant::now() < until {
        if let Some(producer) = &mut producer {
            match producer.push(T::of(7)).map_err(|error| error.kind) {
                Ok(()) | Err(XmitErrorKind::Full) => {}
                Err(XmitErrorKind::Corrupt(rule)) => return Some(rule),
                Err(other) => panic!("{other}"),
            }
        }
        if let Some(consumer) = &mut consumer {
            match consumer.pop() {
                Ok(_) | Err(RecvError::Empty) => {}
                Err(RecvError::Corrupt(rule)) => return Some(rule),
                Err(other) => panic!("{other}"),
            }
        }
    }
    None
}

/// A rule that was seen broken is the end of both halves.
fn gives_up<T: Item>(open: &mut Open<T>, lie: Lie, rule: Corrupt) {
    let fits = match lie {
        Lie::Tail => matches!(rule, Corrupt::TailOutOfRange { .. }),
        Lie::Head => matches!(rule, Corrupt::HeadOutOfRange { .. }),
    };
    assert!(fits, "{rule:?} for a wrong {lie:?}");
    let (producer, consumer) = open.halves();
    if let Some(consumer) = consumer {
        consumer_stays(consumer, RecvError::Corrupt(rule));
    }
    if let Some(producer) = producer {
        producer_stays(producer, XmitErrorKind::Corrupt(rule));
    }
}
