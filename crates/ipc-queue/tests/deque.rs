//! A ring is a queue of bounded length: every sequence of operations does what it would do with a `VecDeque`.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::{
    collections::VecDeque,
    os::unix::net::UnixStream,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    thread,
    time::Duration,
};

use ipc_queue::{Consumer, Element, Options, Producer, RecvError, XmitError, XmitErrorKind};
use proptest::prelude::*;

/// One operation. Lengths are reduced to what makes sense with the ring's capacity.
#[derive(Clone, Copy, Debug)]
enum Operation {
    Push,
    PushRef,
    PushSlice(usize),
    Reserve {
        length: usize,
        commit: usize,
    },
    ReserveAndAbort(usize),
    WaitForRoom(usize),
    Flush,
    Finish,
    Pop,
    PopInto,
    PopSlice(usize),
    PopAll,
    Drain(usize),
    DrainAndForget(usize),
    /// Takes each by `for_each`, until the caller's code panics at the one of that number, if there are as many; 0 is never.
    DrainEach(usize),
    Peek {
        consume: usize,
    },
    WaitFor(usize),
    /// Asks for a bell and takes it; to be seen in what follows only if it breaks something.
    ArmAndDisarm,
}

use Operation::*;

fn operations() -> impl Strategy<Value = Vec<Operation>> {
    let length = 0..20_usize;
    let one = prop_oneof![
        3 => Just(Push),
        2 => Just(PushRef),
        3 => length.clone().prop_map(PushSlice),
        3 => (length.clone(), length.clone()).prop_map(|(length, commit)| Reserve { length, commit }),
        1 => length.clone().prop_map(ReserveAndAbort),
        1 => length.clone().prop_map(WaitForRoom),
        1 => Just(Flush),
        3 => Just(Pop),
        2 => Just(PopInto),
        2 => length.clone().prop_map(PopSlice),
        1 => Just(PopAll),
        2 => length.clone().prop_map(Drain),
        1 => length.clone().prop_map(DrainAndForget),
        2 => length.clone().prop_map(DrainEach),
        2 => length.clone().prop_map(|consume| Peek { consume }),
        1 => length.prop_map(WaitFor),
        1 => Just(ArmAndDisarm),
    ];
    let finish = prop::option::weighted(0.1, any::<prop::sample::Index>());
    (prop::collection::vec(one, 1..120), finish).prop_map(|(mut operations, finish)| {
        if let Some(at) = finish {
            operations.insert(at.index(operations.len()), Finish);
        }
        operations
    })
}

/// Both ends, and what lies between them.
struct Rig<T> {
    producer: Producer<T>,
    consumer: Consumer<T>,
    model: VecDeque<u64>,
    next: u64,
    finished: bool,
    /// Slots of elements that a forgotten drain took, and that the producer has not got back.
    held: usize,
}

/// The `number`-th element: every byte follows from the number.
fn element<T: Element>(number: u64) -> T {
    let bytes: Vec<u8> = (0..size_of::<T>() as u64).map(|at| (number * 31 + at * 7) as u8).collect();
    T::read_from_bytes(&bytes).unwrap()
}

impl<T: Element> Rig<T> {
    fn new(capacity: usize, start: u64) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let options = Options::new().capacity(capacity).start_position(start);
        let copy = options.clone();
        let other = thread::spawn(move || Consumer::new(theirs, &copy).unwrap());
        let producer = Producer::new(ours, &options).unwrap();
        let consumer = other.join().unwrap();
        Self { producer, consumer, model: VecDeque::new(), next: 0, finished: false, held: 0 }
    }

    fn room(&self) -> usize {
        self.producer.capacity() - self.model.len() - self.held
    }

    fn sent(&mut self, n: usize) {
        self.model.extend(self.next..self.next + n as u64);
        self.next += n as u64;
    }

    fn elements(&self, n: usize) -> Vec<T> {
        (self.next..self.next + n as u64).map(element).collect()
    }

    /// What an operation that sends up to `n` must have answered.
    fn expect_sent<V>(&mut self, n: usize, result: Result<usize, XmitError<V>>) {
        match result {
            Ok(sent) => {
                assert!(!self.finished || n == 0, "sent after the end");
                assert_eq!(sent, n.min(self.room()));
                self.sent(sent);
            }
            Err(XmitError { kind: XmitErrorKind::Full, .. }) => assert!(!self.finished && self.room() < n),
            Err(XmitError { kind: XmitErrorKind::Closed, .. }) => assert!(self.finished),
            Err(error) => panic!("{:?}", error.kind),
        }
    }

    /// What an operation that takes up to `n` must have answered.
    fn expect_taken(&mut self, n: usize, result: Result<Vec<T>, RecvError>) {
        self.held = 0;
        match result {
            Ok(values) => {
                assert_eq!(values.len(), n.min(self.model.len()));
                for value in values {
                    let number = self.model.pop_front().unwrap();
                    assert!(value.as_bytes() == element::<T>(number).as_bytes(), "not number {number}, or not whole");
                }
            }
            Err(RecvError::Empty | RecvError::TimedOut) => assert!(!self.finished && self.model.is_empty()),
            Err(RecvError::Finished) => assert!(self.finished && self.model.is_empty()),
            Err(error) => panic!("{error:?}"),
        }
    }

    fn perform(&mut self, operation: Operation) {
        match operation {
            Push | PushRef | PushSlice(_) | Reserve { .. } | ReserveAndAbort(_) | WaitForRoom(_) | Flush | Finish => {
                self.send(operation);
            }
            ArmAndDisarm => {
                let asleep = self.consumer.arm();
                assert!(!asleep || self.model.is_empty());
                self.consumer.disarm();
                self.held = 0;
            }
            _ => self.receive(operation),
        }
    }

    fn send(&mut self, operation: Operation) {
        match operation {
            Push => {
                let result = self.producer.push(element(self.next)).map(|()| 1);
                self.expect_sent(1, result);
            }
            PushRef => {
                let result = self.producer.push_ref(&element(self.next)).map(|()| 1);
                self.expect_sent(1, result);
            }
            PushSlice(n) => {
                let result = self.producer.push_slice(&self.elements(n));
                self.expect_sent(n, result);
            }
            Reserve { length, commit } => self.reserve(length, Some(commit.min(length))),
            ReserveAndAbort(length) => self.reserve(length, None),
            WaitForRoom(n) => match self.producer.wait_for(n.min(self.producer.capacity()), Duration::ZERO) {
                Ok(room) => assert!(room >= n.min(self.producer.capacity()) && room <= self.room()),
                Err(XmitError { kind: XmitErrorKind::TimedOut, .. }) => assert!(self.room() < n),
                Err(error) => assert!(self.finished, "{:?}", error.kind),
            },
            Flush => match self.producer.flush(Duration::ZERO) {
                Ok(()) => assert_eq!((self.model.len(), self.held), (0, 0)),
                Err(error) => {
                    assert_eq!(error.kind, XmitErrorKind::TimedOut);
                    assert_ne!(self.model.len() + self.held, 0);
                }
            },
            _ => {
                self.producer.finish().unwrap();
                self.finished = true;
            }
        }
    }

    fn reserve(&mut self, length: usize, commit: Option<usize>) {
        let (room, capacity, elements) = (self.room(), self.producer.capacity(), self.elements(length));
        match self.producer.reserve(length) {
            Ok(mut reservation) => {
                assert!(length <= room && !self.finished);
                assert_eq!(reservation.len(), length);
                reservation.iter_mut().zip(elements).for_each(|(slot, element)| *slot = element);
                if let Some(commit) = commit {
                    reservation.commit(commit);
                    self.sent(commit);
                }
            }
            Err(XmitError { kind: XmitErrorKind::TooLong { asked, .. }, .. }) => {
                assert!(asked == length && length > capacity);
            }
            Err(error) => self.expect_sent::<()>(length, Err(error)),
        }
    }

    fn receive(&mut self, operation: Operation) {
        let consumer = &mut self.consumer;
        match operation {
            Pop => {
                let result = consumer.pop().map(|value| vec![value]);
                self.expect_taken(1, result);
            }
            PopInto => {
                let mut value = element(0);
                let result = consumer.pop_into(&mut value).map(|()| vec![value]);
                self.expect_taken(1, result);
            }
            PopSlice(n) => {
                let mut values: Vec<T> = (0..n).map(|_| element(0)).collect();
                let result = consumer.pop_slice(&mut values);
                let result = result.map(|taken| values.into_iter().take(taken).collect());
                self.expect_taken(n, result);
            }
            PopAll => {
                let mut values = Vec::new();
                let result = consumer.pop_all(&mut values).map(|_| values);
                self.expect_taken(usize::MAX, result);
            }
            Drain(n) => {
                let result = consumer.drain().map(|drain| drain.take(n).collect());
                self.expect_taken(n, result);
            }
            DrainAndForget(n) => {
                let result = consumer.drain().map(|mut drain| {
                    let values: Vec<T> = drain.by_ref().take(n).collect();
                    std::mem::forget(drain);
                    values
                });
                let taken = result.as_ref().map_or(0, Vec::len);
                self.expect_taken(n, result);
                self.held = taken;
            }
            DrainEach(n) => {
                let mut values = Vec::new();
                let result = consumer.drain().map(|drain| {
                    let take = |value| {
                        values.push(value);
                        if values.len() == n {
                            // As a panic, but silent.
                            resume_unwind(Box::new(()));
                        }
                    };
                    let _ = catch_unwind(AssertUnwindSafe(|| drain.for_each(take)));
                });
                self.expect_taken(if n == 0 { usize::MAX } else { n }, result.map(|()| values));
            }
            Peek { consume } => {
                let result = consumer.peek().map(|peek| {
                    assert_eq!(peek.len(), self.model.len());
                    let seen: Vec<T> = (0..peek.len()).map(|index| peek.get(index).unwrap()).collect();
                    assert!(peek.get(peek.len()).is_none());
                    peek.consume(consume.min(seen.len()));
                    seen.into_iter().take(consume).collect()
                });
                self.expect_taken(consume, result);
            }
            WaitFor(n) => {
                let (n, there) = (n.min(consumer.capacity()), self.model.len());
                // A wait that has enough does not look, and so does not tell the producer what a forgotten drain took.
                drop(consumer.peek());
                match consumer.wait_for(n, Duration::ZERO) {
                    Ok(available) => assert!(available <= there && (available >= n || self.finished)),
                    Err(RecvError::TimedOut) => assert!(there < n && !self.finished),
                    Err(error) => assert!(error == RecvError::Finished && self.finished && there == 0, "{error:?}"),
                }
                self.held = 0;
            }
            _ => unreachable!("not an operation of the receiving half"),
        }
    }
}

/// Positions from which the counters wrap on the way, and others.
fn starts() -> impl Strategy<Value = u64> {
    prop_oneof![
        Just(0),
        (0..100_u64).prop_map(|n| u64::MAX - n),
        (0..100_u64).prop_map(|n| (1 << 32) - n),
        any::<u64>()
    ]
}

fn compare<T: Element>(capacity: usize, start: u64, operations: &[Operation]) {
    let mut rig = Rig::<T>::new(capacity, start);
    for operation in operations {
        rig.perform(*operation);
        let published = rig.producer.published().wrapping_sub(start);
        assert_eq!(published, rig.next, "what was sent is published");
    }
    rig.perform(PopAll);
    assert_eq!(rig.consumer.position().wrapping_sub(start), rig.next);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_go_through_a_ring_as_through_a_queue(capacity in 1..17_usize, start in starts(), operations in operations()) {
        compare::<u64>(capacity, start, &operations);
    }

    #[test]
    fn elements_of_odd_size_go_through_a_ring_as_through_a_queue(
        capacity in 1..17_usize, start in starts(), operations in operations(),
    ) {
        compare::<[u8; 3]>(capacity, start, &operations);
    }

    #[test]
    fn large_elements_go_through_a_ring_as_through_a_queue(
        capacity in 1..5_usize, start in starts(), operations in operations(),
    ) {
        compare::<[u8; 700]>(capacity, start, &operations);
    }
}

/// Long runs are taken in several pieces.
#[test]
fn every_way_to_take_a_long_run_takes_all_of_it_in_order() {
    let capacity = 16;
    for take in [PopAll, PopSlice(16), PopSlice(11), Drain(16), DrainEach(0), DrainEach(7)] {
        for start in [0, u64::MAX - 20] {
            let operations = [PushSlice(16), Pop, take, PushSlice(9), take, PushSlice(3)];
            compare::<[u8; 6000]>(capacity, start, &operations);
        }
    }
}

#[test]
fn a_long_run_that_is_taken_makes_room_on_the_way() {
    let mut rig = Rig::<[u64; 512]>::new(16, 0);
    (0..16).for_each(|number| rig.producer.push([number; 512]).unwrap());
    let (mut next, mut sent) = (0, 16);
    rig.consumer.drain().unwrap().for_each(|value| {
        assert_eq!(value, [next; 512]);
        next += 1;
        while rig.producer.push([sent; 512]).is_ok() {
            sent += 1;
        }
    });
    assert_eq!(next, 16, "what was there at first");
    assert!(sent > 16, "no room before the end of the run");
    rig.consumer.drain().unwrap().for_each(|value| {
        assert_eq!(value, [next; 512]);
        next += 1;
    });
    assert_eq!(next, sent);
}

#[test]
fn what_a_forgotten_drain_took_behind_the_end_is_told_by_the_next_operation() {
    let operations = [Push, Push, Finish, WaitFor(0), DrainAndForget(2), Pop, Flush];
    compare::<u64>(2, 0, &operations);
}
