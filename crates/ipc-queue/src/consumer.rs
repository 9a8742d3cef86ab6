//! The receiving half.

use std::{
    os::{fd::BorrowedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use crate::{
    ControlMessage, Element, Error, Options, RecvError, Role,
    connection::Connection,
    element::assert_fits,
    frames::Direction,
    half::{Half, impl_accessors},
    meet::{Met, meet},
    peek::Peek,
    ring::Receiving,
    slots::PeerSlots,
};

/// Long runs are taken in pieces of so many bytes, and each is given back at once, so that the producer goes on meanwhile.
const BYTES_A_PIECE: usize = 16 << 10;

/// The receiving half of a ring: copies elements out of slots and gives the slots back. `Send`, and used from one thread at a time.
#[derive(Debug)]
pub struct Consumer<T> {
    pub(crate) half: Half<Receiving>,
    pub(crate) slots: PeerSlots<T>,
}

impl<T> Consumer<T> {
    /// Waits for a [`Producer`](crate::Producer) of the same element at the other end of `stream`, and opens a one-way queue from it.
    ///
    /// The producer chooses the capacity. `stream` must not have been used before and belongs to the queue from then on; it is
    /// made nonblocking.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Nothing is left behind.
    pub fn new(stream: UnixStream, options: &Options) -> Result<Self, Error>
    where
        T: Element,
    {
        const { assert_fits::<T>() };
        let met = meet::<T>(stream, Role::Server, Direction::Consume, options)?;
        let Met { connection, barrier, first, theirs, .. } = met;
        Ok(Self::from_parts(Half::new(
            connection.into(),
            first,
            barrier,
            options.wait,
            theirs.slot_count,
            theirs.start,
        )))
    }

    pub(crate) fn from_parts(half: Half<Receiving>) -> Self
    where
        T: Element,
    {
        let slots = PeerSlots::new(half.connection().peer(), half.capacity() as u64);
        Self { half, slots }
    }

    pub(crate) fn connection(&self) -> &Connection {
        self.half.connection()
    }
}

impl<T: Element> Consumer<T> {
    /// Takes one element, if there is one now.
    ///
    /// # Errors
    ///
    /// [`RecvError`]: empty, finished, disconnected, corrupt, or in a forked child. An end is reported behind everything that was
    /// published before it.
    #[inline(always)]
    pub fn pop(&mut self) -> Result<T, RecvError> {
        if let 0 = self.half.ready(1)? {
            return Err(RecvError::Empty);
        }
        Ok(self.take_one())
    }

    /// As [`pop`](Self::pop), for elements that are too large to move about. On an error `out` is as it was.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop).
    #[inline(always)]
    pub fn pop_into(&mut self, out: &mut T) -> Result<(), RecvError> {
        if let 0 = self.half.ready(1)? {
            return Err(RecvError::Empty);
        }
        self.slots.overwrite(self.half.position(), std::slice::from_mut(out));
        self.half.publish(1);
        Ok(())
    }

    /// Takes what is there now into the front of `out`, and returns how many elements that were: at most one ring.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop). No room in `out` is no error.
    #[inline]
    pub fn pop_slice(&mut self, out: &mut [T]) -> Result<usize, RecvError> {
        let n = self.ready_nonempty(out.len())?.min(out.len());
        for piece in out[..n].chunks_mut(Self::PIECE) {
            self.slots.overwrite(self.half.position(), piece);
            self.give_back(piece.len());
        }
        Ok(n)
    }

    /// Takes what is there now to the end of `out`, and returns how many elements that were: at most one ring.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop).
    #[inline]
    pub fn pop_all(&mut self, out: &mut Vec<T>) -> Result<usize, RecvError> {
        let n = self.ready_nonempty(self.capacity())?;
        out.reserve(n);
        let mut left = n;
        while left > 0 {
            let piece = left.min(const { Self::PIECE });
            self.slots.append(self.half.position(), piece, out);
            self.give_back(piece);
            left -= piece;
        }
        Ok(n)
    }

    /// Takes what is there now, element by element: at most one ring. The slots are given back when the iterator is dropped;
    /// by those of its methods that go through it to the end, such as `for_each`, on the way.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop).
    pub fn drain(&mut self) -> Result<Drain<'_, T>, RecvError> {
        let left = self.ready_nonempty(self.capacity())?;
        Ok(Drain { consumer: self, left })
    }

    /// Takes one element, waiting for it as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop), but never empty.
    pub fn pop_blocking(&mut self) -> Result<T, RecvError> {
        self.half.wait_for(1, None)?;
        Ok(self.take_one())
    }

    /// Takes one element, waiting for it up to `timeout`.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop), with [`RecvError::TimedOut`] instead of empty.
    pub fn pop_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.half.wait_for(1, Instant::now().checked_add(timeout))?;
        Ok(self.take_one())
    }

    /// Waits until there are `n` elements, up to `timeout`, and returns how many it knows of: `n` or more, and fewer when the peer
    /// has ended and they are the last.
    ///
    /// # Errors
    ///
    /// As [`pop_timeout`](Self::pop_timeout); [`RecvError::TooLong`] for more than the ring holds.
    pub fn wait_for(&mut self, n: usize, timeout: Duration) -> Result<usize, RecvError> {
        Ok(self.half.wait_for(n, Instant::now().checked_add(timeout))? as usize)
    }

    /// Waits until there is an element, or until `stop` is readable (an eventfd, for instance), and returns how many it knows of. A
    /// connection set to [`Wait::Spin`](crate::Wait::Spin) waits adaptively here.
    ///
    /// # Errors
    ///
    /// As [`pop_blocking`](Self::pop_blocking), and [`RecvError::Stopped`], also where a sandbox keeps this process from watching `stop`.
    pub fn wait_unless(&mut self, stop: BorrowedFd<'_>) -> Result<usize, RecvError> {
        Ok(self.half.wait_unless(1, stop)? as usize)
    }

    /// What is there now, without taking it and without pausing.
    ///
    /// # Errors
    ///
    /// As [`pop`](Self::pop).
    pub fn peek(&mut self) -> Result<Peek<'_, T>, RecvError> {
        match self.half.look(1)? {
            0 => {
                self.half.count_fruitless()?;
                Err(RecvError::Empty)
            }
            n => Ok(Peek { consumer: self, n: n as usize }),
        }
    }

    /// The newest control message of the peer that came since the last call.
    ///
    /// # Errors
    ///
    /// The connection's end, behind a message that came before it.
    pub fn recv_control(&mut self) -> Result<Option<ControlMessage>, RecvError> {
        Ok(self.half.take_control()?)
    }

    /// How many elements there are now, at least one; where that is no fewer than `wanted`, perhaps more.
    #[inline]
    fn ready_nonempty(&mut self, wanted: usize) -> Result<usize, RecvError> {
        match self.half.ready(wanted.max(1) as u64)? {
            0 => Err(RecvError::Empty),
            n => Ok(n as usize),
        }
    }

    #[inline(always)]
    fn take_one(&mut self) -> T {
        let value = self.slots.take(self.half.position());
        self.half.publish(1);
        value
    }

    /// Elements of a piece.
    const PIECE: usize = if size_of::<T>() < BYTES_A_PIECE { BYTES_A_PIECE / size_of::<T>() } else { 1 };

    /// Gives a piece of a run back. The bell for the piece before it may be owed still.
    #[inline(always)]
    fn give_back(&mut self, piece: usize) {
        self.half.withhold(piece as u64);
        self.half.pay();
    }
}

impl<T> Consumer<T> {
    /// Asks the peer for a bell at the next element, and looks once more. `true`: the caller may sleep until the socket ([`AsFd`](std::os::fd::AsFd))
    /// is readable, then calls [`disarm`](Self::disarm), then takes what is there. `false`: there is something now.
    ///
    /// Between this and the sleep no other operation of this half may come: it could take the bell that was asked for.
    pub fn arm(&mut self) -> bool {
        self.half.arm()
    }

    /// The position up to which everything has been taken: a free-running counter of elements.
    pub fn position(&self) -> u64 {
        self.half.positions().1
    }
}

impl_accessors!(Consumer);

/// The elements that were there when `drain` looked. What is not taken from it stays in the ring. It ends early when the
/// other half finds that the peer broke the format, and in a forked child.
#[derive(Debug)]
pub struct Drain<'a, T: Element> {
    consumer: &'a mut Consumer<T>,
    left: usize,
}

impl<T: Element> Iterator for Drain<'_, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        if !self.consumer.half.is_whole() {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let value = self.consumer.slots.take(self.consumer.half.position());
        self.consumer.half.withhold(1);
        Some(value)
    }

    /// As `next` again and again, at a fraction of the cost: this is behind `for_each`, `sum` and their like.
    #[inline]
    fn fold<B, F: FnMut(B, T) -> B>(mut self, first: B, mut fold: F) -> B {
        let mut result = first;
        while self.left > 0 {
            let n = self.left.min(Consumer::<T>::PIECE);
            let mut taking = Taking { half: &mut self.consumer.half, taken: 0 };
            let position = taking.half.position();
            while taking.taken < n as u64 && taking.half.is_whole() {
                let value = self.consumer.slots.take(position.wrapping_add(taking.taken));
                taking.taken += 1;
                result = fold(result, value);
            }
            self.left -= n;
        }
        result
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        // None, should the other half find the peer to be corrupt meanwhile.
        (0, Some(self.left))
    }
}

impl<T: Element> Drop for Drain<'_, T> {
    fn drop(&mut self) {
        // Forgetting the iterator loses nothing either: the next look publishes what it took.
        if self.consumer.half.is_whole() {
            self.consumer.half.pay();
        }
    }
}

/// A piece of a drained run. What was taken of it is given back also when the caller's code panics.
struct Taking<'a> {
    half: &'a mut Half<Receiving>,
    taken: u64,
}

impl Drop for Taking<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        // Also where the other half has found meanwhile that the peer broke the format: `position` counts them.
        self.half.withhold(self.taken);
        if self.half.is_whole() {
            self.half.pay();
        }
    }
}
