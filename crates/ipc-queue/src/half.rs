//! One half of a connection, the sending or the receiving one: everything but the slots.

use std::{
    os::fd::BorrowedFd,
    sync::Arc,
    time::{Duration, Instant},
};

use crate::{
    ControlMessage, Corrupt, RecvError, Wait, XmitError, XmitErrorKind,
    barrier::Barrier,
    connection::{Connection, Shared},
    doorbell::{Bell, Doorbell, Rung, Seen},
    guard::State,
    layout::{Counter, Word},
    pause::Pause,
    ring::{End, OutOfRange, Receiving, Sending, Side},
    wait::{self, Bursts, Waiter},
};

/// After so many fruitless looks in a row, the socket is asked whether the peer is still there.
const LOOKS_A_QUESTION: u32 = 1000;
/// How often a bell that the system had no memory for is tried before it is left to the next publish.
const BELL_TRIES: u32 = 8;

/// Why a half has no slots to work on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unready {
    Finished,
    Closed,
    Disconnected,
    Corrupt(Corrupt),
    ForkedChild,
    TimedOut,
    Stopped,
    TooLong { asked: usize, capacity: usize },
}

impl From<Unready> for RecvError {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Finished | Unready::Closed => Self::Finished,
            Unready::Disconnected => Self::Disconnected,
            Unready::Corrupt(rule) => Self::Corrupt(rule),
            Unready::ForkedChild => Self::ForkedChild,
            Unready::TimedOut => Self::TimedOut,
            Unready::Stopped => Self::Stopped,
            Unready::TooLong { asked, capacity } => Self::TooLong { asked, capacity },
        }
    }
}

impl From<Unready> for XmitErrorKind {
    fn from(unready: Unready) -> Self {
        match unready {
            Unready::Finished | Unready::Closed => Self::Closed,
            Unready::Disconnected => Self::Disconnected,
            Unready::Corrupt(rule) => Self::Corrupt(rule),
            Unready::ForkedChild => Self::ForkedChild,
            Unready::TimedOut => Self::TimedOut,
            Unready::Stopped => Self::Stopped,
            Unready::TooLong { asked, capacity } => Self::TooLong { asked, capacity },
        }
    }
}

/// For `map_err`: an operation without a value could not send.
pub(crate) fn nothing_sent(unready: Unready) -> XmitError<()> {
    XmitError { kind: unready.into(), value: () }
}

/// What differs between the two halves.
pub(crate) trait HalfSide: Side + Sized {
    /// The bell that it rings.
    const BELL: Bell;
    /// Its group of counters.
    const COUNTERS: Word;
    fn pause() -> Pause;
    fn corrupt(seen: OutOfRange, count: u64) -> Corrupt;
    /// Tail and head of the ring, as this half knows them.
    fn positions(end: &End<Shared, Self>) -> (u64, u64);
    /// Whether the peer has said that it is done with this ring.
    fn peer_finished(end: &End<Shared, Self>) -> Result<bool, Corrupt>;
    /// The peer is gone: what can still be done here?
    fn settle(end: &mut End<Shared, Self>) -> Result<(), OutOfRange>;
}

impl HalfSide for Sending {
    const BELL: Bell = Bell::Data;
    const COUNTERS: Word = Word::SendingCounters;

    fn pause() -> Pause {
        Pause::of_producer()
    }

    fn corrupt(seen: OutOfRange, count: u64) -> Corrupt {
        Corrupt::HeadOutOfRange { head: seen.theirs, tail: seen.mine, count }
    }

    fn positions(end: &End<Shared, Self>) -> (u64, u64) {
        (end.position(), end.theirs())
    }

    fn peer_finished(_: &End<Shared, Self>) -> Result<bool, Corrupt> {
        Ok(false)
    }

    /// Nobody will take anything more; how far the peer got is still of interest.
    fn settle(end: &mut End<Shared, Self>) -> Result<(), OutOfRange> {
        end.look()?;
        end.close();
        Ok(())
    }
}

impl HalfSide for Receiving {
    const BELL: Bell = Bell::Room;
    const COUNTERS: Word = Word::ReceivingCounters;

    fn pause() -> Pause {
        Pause::of_consumer()
    }

    fn corrupt(seen: OutOfRange, count: u64) -> Corrupt {
        Corrupt::TailOutOfRange { tail: seen.theirs, head: seen.mine, count }
    }

    fn positions(end: &End<Shared, Self>) -> (u64, u64) {
        (end.theirs(), end.position())
    }

    #[inline]
    fn peer_finished(end: &End<Shared, Self>) -> Result<bool, Corrupt> {
        match end.finished_word() {
            0 => Ok(false),
            1 => Ok(true),
            // JUDGE finished: there is no third value.
            value => Err(Corrupt::Finished { value }),
        }
    }

    /// What was published before the end is delivered: one last look, after which the memory is not asked again.
    fn settle(end: &mut End<Shared, Self>) -> Result<(), OutOfRange> {
        end.look().map(drop)
    }
}

#[derive(Debug)]
pub(crate) struct Half<S: HalfSide> {
    end: End<Shared, S>,
    doorbell: Doorbell,
    wait: Wait,
    pause: Pause,
    bursts: Bursts,
    fruitless: u32,
    /// The system had no memory for the bell that says that no more will come.
    owes_finish: bool,
    /// Once set, the memory is not looked at again; what is available is still delivered.
    ended: Option<Unready>,
}

impl<S: HalfSide> Half<S> {
    pub(crate) fn new(
        connection: Arc<Connection>,
        doorbell: Doorbell,
        barrier: Barrier,
        wait: Wait,
        count: u64,
        start: u64,
    ) -> Self {
        connection.wakes(doorbell.downgrade());
        let end = End::new(Shared::new(connection), barrier, count, start);
        Self {
            end,
            doorbell,
            wait,
            pause: S::pause(),
            bursts: Bursts::new(),
            fruitless: 0,
            owes_finish: false,
            ended: None,
        }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        self.end.memory().connection()
    }

    pub(crate) fn socket(&self) -> BorrowedFd<'_> {
        self.doorbell.inbox()
    }

    pub(crate) fn capacity(&self) -> usize {
        self.end.count() as usize
    }

    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.end.position()
    }

    pub(crate) fn positions(&self) -> (u64, u64) {
        S::positions(&self.end)
    }

    pub(crate) fn counter(&self, counter: Counter) -> u64 {
        self.end.memory().own_page().counter(S::COUNTERS, counter)
    }

    fn count(&self, counter: Counter) {
        self.end.memory().own_page().count(S::COUNTERS, counter);
    }

    /// Whether the slots can still be touched: the connection was not given up, and this is not a forked child.
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.end.memory().is_whole()
    }

    pub(crate) fn is_forked(&self) -> bool {
        !self.is_whole() && self.connection().state() == State::Forked
    }

    /// Slots to work on, without waiting: the start of every operation that never waits. It looks only if those that it knows of
    /// are fewer than `wanted`, which is at least 1. After a fruitless look it pauses.
    #[inline(always)]
    pub(crate) fn ready(&mut self, wanted: u64) -> Result<u64, Unready> {
        let available = self.end.available();
        if available >= wanted && self.end.memory().is_whole() {
            return Ok(available);
        }
        self.ready_slow(1)
    }

    /// As `ready`, where fewer than `n` are of no use.
    #[inline(always)]
    pub(crate) fn ready_for_all(&mut self, n: u64) -> Result<u64, Unready> {
        let available = self.end.available();
        if available >= n && self.end.memory().is_whole() {
            return Ok(available);
        }
        self.ready_slow(n)
    }

    #[inline(never)]
    fn ready_slow(&mut self, least: u64) -> Result<u64, Unready> {
        let available = self.look(least)?;
        if available < least {
            self.rest()?;
        }
        Ok(available)
    }

    /// Looks once, at memory only. With `Ok` of less than `wanted` there may be more later, or the peer is gone and this is the
    /// remainder.
    #[inline]
    pub(crate) fn look(&mut self, wanted: u64) -> Result<u64, Unready> {
        self.check_guard()?;
        if self.end.owes() {
            // A drain that was forgotten, or a bell that the system had no memory for.
            self.publish(0);
        }
        if std::mem::take(&mut self.owes_finish) {
            self.ring(Bell::Finished);
        }
        if self.ended.is_some() {
            return self.remainder();
        }
        let available = self.end.look().map_err(|seen| self.give_up(S::corrupt(seen, self.end.count())))?;
        if available >= wanted {
            self.fruitless = 0;
            self.pause.adapt(available);
            return Ok(available);
        }
        if S::peer_finished(&self.end).map_err(|corrupt| self.give_up(corrupt))? {
            return self.conclude(Unready::Finished);
        }
        Ok(available)
    }

    /// What comes between two looks that found too little. Never between the announcement and the sleep: the bell that this may take
    /// could be the one that is asked for.
    #[inline]
    pub(crate) fn rest(&mut self) -> Result<(), Unready> {
        self.pause.rest();
        self.count_fruitless()
    }

    /// A loop that never sleeps learns of the peer's death too: after many fruitless looks in a row the socket is asked.
    #[inline]
    pub(crate) fn count_fruitless(&mut self) -> Result<(), Unready> {
        self.fruitless += 1;
        if self.fruitless >= LOOKS_A_QUESTION {
            self.fruitless = 0;
            self.ask(Some(Duration::ZERO), None)?;
        }
        Ok(())
    }

    #[inline]
    pub(crate) fn check_guard(&self) -> Result<(), Unready> {
        if self.end.memory().is_whole() {
            return Ok(());
        }
        let connection = self.connection();
        match connection.state() {
            State::Forked => Err(Unready::ForkedChild),
            State::Whole | State::Corrupt => Err(Unready::Corrupt(connection.broken_rule())),
        }
    }

    /// The system had no memory for a bell that the peer may be asleep for: it is tried again by every look.
    fn owes(&self) -> bool {
        self.end.owes() || self.owes_finish
    }

    /// What is available still, or why nothing will be.
    fn remainder(&self) -> Result<u64, Unready> {
        match (self.end.available(), self.ended) {
            (0, Some(ended)) => Err(ended),
            (available, _) => Ok(available),
        }
    }

    /// The peer has ended this ring, by word or by death: one last look.
    #[cold]
    fn conclude(&mut self, ended: Unready) -> Result<u64, Unready> {
        // The news of a death came by a system call; what the dead had published is older.
        crate::sync::fence(crate::sync::Ordering::Acquire);
        let finished = S::peer_finished(&self.end).map_err(|corrupt| self.give_up(corrupt))?;
        S::settle(&mut self.end).map_err(|seen| self.give_up(S::corrupt(seen, self.end.count())))?;
        self.ended = Some(if finished { Unready::Finished } else { ended });
        self.remainder()
    }

    #[cold]
    fn give_up(&self, corrupt: Corrupt) -> Unready {
        Unready::Corrupt(self.connection().give_up(corrupt))
    }

    /// Asks the socket and the pidfd for news, waiting up to `at_most` or until `stop` is readable, and takes it.
    #[cold]
    fn ask(&mut self, at_most: Option<Duration>, stop: Option<BorrowedFd<'_>>) -> Result<Seen, Unready> {
        let seen = self.doorbell.wait(self.end.memory().connection().pidfd(), stop, at_most);
        if seen.readable {
            self.take_bells()?;
        }
        if seen.died && self.ended.is_none() {
            self.conclude(Unready::Disconnected).map(drop).or_else(not_yet)?;
        }
        Ok(seen)
    }

    fn take_bells(&mut self) -> Result<(), Unready> {
        self.doorbell.take().map_err(|corrupt| self.give_up(corrupt))?;
        if self.doorbell.hung_up() && self.ended.is_none() {
            self.conclude(Unready::Disconnected).map(drop).or_else(not_yet)?;
        }
        Ok(())
    }

    /// Waits until `n` slots are available, or fewer when the peer has ended and they are the rest.
    pub(crate) fn wait_for(&mut self, n: usize, deadline: Option<Instant>) -> Result<u64, Unready> {
        self.wait_with(n, self.wait, deadline, None)
    }

    /// As `wait_for`, and ends when `stop` becomes readable. Spinning would not see that, so it is `Wait::Adaptive` then.
    pub(crate) fn wait_unless(&mut self, n: usize, stop: BorrowedFd<'_>) -> Result<u64, Unready> {
        let how = if self.wait == Wait::Spin { Wait::Adaptive } else { self.wait };
        self.wait_with(n, how, None, Some(stop))
    }

    fn wait_with(
        &mut self,
        n: usize,
        how: Wait,
        deadline: Option<Instant>,
        stop: Option<BorrowedFd<'_>>,
    ) -> Result<u64, Unready> {
        if n > self.capacity() {
            return Err(Unready::TooLong { asked: n, capacity: self.capacity() });
        }
        self.check_guard()?;
        if self.end.available() >= n as u64 {
            return Ok(self.end.available());
        }
        let mut waiter = Waiting { half: self, n: n as u64, stop };
        match wait::wait(&mut waiter, how, deadline)? {
            true => Ok(self.end.available()),
            false => Err(Unready::TimedOut),
        }
    }

    /// Moves over `n` slots; the next `publish` tells the peer.
    #[inline(always)]
    pub(crate) fn advance(&mut self, n: u64) {
        self.end.advance(n);
    }

    /// Moves over `n` more slots and tells the peer.
    #[inline(always)]
    pub(crate) fn publish(&mut self, n: u64) {
        if self.end.publish(n) {
            self.ring(S::BELL);
        }
    }

    /// A peer that is gone shows at the next look.
    #[cold]
    fn ring(&mut self, bell: Bell) {
        let (tail, head) = self.positions();
        self.count(Counter::Bells);
        for _ in 0..BELL_TRIES {
            match self.doorbell.ring(bell, tail, head) {
                Rung::Owed => std::thread::yield_now(),
                Rung::Sent | Rung::Crowded | Rung::Gone => return,
                Rung::Mute => return self.fall_silent(),
            }
        }
        match bell {
            // Whether or not anybody asked for it.
            Bell::Finished => self.owes_finish = true,
            // The sleeper asked for one position of the last ring's worth.
            _ => self.end.owe_bell(self.end.count()),
        }
    }

    /// No bell can be sent any more, and the peer has been told that this ring ends.
    #[cold]
    fn fall_silent(&mut self) {
        if self.ended.is_none() {
            // What it finds shows at the next operation.
            let _ = self.conclude(Unready::Disconnected);
        }
    }

    /// Nothing can be done while the ring is as it is: for the counters.
    pub(crate) fn count_full(&self) {
        if self.end.memory().is_whole() {
            self.count(Counter::Full);
        }
    }

    /// Asks to be woken for the next slot. `true`: the caller may sleep on the socket.
    pub(crate) fn arm(&mut self) -> bool {
        if !matches!(self.look(1), Ok(0)) {
            return false;
        }
        let sure = self.end.announce(1);
        // PAIR look again: what was published before the announcement rings no bell.
        if !matches!(self.look(1), Ok(0)) {
            return false;
        }
        let may_sleep = sure && !self.owes();
        if may_sleep {
            self.count(Counter::Parks);
        }
        may_sleep
    }

    /// Takes the bells, and the news of a death.
    pub(crate) fn disarm(&mut self) {
        // Whatever ended here shows at the next operation.
        let _ = self.check_guard().and_then(|()| self.ask(Some(Duration::ZERO), None));
    }

    /// Whether the peer is there, as far as can be known now.
    pub(crate) fn is_connected(&mut self) -> bool {
        let asked = self.check_guard().and_then(|()| self.ask(Some(Duration::ZERO), None));
        // Not by `ended`: a ring that was finished has its end before the peer is gone.
        asked.is_ok_and(|seen| !seen.died) && !self.doorbell.hung_up()
    }

    pub(crate) fn take_control(&mut self) -> Result<Option<ControlMessage>, Unready> {
        self.check_guard()?;
        self.take_bells()?;
        match (self.doorbell.take_control(), self.ended) {
            (None, Some(ended)) => Err(ended),
            (message, _) => Ok(message),
        }
    }
}

/// An end that was just noted is reported by the next look, behind what is available still; a broken rule at once.
fn not_yet(ended: Unready) -> Result<(), Unready> {
    match ended {
        Unready::Corrupt(_) | Unready::ForkedChild => Err(ended),
        _ => Ok(()),
    }
}

impl Half<Sending> {
    /// Says that no more will come, and rings whether or not anybody asked.
    pub(crate) fn finish(&mut self) -> Result<(), Unready> {
        self.check_guard()?;
        match self.ended {
            Some(Unready::Closed) => {
                // Rings what is owed.
                let _ = self.look(1);
                return Ok(());
            }
            Some(ended) => return Err(ended),
            None => {}
        }
        self.end.finish();
        self.ring(Bell::Finished);
        self.close();
        Ok(())
    }

    /// Nothing more is sent from here.
    fn close(&mut self) {
        self.end.close();
        self.ended = Some(Unready::Closed);
    }

    /// Waits until the peer has taken everything: until there is room for a whole ring.
    pub(crate) fn flush(&mut self, deadline: Option<Instant>) -> Result<(), Unready> {
        let closed = self.ended == Some(Unready::Closed);
        if closed {
            self.ended = None;
            self.end.reopen();
        }
        let result = self.wait_for(self.capacity(), deadline);
        if closed {
            self.close();
        }
        match result {
            // It took everything and then left.
            Err(Unready::Disconnected) if self.end.theirs() == self.end.position() => Ok(()),
            result => result.map(drop),
        }
    }

    /// Sends a control message with this side's positions.
    pub(crate) fn send_control(&mut self) -> Result<(), XmitErrorKind> {
        self.check_guard()?;
        let (tail, _) = self.positions();
        let head = self.end.memory().own_page().word(Word::Head).load(crate::sync::Ordering::Relaxed);
        match self.doorbell.ring(Bell::Control, tail, head) {
            Rung::Sent => Ok(()),
            Rung::Crowded | Rung::Owed => Err(XmitErrorKind::Full),
            Rung::Gone => Err(XmitErrorKind::Disconnected),
            Rung::Mute => {
                self.fall_silent();
                Err(XmitErrorKind::Disconnected)
            }
        }
    }

    /// The peer's position, looked at now while it can be.
    pub(crate) fn acknowledged(&mut self) -> u64 {
        if self.check_guard().is_ok() && matches!(self.ended, None | Some(Unready::Closed)) {
            if let Err(seen) = self.end.look() {
                self.give_up(Sending::corrupt(seen, self.end.count()));
            }
            if self.ended.is_some() {
                self.end.close();
            }
        }
        self.end.theirs()
    }
}

impl<S: HalfSide> Drop for Half<S> {
    fn drop(&mut self) {
        // A forked child's copies end nothing: the connection is its parent's.
        if !self.is_forked() {
            self.doorbell.hang_up();
        }
    }
}

struct Waiting<'a, S: HalfSide> {
    half: &'a mut Half<S>,
    n: u64,
    stop: Option<BorrowedFd<'a>>,
}

impl<S: HalfSide> Waiter for Waiting<'_, S> {
    type End = Unready;

    fn look(&mut self) -> Result<bool, Unready> {
        let available = self.half.look(self.n)?;
        // After an end there will be no more than this.
        Ok(available >= self.n || self.half.ended.is_some())
    }

    fn rest(&mut self) -> Result<(), Unready> {
        self.half.rest()
    }

    fn announce(&mut self) -> bool {
        let sure = self.half.end.announce(self.n);
        // Who owes a bell and sleeps could wait for one who waits for that bell.
        sure && !self.half.owes()
    }

    fn bursts(&mut self) -> &mut Bursts {
        &mut self.half.bursts
    }

    fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Unready> {
        self.half.count(Counter::Parks);
        let seen = self.half.ask(at_most, self.stop)?;
        self.half.count(Counter::Wakes);
        if seen.stopped { Err(Unready::Stopped) } else { Ok(()) }
    }
}

/// What the two public halves have in common, written once.
macro_rules! impl_accessors {
    ($half:ident) => {
        impl<T> $half<T> {
            /// Takes the bells from the socket.
            pub fn disarm(&mut self) {
                self.half.disarm();
            }

            /// How many elements the ring holds.
            pub fn capacity(&self) -> usize {
                self.half.capacity()
            }

            /// Whether the peer is there, as far as can be known now. One or two system calls.
            pub fn is_connected(&mut self) -> bool {
                self.half.is_connected()
            }

            /// This side's name.
            pub fn name(&self) -> &str {
                &self.half.connection().about.name
            }

            /// The peer's name, as it says.
            pub fn peer_name(&self) -> &str {
                &self.half.connection().about.peer_name
            }

            /// Who was at the other end of the stream when it was connected, unix(7).
            pub fn peer_credentials(&self) -> crate::Credentials {
                self.half.connection().about.peer_credentials
            }

            /// The process that did the handshake, where the kernel tells (Linux 6.5): readable when it is dead.
            pub fn peer_pidfd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
                self.half.connection().pidfd()
            }

            /// Counters since the connection was made.
            pub fn stats(&self) -> crate::Stats {
                crate::Stats::of(&self.half)
            }
        }

        impl<T> std::os::fd::AsFd for $half<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.half.socket()
            }
        }

        impl<T> std::os::fd::AsRawFd for $half<T> {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.half.socket().as_raw_fd()
            }
        }
    };
}
pub(crate) use impl_accessors;
