//! One half of a connection, the sending or the receiving one: everything but the slots.

mod accessors;
mod sending;
mod side;
mod unready;
mod waiting;

use std::{os::fd::BorrowedFd, sync::Arc, time::Duration};

pub(crate) use accessors::impl_accessors;
pub(crate) use side::HalfSide;
pub(crate) use unready::{Unready, nothing_sent};

use crate::{
    ControlMessage, Corrupt, Wait,
    barrier::Barrier,
    connection::{Connection, Shared},
    doorbell::{Bell, Doorbell, Rung, Seen},
    guard::State,
    layout::Counter,
    pause::Pause,
    ring::End,
    strategy::Manner,
    wait::Bursts,
};

/// How often a bell that the system had no memory for is tried before it is left to the next look.
const BELL_TRIES: u32 = 8;

#[derive(Debug)]
pub(crate) struct Half<S: HalfSide> {
    end: End<Shared, S>,
    doorbell: Doorbell,
    wait: Manner,
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
        wait: Manner,
        count: u64,
        start: u64,
    ) -> Self {
        connection.wakes(doorbell.downgrade());
        let end = End::new(Shared::new(connection), barrier, count, start);
        Self {
            end,
            doorbell,
            wait,
            pause: S::pause(wait.strategy()),
            bursts: Bursts::new(wait.strategy()),
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

    pub(crate) fn waits(&self) -> Wait {
        self.wait.choice
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

    /// Whether it knows of slots to work on.
    #[inline(always)]
    pub(crate) fn has_available(&self) -> bool {
        self.end.available() > 0
    }

    /// Slots to work on, without waiting: the start of every operation that never waits. It looks only if those that it knows of
    /// are fewer than `wanted`, which is at least 1. After a fruitless look it pauses.
    #[inline(always)]
    pub(crate) fn ready(&mut self, wanted: u64) -> Result<u64, Unready> {
        self.known_or_seen(wanted, 1)
    }

    /// As `ready`, where fewer than `n` are of no use.
    #[inline(always)]
    pub(crate) fn ready_for_all(&mut self, n: u64) -> Result<u64, Unready> {
        self.known_or_seen(n, n)
    }

    /// `wanted` slots that it knows of, or what a look finds: a fruitless one if that is less than `least`.
    #[inline(always)]
    fn known_or_seen(&mut self, wanted: u64, least: u64) -> Result<u64, Unready> {
        let available = self.end.available();
        if available >= wanted && self.is_whole() {
            return Ok(available);
        }
        match self.glance_and_rest(least) {
            Some(available) => Ok(available),
            None => self.look_closely_and_rest(least),
        }
    }

    /// `None` leaves it all to `look_closely_and_rest`. A function that calls no other: it needs no stack.
    #[inline(never)]
    fn glance_and_rest(&mut self, least: u64) -> Option<u64> {
        let available = self.glance(least)?;
        if available < least {
            let fruitless = self.fruitless + 1;
            if fruitless >= self.wait.strategy().looks_a_question {
                return None;
            }
            self.fruitless = fruitless;
            self.pause.rest();
        }
        Some(available)
    }

    #[cold]
    #[inline(never)]
    fn look_closely_and_rest(&mut self, least: u64) -> Result<u64, Unready> {
        let available = self.look_closely(least)?;
        if available < least {
            self.rest()?;
        }
        Ok(available)
    }

    /// Looks once, at memory only. With `Ok` of less than `wanted` there may be more later, or the peer is gone and this is the
    /// remainder.
    #[inline(always)]
    pub(crate) fn look(&mut self, wanted: u64) -> Result<u64, Unready> {
        match self.glance(wanted) {
            Some(available) => Ok(available),
            None => self.look_closely(wanted),
        }
    }

    /// `look` where nothing is out of the ordinary. `None`: something is, and the look that follows decides what.
    #[inline(always)]
    fn glance(&mut self, wanted: u64) -> Option<u64> {
        if !self.is_whole() || self.owes() || self.ended.is_some() {
            return None;
        }
        let available = self.end.look().ok()?;
        if available >= wanted {
            self.succeed(available);
            return Some(available);
        }
        (S::peer_finished(&self.end) == Ok(false)).then_some(available)
    }

    /// `look` with all that can have happened.
    #[cold]
    #[inline(never)]
    fn look_closely(&mut self, wanted: u64) -> Result<u64, Unready> {
        self.check_guard()?;
        // A drain that was forgotten, or a bell that the system had no memory for.
        self.pay();
        if std::mem::take(&mut self.owes_finish) {
            self.ring(Bell::Finished);
        }
        if self.ended.is_some() {
            return self.remainder();
        }
        let available = self.end.look().map_err(|seen| self.give_up(S::corrupt(seen, self.end.count())))?;
        if available >= wanted {
            self.succeed(available);
        } else if S::peer_finished(&self.end).map_err(|corrupt| self.give_up(corrupt))? {
            return self.conclude(Unready::Finished);
        }
        Ok(available)
    }

    /// A look found enough.
    #[inline(always)]
    fn succeed(&mut self, available: u64) {
        self.fruitless = 0;
        self.pause.adapt(available);
    }

    /// What comes between two looks that found too little. Never between the announcement and the sleep: the bell that this may take
    /// could be the one that is asked for. Returns how many PAUSE instructions it took.
    #[inline]
    pub(crate) fn rest(&mut self) -> Result<u32, Unready> {
        let pause = self.pause.rest();
        self.count_fruitless()?;
        Ok(pause)
    }

    /// A loop that never sleeps learns of the peer's death too: after many fruitless looks in a row the socket is asked.
    #[inline]
    pub(crate) fn count_fruitless(&mut self) -> Result<(), Unready> {
        self.fruitless += 1;
        if self.fruitless >= self.wait.strategy().looks_a_question {
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

    /// What is available still, or why nothing will be: while something is owed that is not known yet.
    fn remainder(&self) -> Result<u64, Unready> {
        match (self.end.available(), self.ended) {
            (0, Some(ended)) if self.end.is_closed() || !self.end.owes() => Err(ended),
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
            self.take_bells(seen.ending)?;
        }
        if seen.died && self.ended.is_none() {
            self.conclude(Unready::Disconnected).map(drop).or_else(not_yet)?;
        }
        Ok(seen)
    }

    fn take_bells(&mut self, ending: bool) -> Result<(), Unready> {
        self.doorbell.take(ending).map_err(|corrupt| self.give_up(corrupt))?;
        if self.doorbell.hung_up() && self.ended.is_none() {
            self.conclude(Unready::Disconnected).map(drop).or_else(not_yet)?;
        }
        Ok(())
    }

    /// Moves over `n` slots and tells the peer.
    #[inline(always)]
    pub(crate) fn publish(&mut self, n: u64) {
        if self.end.publish(n) {
            self.ring(S::BELL);
        }
    }

    /// Moves over `n` slots; the next look, or `pay`, tells the peer.
    #[inline(always)]
    pub(crate) fn withhold(&mut self, n: u64) {
        self.end.withhold(n);
    }

    /// Tells the peer about everything that it was not told, if there is anything.
    pub(crate) fn pay(&mut self) {
        if self.end.owes() && self.end.pay() {
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
            _ => self.end.owe(self.end.count()),
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

    /// Whether the peer is there, as far as can be known now.
    pub(crate) fn is_connected(&mut self) -> bool {
        let asked = self.check_guard().and_then(|()| self.ask(Some(Duration::ZERO), None));
        // Not by `ended`: a ring that was finished has its end before the peer is gone.
        asked.is_ok_and(|seen| !seen.died) && !self.doorbell.hung_up()
    }

    pub(crate) fn take_control(&mut self) -> Result<Option<ControlMessage>, Unready> {
        self.check_guard()?;
        self.take_bells(true)?;
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

impl<S: HalfSide> Drop for Half<S> {
    fn drop(&mut self) {
        // A forked child's copies end nothing: the connection is its parent's.
        if !self.is_forked() {
            self.doorbell.hang_up();
        }
    }
}
