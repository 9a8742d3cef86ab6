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

use crate::wait::{ready, uninterrupted};

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
    pub(crate) fn keep<T>(
        &self,
        socket: BorrowedFd<'_>,
        what: PollFlags,
        mut call: impl FnMut(MayWait) -> Result<T, Errno>,
    ) -> io::Result<T> {
        let Some(timeout) = self.get() else {
            return Ok(uninterrupted(|| call(MayWait::Yes))?);
        };
        let until = Instant::now().checked_add(timeout);
        loop {
            match uninterrupted(|| call(MayWait::No)) {
                // As with the kernel's own, a nonblocking socket waits for nothing.
                Err(Errno::AGAIN) if !fcntl_getfl(socket)?.contains(OFlags::NONBLOCK) => {
                    if !ready(socket, what, until)? {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, "the peer did not get to it in time"));
                    }
                }
                result => return Ok(result?),
            }
        }
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
        let result = limit.keep::<()>(one.as_fd(), PollFlags::IN, |_| {
            calls += 1;
            // A hang is a failure.
            assert!(start.elapsed() < 20 * TIME);
            Err(Errno::AGAIN)
        });
        assert_eq!(result.expect_err("nothing was read").kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= TIME && calls > 1);
    }
}
