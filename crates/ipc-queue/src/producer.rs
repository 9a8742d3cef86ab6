//! The sending half.

use std::{
    os::{fd::BorrowedFd, unix::net::UnixStream},
    time::{Duration, Instant},
};

use crate::{
    Element, Error, Options, Reservation, Role, XmitError, XmitErrorKind,
    element::assert_fits,
    frames::Direction,
    half::{Half, impl_accessors, nothing_sent},
    meet::{Met, meet},
    ring::Sending,
    slots::OwnSlots,
};

/// The sending half of a ring: fills slots and publishes them. `Send`, and used from one thread at a time.
///
/// Dropping it says nothing to the peer but that this side is gone: the peer takes what was published and then sees
/// [`RecvError::Disconnected`](crate::RecvError::Disconnected). [`finish`](Self::finish) says more.
#[derive(Debug)]
pub struct Producer<T> {
    pub(crate) half: Half<Sending>,
    pub(crate) slots: OwnSlots<T>,
}

impl<T> Producer<T> {
    /// Waits for a [`Consumer`](crate::Consumer) of the same element at the other end of `stream`, and opens a one-way queue to it.
    ///
    /// The producer speaks first. `stream` must not have been used before and belongs to the queue from then on; it is made nonblocking.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Nothing is left behind.
    pub fn new(stream: UnixStream, options: &Options) -> Result<Self, Error>
    where
        T: Element,
    {
        const { assert_fits::<T>() };
        let met = meet::<T>(stream, Role::Client, Direction::Produce, options)?;
        let Met { connection, barrier, first, ours, .. } = met;
        Ok(Self::from_parts(Half::new(connection.into(), first, barrier, options.wait, ours.slot_count, ours.start)))
    }

    pub(crate) fn from_parts(half: Half<Sending>) -> Self
    where
        T: Element,
    {
        let slots = OwnSlots::new(half.connection().own(), half.capacity() as u64);
        Self { half, slots }
    }
}

impl<T: Element> Producer<T> {
    /// Sends one element, if there is room now.
    ///
    /// # Errors
    ///
    /// [`XmitError`] with the value: full, closed, disconnected, corrupt, or in a forked child.
    #[inline(always)]
    pub fn push(&mut self, value: T) -> Result<(), XmitError<T>> {
        match self.push_ref(&value) {
            Ok(()) => Ok(()),
            Err(error) => Err(XmitError { kind: error.kind, value }),
        }
    }

    /// As [`push`](Self::push), for elements that are too large to move about.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    #[inline(always)]
    pub fn push_ref(&mut self, value: &T) -> Result<(), XmitError<()>> {
        if let 0 = self.half.ready(1).map_err(nothing_sent)? {
            return self.full();
        }
        self.fill_and_publish(value);
        Ok(())
    }

    /// Sends as many of `values` as there is room for now, in order, and returns how many. They are published at once.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), with [`XmitErrorKind::Full`] when there is room for none. No values at all are no error.
    #[inline]
    pub fn push_slice(&mut self, values: &[T]) -> Result<usize, XmitError<()>> {
        let room = self.half.ready(values.len().max(1) as u64).map_err(nothing_sent)?;
        // An `n` below the room and a length fits both.
        let n = values.len().min(room as usize);
        if n == 0 {
            return if values.is_empty() { Ok(0) } else { self.full().map(|()| 0) };
        }
        self.slots.fill_run(self.half.position(), &values[..n]);
        self.half.publish(n as u64);
        Ok(n)
    }

    /// Sends one element, waiting for room as long as it takes.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), but never full.
    pub fn push_blocking(&mut self, value: T) -> Result<(), XmitError<T>> {
        self.push_until(value, None)
    }

    /// Sends one element, waiting for room up to `timeout`.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), with [`XmitErrorKind::TimedOut`] instead of full.
    pub fn push_timeout(&mut self, value: T, timeout: Duration) -> Result<(), XmitError<T>> {
        self.push_until(value, Instant::now().checked_add(timeout))
    }

    fn push_until(&mut self, value: T, deadline: Option<Instant>) -> Result<(), XmitError<T>> {
        match self.half.wait_for(1, deadline) {
            Ok(_) => {
                self.fill_and_publish(&value);
                Ok(())
            }
            Err(unready) => Err(XmitError { kind: unready.into(), value }),
        }
    }

    /// `n` slots to be filled in place. Exactly `n`: fewer are an error, and nothing is sent before
    /// [`commit`](Reservation::commit).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push); [`XmitErrorKind::TooLong`] for more than the ring holds.
    #[inline]
    pub fn reserve(&mut self, n: usize) -> Result<Reservation<'_, T>, XmitError<()>> {
        let capacity = self.capacity();
        if n > capacity {
            return Err(XmitError { kind: XmitErrorKind::TooLong { asked: n, capacity }, value: () });
        }
        let room = self.half.ready_for_all(n.max(1) as u64).map_err(nothing_sent)?;
        if room < n as u64 {
            self.full()?;
        }
        Ok(Reservation { producer: self, n })
    }

    /// Waits until there is room for `n` elements, up to `timeout`, and returns for how many it knows of: `n` or more.
    ///
    /// # Errors
    ///
    /// As [`push_timeout`](Self::push_timeout); [`XmitErrorKind::TooLong`] for more than the ring holds.
    pub fn wait_for(&mut self, n: usize, timeout: Duration) -> Result<usize, XmitError<()>> {
        let room = self.half.wait_for(n, Instant::now().checked_add(timeout)).map_err(nothing_sent)?;
        Ok(room as usize)
    }

    /// Waits until there is room, or until `stop` is readable (an eventfd, for instance), and returns for how many elements it knows of. A
    /// connection set to [`Wait::Spin`](crate::Wait::Spin) waits adaptively here.
    ///
    /// # Errors
    ///
    /// As [`push_blocking`](Self::push_blocking), and [`XmitErrorKind::Stopped`], also where a sandbox keeps this process from watching `stop`.
    pub fn wait_unless(&mut self, stop: BorrowedFd<'_>) -> Result<usize, XmitError<()>> {
        let room = self.half.wait_unless(1, stop).map_err(nothing_sent)?;
        Ok(room as usize)
    }

    /// Waits until the peer has taken everything, up to `timeout`. Also after [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// [`XmitErrorKind::TimedOut`], or the peer's end if it left before it had taken everything.
    pub fn flush(&mut self, timeout: Duration) -> Result<(), XmitError<()>> {
        self.half.flush(Instant::now().checked_add(timeout)).map_err(nothing_sent)
    }

    /// Says that no more will come. The peer takes what was published and then sees
    /// [`RecvError::Finished`](crate::RecvError::Finished). Saying it twice is no error.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push), but never full or closed.
    pub fn finish(&mut self) -> Result<(), XmitError<()>> {
        self.half.finish().map_err(nothing_sent)
    }

    /// Sends a control message with this side's positions.
    ///
    /// # Errors
    ///
    /// [`XmitErrorKind::Full`] while the peer reads none of them; otherwise as [`push`](Self::push).
    pub fn send_control(&mut self) -> Result<(), XmitError<()>> {
        self.half.send_control().map_err(|kind| XmitError { kind, value: () })
    }

    #[inline(always)]
    fn fill_and_publish(&mut self, value: &T) {
        self.slots.fill(self.half.position(), value);
        self.half.publish(1);
        if OwnSlots::<T>::PREFETCHES && self.half.has_available() {
            self.slots.prefetch(self.half.position());
        }
    }

    #[cold]
    fn full(&self) -> Result<(), XmitError<()>> {
        self.half.count_full();
        Err(XmitError { kind: XmitErrorKind::Full, value: () })
    }
}

impl<T> Producer<T> {
    /// Asks the peer for a bell when there is room again, and looks once more. `true`: the caller may sleep until the socket
    /// ([`AsFd`](std::os::fd::AsFd)) is readable, then calls [`disarm`](Self::disarm), then tries again. `false`: try again now.
    ///
    /// Between this and the sleep no other operation of this half may come: it could take the bell that was asked for.
    pub fn arm(&mut self) -> bool {
        self.half.arm()
    }

    /// The position up to which everything is published: a free-running counter of elements.
    pub fn published(&self) -> u64 {
        self.half.positions().0
    }

    /// The position up to which the peer has taken everything, looked at now.
    pub fn acknowledged(&mut self) -> u64 {
        self.half.acknowledged()
    }

    /// Whether the other half belongs to the same connection.
    pub fn is_other_half_of(&self, consumer: &crate::Consumer<T>) -> bool {
        std::ptr::eq(&**self.half.connection(), consumer.connection())
    }
}

impl_accessors!(Producer);
