//! The methods that an interface and its halves have in common, written once.

/// What a sender can do. `$producer` is the field that does it.
macro_rules! impl_xmit {
    ($owner:ident, $($producer:ident).+) => {
        impl<T: crate::Element> $owner<T> {
            /// Transmits one element, if there is room now. Never waits, and makes no system call while the peer is awake.
            ///
            /// `Ok` means that it is published, not that it was received, which [`flush`](Self::flush) waits for: when the peer is
            /// gone, as many as there is room for are still accepted.
            ///
            /// # Errors
            ///
            /// [`XmitError`](crate::XmitError) with the value: full, closed, disconnected, corrupt, or in a forked child.
            #[inline(always)]
            pub fn xmit(&mut self, value: T) -> Result<(), crate::XmitError<T>> {
                self.$($producer).+.push(value)
            }

            /// As [`xmit`](Self::xmit), for elements that are too large to move about.
            ///
            /// # Errors
            ///
            /// As [`xmit`](Self::xmit).
            #[inline(always)]
            pub fn xmit_ref(&mut self, value: &T) -> Result<(), crate::XmitError<()>> {
                self.$($producer).+.push_ref(value)
            }

            /// Transmits as many of `values` as there is room for now, in order, and returns how many. They arrive at once.
            ///
            /// # Errors
            ///
            /// As [`xmit`](Self::xmit); full means that there was room for none. No values at all are no error.
            #[inline]
            pub fn xmit_slice(&mut self, values: &[T]) -> Result<usize, crate::XmitError<()>> {
                self.$($producer).+.push_slice(values)
            }

            /// Transmits one element, waiting for room as long as it takes.
            ///
            /// # Errors
            ///
            /// As [`xmit`](Self::xmit), but never full.
            pub fn xmit_blocking(&mut self, value: T) -> Result<(), crate::XmitError<T>> {
                self.$($producer).+.push_blocking(value)
            }

            /// Transmits one element, waiting for room up to `timeout`.
            ///
            /// # Errors
            ///
            /// As [`xmit`](Self::xmit), and timed out instead of full.
            pub fn xmit_timeout(&mut self, value: T, timeout: std::time::Duration) -> Result<(), crate::XmitError<T>> {
                self.$($producer).+.push_timeout(value, timeout)
            }

            /// `n` slots to be filled in place: exactly `n`, or an error. Nothing is sent before
            /// [`commit`](crate::Reservation::commit).
            ///
            /// # Errors
            ///
            /// As [`xmit`](Self::xmit); too long for more than the ring holds.
            #[inline]
            pub fn reserve(&mut self, n: usize) -> Result<crate::Reservation<'_, T>, crate::XmitError<()>> {
                self.$($producer).+.reserve(n)
            }

            /// Says that no more will come. The peer receives what was transmitted before and then sees *finished*.
            /// Saying it twice is no error.
            ///
            /// # Errors
            ///
            /// Disconnected, corrupt, or in a forked child.
            pub fn finish(&mut self) -> Result<(), crate::XmitError<()>> {
                self.$($producer).+.finish()
            }

            /// Waits up to `timeout` until the peer has received everything. Also after [`finish`](Self::finish).
            ///
            /// # Errors
            ///
            /// Timed out, or the peer's end if it left before it had received everything.
            pub fn flush(&mut self, timeout: std::time::Duration) -> Result<(), crate::XmitError<()>> {
                self.$($producer).+.flush(timeout)
            }

            /// The position up to which everything has been transmitted: a free-running counter of elements.
            pub fn published(&self) -> u64 {
                self.$($producer).+.published()
            }

            /// The position up to which the peer has received everything, looked at now.
            pub fn acknowledged(&mut self) -> u64 {
                self.$($producer).+.acknowledged()
            }
        }
    };
}

/// What a receiver can do. `$consumer` is the field that does it.
macro_rules! impl_recv {
    ($owner:ident, $($consumer:ident).+) => {
        impl<T: crate::Element> $owner<T> {
            /// Receives one element, if there is one now. Never waits, and makes no system call while elements come.
            ///
            /// `None` says nothing about why: [`try_recv`](Self::try_recv) tells *empty* from an end.
            #[inline(always)]
            pub fn recv(&mut self) -> Option<T> {
                self.$($consumer).+.pop().ok()
            }

            /// Receives one element, if there is one now, or tells why there is none.
            ///
            /// # Errors
            ///
            /// [`RecvError`](crate::RecvError): empty, finished, disconnected, corrupt, or in a forked child. An end is reported
            /// behind everything that was transmitted before it.
            #[inline(always)]
            pub fn try_recv(&mut self) -> Result<T, crate::RecvError> {
                self.$($consumer).+.pop()
            }

            /// As [`try_recv`](Self::try_recv), for elements that are too large to move about. On an error `out` is as it was.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            #[inline(always)]
            pub fn recv_into(&mut self, out: &mut T) -> Result<(), crate::RecvError> {
                self.$($consumer).+.pop_into(out)
            }

            /// Receives all that is there now: at least one element and at most one ring.
            pub fn recv_vectored(&mut self) -> Option<Vec<T>> {
                let mut all = Vec::new();
                self.$($consumer).+.pop_all(&mut all).ok()?;
                Some(all)
            }

            /// Appends all that is there now to `out`, at most one ring, and returns how many elements that were: at least one.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            #[inline]
            pub fn recv_slice(&mut self, out: &mut Vec<T>) -> Result<usize, crate::RecvError> {
                self.$($consumer).+.pop_all(out)
            }

            /// Receives what is there now one by one, at most one ring. What is not taken from the iterator comes again.
            ///
            /// `for_each` makes room on the way, and is the fastest way to receive many elements of about a cache line; of smaller ones it is
            /// [`recv_slice`](Self::recv_slice) with the same vector again and again.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            #[inline]
            pub fn drain(&mut self) -> Result<crate::Drain<'_, T>, crate::RecvError> {
                self.$($consumer).+.drain()
            }

            /// Receives one element, waiting for it as long as it takes.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv), but never empty.
            pub fn recv_blocking(&mut self) -> Result<T, crate::RecvError> {
                self.$($consumer).+.pop_blocking()
            }

            /// Receives one element, waiting for it up to `timeout`.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv), and timed out instead of empty.
            pub fn recv_timeout(&mut self, timeout: std::time::Duration) -> Result<T, crate::RecvError> {
                self.$($consumer).+.pop_timeout(timeout)
            }

            /// Looks at what is there now without receiving it.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            pub fn peek(&mut self) -> Result<crate::Peek<'_, T>, crate::RecvError> {
                self.$($consumer).+.peek()
            }

            /// The peer's newest control message that came since the last call: where it was when it sent it.
            ///
            /// # Errors
            ///
            /// The connection's end, behind a message that came before it.
            pub fn recv_ctrl_msg(&mut self) -> Result<Option<crate::ControlMessage>, crate::RecvError> {
                self.$($consumer).+.recv_control()
            }
        }
    };
}

/// What a half shares with an event loop and with people. `$field` is the queue's half.
macro_rules! impl_half {
    ($owner:ident, $field:ident, $next:literal) => {
        impl<T> $owner<T> {
            #[doc = concat!("Asks the peer for a bell at the next ", $next, ", and looks once more.")]
            /// `true`: the caller may sleep until the descriptor ([`AsFd`](std::os::fd::AsFd)) is readable, then calls
            /// [`disarm`](Self::disarm) and tries again. `false`: try again now.
            ///
            /// Between this and the sleep no other operation of this half may come: it could take the bell that was asked for.
            pub fn arm(&mut self) -> bool {
                self.$field.arm()
            }

            /// Takes the bells from the socket.
            pub fn disarm(&mut self) {
                self.$field.disarm();
            }

            /// How many elements the ring holds.
            pub fn capacity(&self) -> usize {
                self.$field.capacity()
            }

            /// Whether the peer is there, as far as can be known now. One or two system calls.
            pub fn is_connected(&mut self) -> bool {
                self.$field.is_connected()
            }

            /// This side's name.
            pub fn name(&self) -> &str {
                self.$field.name()
            }

            /// The peer's name, as it says.
            pub fn peer_name(&self) -> &str {
                self.$field.peer_name()
            }

            /// Who was at the other end of the stream when it was connected, unix(7).
            pub fn peer_credentials(&self) -> crate::Credentials {
                self.$field.peer_credentials()
            }

            /// The process that did the handshake, where the kernel tells (Linux 6.5): readable when it is dead.
            pub fn peer_pidfd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
                self.$field.peer_pidfd()
            }

            /// Counters since the connection was made.
            pub fn stats(&self) -> crate::Stats {
                self.$field.stats()
            }
        }

        impl<T> std::os::fd::AsFd for $owner<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.$field.as_fd()
            }
        }

        impl<T> std::os::fd::AsRawFd for $owner<T> {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.$field.as_raw_fd()
            }
        }
    };
}

pub(crate) use {impl_half, impl_recv, impl_xmit};
