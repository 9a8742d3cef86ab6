//! A stream in two halves, and in one piece again.

use std::{
    fmt, io,
    net::Shutdown,
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
    time::Duration,
};

use crate::Stream;

/// The half of a [`Stream`] that reads: see [`Stream::split`].
#[derive(Debug)]
pub struct RecvHalf<S = Stream>(Arc<S>);

/// The half of a [`Stream`] that writes: see [`Stream::split`].
#[derive(Debug)]
pub struct SendHalf<S = Stream>(Arc<S>);

/// Two halves of different streams, as they were.
#[derive(Debug)]
pub struct ReuniteError<R = RecvHalf, S = SendHalf> {
    /// The receive half.
    pub rh: R,
    /// The send half.
    pub sh: S,
}

pub(crate) fn split<S>(stream: S) -> (RecvHalf<S>, SendHalf<S>) {
    let stream = Arc::new(stream);
    (RecvHalf(Arc::clone(&stream)), SendHalf(stream))
}

pub(crate) fn reunite<S>(rh: RecvHalf<S>, sh: SendHalf<S>) -> Result<S, ReuniteError<RecvHalf<S>, SendHalf<S>>> {
    if !Arc::ptr_eq(&rh.0, &sh.0) {
        return Err(ReuniteError { rh, sh });
    }
    drop(rh);
    // There were the two of them.
    Ok(Arc::into_inner(sh.0).expect("the last half"))
}

impl RecvHalf {
    /// The stream's [`set_recv_timeout`](Stream::set_recv_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_recv_timeout(timeout)
    }
}

impl SendHalf {
    /// The stream's [`set_send_timeout`](Stream::set_send_timeout).
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_send_timeout(timeout)
    }

    /// Says "no more": the peer reads what was written and then the end. The other half goes on reading.
    ///
    /// # Errors
    ///
    /// See shutdown(2).
    pub fn shutdown(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }
}

impl<S> RecvHalf<S> {
    pub(crate) fn stream(&self) -> &S {
        &self.0
    }
}

impl<S> SendHalf<S> {
    pub(crate) fn stream(&self) -> &S {
        &self.0
    }
}

impl<S: AsFd> AsFd for RecvHalf<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<S: AsFd> AsFd for SendHalf<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<R, S> fmt::Display for ReuniteError<R, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the two halves belong to different streams")
    }
}

impl<R: fmt::Debug, S: fmt::Debug> std::error::Error for ReuniteError<R, S> {}
