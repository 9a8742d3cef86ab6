//! Both halves of a duplex connection under honest operations, with a hostile side that writes to its words, slots and sockets in
//! between.
//!
//! The oracle keeps no copy of the ring's arithmetic. It knows what lies in each slot and word, and compares the state of a half
//! before and after each operation: what was delivered is what lay there, in order; a position that was accepted was one that a
//! correct peer can have; `Corrupt` has a reason, and lasts.

use std::{
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::Arc,
    time::Duration,
};

use crate::{
    Consumer, Corrupt, Producer, RecvError, Role, Wait, XmitError, XmitErrorKind,
    barrier::Barrier,
    connection::{About, Connection},
    doorbell::Doorbell,
    fuzzing::{Reached, input::Input, name_of},
    guard::Guard,
    half::Half,
    layout::Word,
    segment::{Geometry, Segment},
    slots::PeerSlots,
    sync::Ordering::Relaxed,
};

/// What the hostile side has: its segment, the other ends of both sockets, and what it can see of ours.
struct Hostile {
    segment: Segment,
    to_producer: Line,
    to_consumer: Line,
    ours: PeerSlots<u64>,
    _ours: Segment,
    /// What it sends along where nothing is due.
    attached: OwnedFd,
    /// Something was sent over a socket that no correct peer sends.
    bad_bell: bool,
}

/// What it has of the sockets of one ring. Of a pair that it made it has both ends, also the one that it gave.
struct Line {
    /// What is written here is heard.
    heard: Option<UnixStream>,
    /// Here it is rung at, and what is written here goes nowhere.
    unheard: Vec<UnixStream>,
}

/// The honest side, and what is known of it.
struct Honest {
    producer: Producer<u64>,
    consumer: Consumer<u64>,
    count: u64,
    corrupt: Option<Corrupt>,
    next: u64,
    finished: bool,
    /// The peer has said so, and it was heard.
    peer_finished: bool,
    reached: Reached,
}

/// One connection. The first bytes choose the capacity, the role and the start positions; then each byte is an operation or an attack.
pub fn ring(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let (role, count) = match input.below(10) {
        shift @ 0..5 => (Role::Client, 1 << shift),
        more => (Role::Server, 1 << (more - 5)),
    };
    let starts = [input.position(0), input.position(0)];
    let (mut honest, mut hostile) = connect(role, count, starts);
    while !input.is_empty() {
        match input.below(32) {
            0..10 => hostile.attack(&mut input, &honest),
            10..20 => honest.send(&mut input, &mut hostile),
            _ => honest.receive(&mut input, &hostile),
        }
    }
    honest.reached
}

fn connect(role: Role, count: u64, [outgoing, incoming]: [u64; 2]) -> (Honest, Hostile) {
    let geometry = Geometry { slot_count: count, element_size: 8, element_align: 8 };
    let (own, own_fd) = Segment::create(geometry, "").expect("a segment");
    let (peer, peer_fd) = Segment::create(geometry, "").expect("a segment");
    own.start(Word::Tail, Word::WakeHead, outgoing);
    peer.start(Word::Head, Word::WakeTail, outgoing);
    peer.start(Word::Tail, Word::WakeHead, incoming);
    own.start(Word::Head, Word::WakeTail, incoming);
    let adopt = |fd| Segment::adopt(fd, geometry).map_err(|flaw| flaw.reason).expect("a sound segment");
    let (seen, ours_seen) = (adopt(&peer_fd), adopt(&own_fd));
    let (first, second) = (one_pair(), two_pairs());
    let ((sends, to_producer), (receives, to_consumer)) = match role {
        Role::Client => (first, second),
        Role::Server => (second, first),
    };
    let credentials = fdpass::peer_credentials(receives.inbox()).expect("a socket");
    let about = About { name: String::new(), peer_name: String::new(), peer_credentials: credentials };
    let guard = Guard::new().expect("a page");
    let connection = Arc::new(Connection::new(own, seen, guard, None, about));
    let wait = Wait::Sleep.into();
    let sending = Half::new(connection.clone(), sends, Barrier::Fence, wait, count, outgoing);
    let receiving = Half::new(connection, receives, Barrier::Fence, wait, count, incoming);
    let (producer, consumer) = (Producer::from_parts(sending), Consumer::from_parts(receiving));
    let honest = Honest {
        producer,
        consumer,
        count,
        corrupt: None,
        next: 0,
        finished: false,
        peer_finished: false,
        reached: Reached::new(),
    };
    let ours = PeerSlots::new(&ours_seen, count);
    (
        honest,
        Hostile { segment: peer, to_producer, to_consumer, ours, _ours: ours_seen, attached: peer_fd, bad_bell: false },
    )
}

/// The sockets of the client's ring.
fn one_pair() -> (Doorbell, Line) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    (Doorbell::over(ours), Line { heard: Some(theirs), unheard: Vec::new() })
}

/// The sockets of the server's ring.
fn two_pairs() -> (Doorbell, Line) {
    let (inbox, heard) = UnixStream::pair().expect("a pair of sockets");
    let (kept, given) = UnixStream::pair().expect("a pair of sockets");
    let copy = given.try_clone().expect("a descriptor");
    (Doorbell::between(inbox, given), Line { heard: Some(heard), unheard: vec![kept, copy] })
}

impl Line {
    /// Whether what was written can be heard.
    fn say(&self, bytes: &[u8], fds: &[BorrowedFd<'_>], elsewhere: bool) -> bool {
        let socket = if elsewhere { self.unheard.first() } else { self.heard.as_ref() };
        let said = socket.is_some_and(|socket| fdpass::try_send_fds(socket, bytes, fds).is_ok());
        if elsewhere && let Some(copy) = self.unheard.get(1) {
            let _ = fdpass::try_send_fds(copy, bytes, fds);
        }
        for socket in self.heard.iter().chain(&self.unheard) {
            let _ = fdpass::try_recv_fds(socket, &mut [0; 4096], 1);
        }
        said && !elsewhere
    }
}

impl Hostile {
    fn word(&self, word: Word) -> u64 {
        self.segment.live().word(word).load(Relaxed)
    }

    fn slot(&self, position: u64, count: u64) -> u64 {
        PeerSlots::<u64>::new(&self.segment, count).take(position)
    }

    fn attack(&mut self, input: &mut Input<'_>, honest: &Honest) {
        let near = [honest.consumer.half.position(), honest.producer.half.position()];
        let (word, near) = match input.below(16) {
            0..5 => (Word::Tail, near[0]),
            5..8 => (Word::Head, near[1]),
            8 => (Word::WakeTail, near[1]),
            9 => (Word::WakeHead, near[0]),
            10 => (Word::Finished, 0),
            11 => return self.overwrite(input, honest.count),
            12 => return self.drop_a_socket(input),
            _ => return self.speak(input),
        };
        let value = if word == Word::Finished { input.below(3) as u64 } else { input.position(near) };
        self.segment.live().word(word).store(value, Relaxed);
    }

    /// Fills all its slots: each holds its index and a byte of the input.
    fn overwrite(&mut self, input: &mut Input<'_>, count: u64) {
        let mut slots = crate::slots::OwnSlots::<u64>::new(&self.segment, count);
        let salt = u64::from(input.byte()) << 32;
        (0..count).for_each(|at| slots.fill(at, &(salt | at)));
    }

    fn speak(&mut self, input: &mut Input<'_>) {
        let kind = 1 + u64::from(input.byte() % 16);
        let length = if input.below(8) == 0 { input.below(24) } else { 24 };
        let message = [kind, input.u64(), input.u64()].map(u64::to_ne_bytes).concat();
        let fds = if kind == 16 { vec![self.attached.as_fd()] } else { vec![] };
        let (line, elsewhere) = match input.below(4) {
            0 => (&self.to_consumer, false),
            1 => (&self.to_producer, false),
            2 => (&self.to_consumer, true),
            _ => (&self.to_producer, true),
        };
        // A part of a message makes the next one another.
        let bad = kind > 4 || length != 24;
        self.bad_bell |= line.say(&message[..length], &fds, elsewhere) && bad;
    }

    fn drop_a_socket(&mut self, input: &mut Input<'_>) {
        match input.below(8) {
            0 => self.to_producer.heard = None,
            1 => self.to_consumer.heard = None,
            2 => self.to_producer.unheard.clear(),
            3 => self.to_consumer.unheard.clear(),
            _ => {}
        }
    }

    /// Whether any of its words or bells, as they are now, break a rule: how far a correct peer's positions can be.
    fn is_lying(&self, honest: &Honest) -> bool {
        let (sending, receiving) = (&honest.producer.half, &honest.consumer.half);
        let (head_seen, tail_seen) = (sending.positions().1, receiving.positions().0);
        let heads = 0..=sending.position().wrapping_sub(head_seen);
        let tails = 0..=receiving.position().wrapping_add(honest.count).wrapping_sub(tail_seen);
        !heads.contains(&self.word(Word::Head).wrapping_sub(head_seen))
            || !tails.contains(&self.word(Word::Tail).wrapping_sub(tail_seen))
            || self.word(Word::Finished) > 1
            || self.bad_bell
    }
}

impl Honest {
    /// A broken rule has a cause, and is what both halves report ever after. `reported`: by the operation that just ended.
    fn note_broken_rules(&mut self, reported: Option<Corrupt>, lying: bool) {
        let Some(rule) = self.producer.half.connection().corrupt() else {
            assert_eq!(reported, None, "reported and not kept");
            return;
        };
        assert!(lying || self.corrupt.is_some(), "{rule:?} without a cause");
        self.reached.insert(format!("corrupt: {}", name_of(rule)));
        assert_eq!(*self.corrupt.get_or_insert(rule), rule, "the first rule that was broken stays");
        assert_eq!(reported.unwrap_or(rule), rule);
    }

    fn send(&mut self, input: &mut Input<'_>, hostile: &mut Hostile) {
        let lying = hostile.is_lying(self);
        let before = self.producer.published();
        let n = input.below(self.count as usize + 2);
        let values: Vec<u64> = (self.next..self.next + n as u64).collect();
        let one = self.next;
        let producer = &mut self.producer;
        let result = match input.below(10) {
            0 => producer.push(one).map(|()| 1).map_err(XmitError::from_value),
            1 => producer.push_ref(&one).map(|()| 1),
            2 => producer.push_slice(&values),
            3 => producer.reserve(n).map(|mut reservation| {
                assert_eq!(reservation.len(), n);
                reservation.iter_mut().zip(&values).for_each(|(slot, value)| *slot = *value);
                reservation.commit(n);
                n
            }),
            4 => producer.reserve(n).map(|mut reservation| {
                reservation.iter_mut().for_each(|slot| *slot = !0);
                0
            }),
            5 => producer.wait_for(n, Duration::ZERO).map(|_| 0),
            6 => producer.flush(Duration::ZERO).map(|()| 0),
            7 => producer.send_control().map(|()| 0),
            8 if input.below(8) == 0 => producer.finish().map(|()| {
                self.finished = true;
                0
            }),
            8 => {
                producer.is_connected();
                Ok(0)
            }
            _ => {
                producer.arm();
                producer.disarm();
                producer.acknowledged();
                Ok(0)
            }
        };
        self.reached.insert(match &result {
            Ok(sent) => format!("sends {}", amount(*sent)),
            Err(error) => format!("sending: {}", name_of(error.kind)),
        });
        let (sent, reported) = match result {
            Ok(sent) => (sent as u64, None),
            Err(XmitError { kind: XmitErrorKind::Corrupt(rule), .. }) => (0, Some(rule)),
            Err(XmitError { kind: XmitErrorKind::Stopped | XmitErrorKind::ForkedChild, .. }) => unreachable!(),
            Err(_) => (0, None),
        };
        self.note_broken_rules(reported, lying);
        assert!(sent == 0 || self.corrupt.is_none() && !self.finished, "sent behind the end");
        assert_eq!(self.producer.published(), before.wrapping_add(sent), "published is what was sent");
        for (at, value) in (0..sent).zip(one..) {
            assert_eq!(hostile.ours.take(before.wrapping_add(at)), value, "what was sent lies in its slot");
        }
        self.next += sent;
        self.must_be_within_bounds();
    }

    fn receive(&mut self, input: &mut Input<'_>, hostile: &Hostile) {
        let lying = hostile.is_lying(self);
        let (before, count) = (self.consumer.position(), self.count);
        let (there, given_up) = (hostile.word(Word::Tail).wrapping_sub(before), self.corrupt.is_some());
        let n = input.below(count as usize + 2);
        let consumer = &mut self.consumer;
        let mut values = Vec::new();
        let result = match input.below(12) {
            0 | 1 => consumer.pop().map(|value| values.push(value)),
            2 => {
                let mut value = 0;
                consumer.pop_into(&mut value).map(|()| values.push(value))
            }
            3 => {
                let mut some = vec![0; n];
                consumer.pop_slice(&mut some).map(|taken| values.extend(&some[..taken]))
            }
            4 => consumer.pop_all(&mut values).map(drop),
            5 => consumer.drain().map(|drain| values.extend(drain.take(n))),
            6 => consumer.drain().map(|mut drain| {
                values.extend(drain.by_ref().take(n));
                std::mem::forget(drain);
            }),
            7 => consumer.peek().map(|peek| {
                let k = n.min(peek.len());
                assert!(peek.len() as u64 <= there || lying, "more than {there} elements to be seen");
                values.extend((0..k).filter_map(|index| peek.get(index)));
                peek.consume(k);
            }),
            8 => consumer.wait_for(n, Duration::ZERO).map(drop),
            9 => consumer.recv_control().map(drop),
            10 => {
                consumer.is_connected();
                Ok(())
            }
            _ => {
                consumer.arm();
                consumer.disarm();
                Ok(())
            }
        };
        self.reached.insert(match &result {
            Ok(()) => format!("receives {}", amount(values.len())),
            Err(error) => format!("receiving: {}", name_of(error)),
        });
        self.note_broken_rules(if let Err(RecvError::Corrupt(rule)) = result { Some(rule) } else { None }, lying);
        self.peer_finished |= hostile.word(Word::Finished) == 1;
        assert!(result != Err(RecvError::Finished) || self.peer_finished, "it never said so");
        assert!(!matches!(result, Err(RecvError::Stopped | RecvError::ForkedChild)));
        assert!(result != Err(RecvError::Empty) || there == 0 || lying, "{there} were there");
        assert!(values.is_empty() || result.is_ok() && !given_up, "delivered with an error, or behind one");
        assert!(values.len() as u64 <= count, "more than a ring");
        assert_eq!(self.consumer.position(), before.wrapping_add(values.len() as u64), "taken is what was delivered");
        for (position, value) in (0..).map(|at| before.wrapping_add(at)).zip(&values) {
            assert_eq!(*value, hostile.slot(position, count), "delivered is what lies in the slot");
        }
        self.must_be_within_bounds();
    }

    /// What memory safety rests on: neither half ever works on more slots than there are.
    fn must_be_within_bounds(&self) {
        let (tail, head) = self.producer.half.positions();
        assert!(tail.wrapping_sub(head) <= self.count, "{tail} {head}");
        let (tail, head) = self.consumer.half.positions();
        assert!(tail.wrapping_sub(head) <= self.count, "{tail} {head}");
    }
}

impl XmitError<()> {
    fn from_value(error: XmitError<u64>) -> Self {
        Self { kind: error.kind, value: () }
    }
}

fn amount(elements: usize) -> &'static str {
    ["nothing", "one", "more"][elements.min(2)]
}
