//! How a half waits: in the blocking forms, and by an event loop of the caller's.

use std::{
    os::fd::BorrowedFd,
    time::{Duration, Instant},
};

use super::{Half, HalfSide, Unready};
use crate::{
    Wait,
    layout::Counter,
    strategy::Manner,
    wait::{self, Bursts, Waiter},
};

impl<S: HalfSide> Half<S> {
    /// Waits until `n` slots are available, or fewer when the peer has ended and they are the rest.
    pub(crate) fn wait_for(&mut self, n: usize, deadline: Option<Instant>) -> Result<u64, Unready> {
        self.wait_with(n, self.wait, deadline, None)
    }

    /// As `wait_for`, and ends when `stop` becomes readable. Spinning would not see that, so it is `Wait::Adaptive` then.
    pub(crate) fn wait_unless(&mut self, n: usize, stop: BorrowedFd<'_>) -> Result<u64, Unready> {
        let mut how = self.wait;
        if how.choice == Wait::Spin {
            how.choice = Wait::Adaptive;
        }
        self.wait_with(n, how, None, Some(stop))
    }

    fn wait_with(
        &mut self,
        n: usize,
        how: Manner,
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
        Ok(available >= self.n || (available > 0 && self.half.ended.is_some()))
    }

    fn rest(&mut self) -> Result<u32, Unready> {
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
