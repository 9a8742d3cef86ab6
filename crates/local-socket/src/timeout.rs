//! How long one call on a stream may wait.

use std::{
    io,
    os::fd::BorrowedFd,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use rustix::{
    event::PollFlags,
    fs::{OFlags, fcntl_getfl},
    io::Errno,
};

use crate::wait::ready;

/// Nanoseconds, 0 for no limit.
///
/// The kernel's own, `SO_RCVTIMEO` and `SO_SNDTIMEO` in socket(7), begins anew after a signal, counts in ticks, and is shared with
/// every copy of the socket.
#[derive(Debug, Default)]
pub(crate) struct Limit(AtomicU64);

impl Limit {
    pub(crate) fn set(&self, timeout: Option<Duration>) -> io::Result<()> {
        let nanoseconds = match timeout {
            None => 0,
            Some(Duration::ZERO) => {
                let why = "a timeout cannot be zero: for calls that never wait there is set_nonblocking";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
            }
            Some(timeout) => timeout.as_nanos().try_into().unwrap_or(u64::MAX),
        };
        self.0.store(nanoseconds, Relaxed);
        Ok(())
    }

    fn get(&self) -> Option<Duration> {
        let nanoseconds = self.0.load(Relaxed);
        (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
    }

    /// Makes a call on `socket` until no signal interrupts it, and while there is a limit until that. The call is told whether it may
    /// wait itself.
    pub(crate) fn keep<T, E: Again>(
        &self,
        socket: BorrowedFd<'_>,
        what: PollFlags,
        mut call: impl FnMut(MayWait) -> Result<T, E>,
    ) -> Result<T, E::Told> {
        let Some(timeout) = self.get() else {
            return Ok(call(MayWait::Yes)?);
        };
        // As with the kernel's own, a nonblocking socket waits for nothing.
        match call(MayWait::No) {
            Err(error)
                if error.is_again() && !fcntl_getfl(socket).map_err(io::Error::from)?.contains(OFlags::NONBLOCK) =>
            {
                wait_for(socket, what, Instant::now().checked_add(timeout), || call(MayWait::No))
            }
            result => Ok(result?),
        }
    }
}

/// Makes a call that does not wait each time the socket is ready for it, until it is one that need not wait, or until a moment.
pub(crate) fn wait_for<T, E: Again>(
    socket: BorrowedFd<'_>,
    what: PollFlags,
    until: Option<Instant>,
    mut call: impl FnMut() -> Result<T, E>,
) -> Result<T, E::Told> {
    loop {
        if !ready(socket, what, until)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer did not get to it in time").into());
        }
        match call() {
            Err(error) if error.is_again() => {}
            result => return Ok(result?),
        }
    }
}

/// The error of a call that may say that it would have to wait.
pub(crate) trait Again {
    /// The error that the user is told.
    type Told: From<Self> + From<io::Error>
    where
        Self: Sized;

    fn is_again(&self) -> bool;
}

impl Again for Errno {
    type Told = io::Error;

    fn is_again(&self) -> bool {
        *self == Self::AGAIN
    }
}

impl Again for fdpass::Error {
    type Told = crate::Error;

    fn is_again(&self) -> bool {
        matches!(self, Self::WouldBlock)
    }
}

impl Clone for Limit {
    fn clone(&self) -> Self {
        Self(self.0.load(Relaxed).into())
    }
}

/// Whether a call may wait.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum MayWait {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::{fd::AsFd, unix::net::UnixStream},
    };

    use super::*;

    #[test]
    fn who_always_comes_too_late_for_what_others_take_ends_in_time() {
        const TIME: Duration = Duration::from_millis(50);
        let (one, mut other) = UnixStream::pair().expect("two descriptors");
        other.write_all(b"always there").expect("room");
        let limit = Limit::default();
        limit.set(Some(TIME)).expect("a good time");
        let start = Instant::now();
        let mut calls = 0;
        let result = limit.keep::<(), _>(one.as_fd(), PollFlags::IN, |_| {
            calls += 1;
            // A hang is a failure.
            assert!(start.elapsed() < 20 * TIME);
            Err(Errno::AGAIN)
        });
        assert_eq!(result.expect_err("nothing was read").kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= TIME && calls > 1);
    }
}
