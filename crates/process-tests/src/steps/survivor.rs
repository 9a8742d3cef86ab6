//! The other end of the victim, and what must be true of it at any moment.

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use ipc_queue::{Error, Options, RecvError, XmitErrorKind};

use super::ends::{End, Halves};
use crate::{
    numbered::{assert_next, element},
    progress::{Progress, Word},
};

/// How long a bounded wait lasts when nothing comes.
const BOUND: Duration = Duration::from_millis(2);

/// One end, and what went through it. Elements are counted from 0.
#[derive(Debug)]
pub struct Survivor<const WORDS: usize> {
    /// Its halves.
    pub halves: Halves<WORDS>,
    end: End,
    /// How many elements it has received.
    pub received: u64,
    /// How many elements it has sent.
    pub sent: u64,
    batch: Vec<[u64; WORDS]>,
    /// What the victim had done when an unfinished operation of its was seen to have had effect, and how far that effect went.
    effect_of_sending: (u64, u64),
    effect_of_taking: (u64, u64),
}

impl<const WORDS: usize> Survivor<WORDS> {
    /// Connects to a victim.
    pub fn connect(end: End, stream: UnixStream, options: &Options) -> Result<Self, Error> {
        let halves = end.connect(stream, options)?;
        Ok(Self {
            halves,
            end,
            received: 0,
            sent: 0,
            batch: Vec::new(),
            effect_of_sending: (0, 0),
            effect_of_taking: (0, 0),
        })
    }

    /// Takes all that is there, in one of several ways, and judges it. What comes behind it: `Empty`, or an end.
    pub fn take_all(&mut self, way: usize) -> RecvError {
        loop {
            if let Err(after) = self.take(way) {
                return after;
            }
        }
    }

    /// Takes some of what is there, in one of several ways, and judges it.
    pub fn take(&mut self, way: usize) -> Result<(), RecvError> {
        let consumer = self.halves.consumer.as_mut().expect("a receiving half");
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        let taken = match way % 5 {
            0 => consumer.pop().map(|element| batch.push(element)),
            1 => consumer.pop_all(&mut batch).map(drop),
            2 => consumer.drain().map(|drain| batch.extend(drain)),
            3 => consumer.peek().map(|peek| {
                batch.extend((0..peek.len()).filter_map(|index| peek.get(index)));
                let n = peek.len();
                peek.consume(n);
            }),
            _ => {
                let mut two = [[0; WORDS]; 2];
                consumer.pop_slice(&mut two).map(|n| batch.extend(&two[..n]))
            }
        };
        self.note(&batch);
        self.batch = batch;
        taken
    }

    /// These were received.
    pub fn note(&mut self, elements: &[[u64; WORDS]]) {
        let due = self.end.opposite().first_number() + self.received;
        self.received += assert_next(due, elements) - due;
    }

    /// The number of the element that is sent next.
    pub fn next_number(&self) -> u64 {
        self.end.first_number() + self.sent
    }

    /// Sends as many elements as there is room for. What comes behind them: `Full`, or an end.
    pub fn fill(&mut self) -> XmitErrorKind {
        self.fill_up_to(u64::MAX).expect_err("no ring is that large")
    }

    /// As [`fill`](Self::fill), but no more than so many.
    pub fn fill_up_to(&mut self, most: u64) -> Result<(), XmitErrorKind> {
        for _ in 0..most {
            let number = self.next_number();
            self.producer().push(element(number)).map_err(|error| error.kind)?;
            self.sent += 1;
        }
        Ok(())
    }

    /// The sending half.
    pub fn producer(&mut self) -> &mut ipc_queue::Producer<[u64; WORDS]> {
        self.halves.producer.as_mut().expect("a sending half")
    }

    /// The victim stands still and has sent what it has sent: just that was received, whole and in order.
    pub fn judge_received(&mut self, progress: &Progress) {
        let (done, begun) = (progress.get(Word::Sent), progress.get(Word::SendingUpTo));
        assert!(done <= self.received, "{done} were sent, {} have arrived", self.received);
        assert!(self.received <= begun.max(done), "{} have arrived, only {begun} were begun", self.received);
        self.effect_of_sending = one_effect(self.effect_of_sending, (done, self.received));
    }

    /// The victim stands still and has taken what it has taken: just that is acknowledged.
    pub fn judge_acknowledged(&mut self, progress: &Progress) {
        let (done, begun) = (progress.get(Word::Taken), progress.get(Word::TakingUpTo));
        let (sent, acknowledged) = (self.sent, self.producer().acknowledged());
        assert_eq!(self.producer().published(), sent);
        assert!(done <= acknowledged, "{done} were taken, {acknowledged} are acknowledged");
        assert!(acknowledged <= begun.max(done), "{acknowledged} are acknowledged, only {begun} were begun");
        let capacity = self.producer().capacity() as u64;
        assert!(acknowledged <= sent && sent - acknowledged <= capacity, "{sent} sent, {acknowledged} acknowledged");
        self.effect_of_taking = one_effect(self.effect_of_taking, (done, acknowledged));
    }

    /// Announces that it sleeps, where there is nothing to do: the victim has to ring.
    pub fn fall_asleep(&mut self) -> bool {
        let (producer, consumer) = (&mut self.halves.producer, &mut self.halves.consumer);
        let producer = producer.as_mut().is_none_or(ipc_queue::Producer::arm);
        consumer.as_mut().is_none_or(ipc_queue::Consumer::arm) && producer
    }

    /// Takes the bells.
    pub fn wake(&mut self) {
        self.halves.consumer.iter_mut().for_each(ipc_queue::Consumer::disarm);
        self.halves.producer.iter_mut().for_each(ipc_queue::Producer::disarm);
    }

    /// Both, for the halves that there are, after taking all and filling the ring up to `most` elements: the victim stands still.
    pub fn judge(&mut self, progress: &Progress, way: usize, most: u64) {
        if self.halves.consumer.is_some() {
            let after = self.take_all(way);
            assert!(after == RecvError::Empty || may_end(progress, after), "{after} from one who is alive");
            self.judge_received(progress);
        }
        if self.halves.producer.is_some() {
            self.judge_acknowledged(progress);
            let untaken = self.sent - self.producer().acknowledged();
            match self.fill_up_to(most.saturating_sub(untaken)) {
                Ok(()) | Err(XmitErrorKind::Full) => {}
                Err(end) => panic!("{end} from one who is alive"),
            }
            self.judge_acknowledged(progress);
        }
    }

    /// The victim is dead: the rest arrives, then the end and nothing but the end; and nobody takes anything any more.
    pub fn judge_death(&mut self, progress: &Progress, way: usize) {
        self.wake();
        if self.halves.consumer.is_some() {
            self.judge_end_of_received(progress, way);
        }
        if self.halves.producer.is_some() {
            self.judge_end_of_sent(progress);
        }
    }

    fn judge_end_of_received(&mut self, progress: &Progress, way: usize) {
        let end = loop {
            match self.take_all(way) {
                RecvError::Empty => {}
                end => break end,
            }
        };
        self.judge_received(progress);
        assert!(end == RecvError::Disconnected || may_end(progress, end), "{end} from one who is dead");
        if progress.get(Word::Finishing) == 2 {
            assert_eq!(end, RecvError::Finished, "it had finished before it died");
        }
        let before = self.received;
        for way in 0..5 {
            assert_eq!(self.take_all(way), end, "it stays so");
        }
        let consumer = self.halves.consumer.as_mut().expect("a receiving half");
        assert_eq!(consumer.pop_timeout(Duration::from_secs(600)), Err(end), "known at once");
        assert_eq!(self.received, before, "the dead send nothing");
    }

    fn judge_end_of_sent(&mut self, progress: &Progress) {
        self.judge_acknowledged(progress);
        let taken = self.producer().acknowledged();
        let most = taken + self.producer().capacity() as u64;
        while self.fill() == XmitErrorKind::Full {}
        assert_eq!(self.fill(), XmitErrorKind::Disconnected, "it stays so");
        assert!(self.sent <= most, "{taken} were taken, and {} sent", self.sent);
        assert_eq!(self.producer().acknowledged(), taken, "the dead take nothing");
        let flushed = self.producer().flush(Duration::from_secs(600)).map_err(|error| error.kind);
        let due = if self.sent == taken { Ok(()) } else { Err(XmitErrorKind::Disconnected) };
        assert_eq!(flushed, due, "{taken} were taken of {}", self.sent);
    }

    /// The victim is stopped: what there is arrives, and every bounded wait ends when it should.
    pub fn judge_stopped(&mut self, progress: &Progress) {
        if self.halves.consumer.is_some() {
            let (after, waited) = self.take_until_late();
            assert!(after == RecvError::TimedOut || may_end(progress, after), "{after} from one who is stopped");
            assert!(after != RecvError::TimedOut || waited >= BOUND, "a wait of {BOUND:?} ended after {waited:?}");
            self.judge_received(progress);
        }
        if self.halves.producer.is_some() {
            self.judge_stopped_sending(progress);
        }
    }

    fn take_until_late(&mut self) -> (RecvError, Duration) {
        let consumer = self.halves.consumer.as_mut().expect("a receiving half");
        consumer.disarm();
        loop {
            let consumer = self.halves.consumer.as_mut().expect("a receiving half");
            let start = Instant::now();
            match consumer.pop_timeout(BOUND) {
                Ok(element) => self.note(&[element]),
                Err(after) => return (after, start.elapsed()),
            }
        }
    }

    fn judge_stopped_sending(&mut self, progress: &Progress) {
        self.producer().disarm();
        let (after, waited) = loop {
            let number = self.next_number();
            let start = Instant::now();
            match self.producer().push_timeout(element(number), BOUND) {
                Ok(()) => self.sent += 1,
                Err(error) => break (error.kind, start.elapsed()),
            }
        };
        let closed = after == XmitErrorKind::Disconnected && progress.get(Word::ClosingReceiver) != 0;
        assert!(after == XmitErrorKind::TimedOut || closed, "{after} from one who is stopped");
        assert!(closed || waited >= BOUND, "a wait of {BOUND:?} ended after {waited:?}");
        self.judge_acknowledged(progress);
    }

    /// The victim goes on until it has sent everything and has seen the end of what is sent to it: nothing is lost.
    pub fn see_the_rest(&mut self, progress: &Progress, rest: u64) {
        let mut left = if self.halves.producer.is_some() { rest } else { 0 };
        let mut receiving = self.halves.consumer.is_some();
        let mut sending = self.halves.producer.is_some();
        while receiving || sending {
            if receiving {
                receiving = self.take_all(0) == RecvError::Empty;
            }
            if sending {
                sending = self.send_one(&mut left);
            }
            std::thread::yield_now();
        }
        if self.halves.consumer.is_some() {
            assert_eq!(self.received, progress.get(Word::Sent), "received, and sent");
        }
    }

    fn send_one(&mut self, left: &mut u64) -> bool {
        if *left == 0 {
            let closed = self.producer().finish().map_err(|error| error.kind);
            assert!(matches!(closed, Ok(()) | Err(XmitErrorKind::Disconnected)), "{closed:?}");
            return false;
        }
        let number = self.next_number();
        match self.producer().push(element(number)) {
            Ok(()) => {
                self.sent += 1;
                *left -= 1;
            }
            Err(error) if error.is_full() => {}
            Err(_) => return false,
        }
        true
    }
}

/// An operation has effect once: seen unfinished, it is seen with the effect that it has in the end.
fn one_effect(seen: (u64, u64), now: (u64, u64)) -> (u64, u64) {
    if seen.0 == now.0 && seen.1 != now.0 {
        assert_eq!(seen.1, now.1, "one operation, and its effect in two parts");
    }
    if seen.0 != now.0 {
        assert!(now.0 >= seen.1, "{} were done, and {} were seen", now.0, seen.1);
    }
    now
}

/// Whether the victim may have ended what it sends, by word or by closing.
fn may_end(progress: &Progress, end: RecvError) -> bool {
    match end {
        RecvError::Finished => progress.get(Word::Finishing) != 0,
        RecvError::Disconnected => progress.get(Word::ClosingSender) != 0,
        _ => false,
    }
}
