//! Connecting, without blocking the runtime where the backlog is full.

use std::{io, pin::pin, time::Duration};

use ::tokio::{
    net::UnixStream,
    time::{Instant, sleep},
};

use super::Stream;
use crate::{
    ConnectOptions, ConnectWaitMode,
    connect::{backlog_was_full, connect_now},
};

/// The first pause between two tries, and the longest.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(16);

impl ConnectOptions {
    /// Connects as [`connect_sync`](Self::connect_sync) does, and waits for room in the server's backlog without blocking the thread.
    ///
    /// Linux tells nobody when a Unix socket's backlog has room: a nonblocking connect(2) to a full one answers `EAGAIN`, nothing is
    /// under way then, and poll(2) has nothing to wait for. Only a thread that blocks in connect(2) is woken, and one that does cannot be
    /// called back: it would outlive a dropped future and hold up the end of the runtime. So this tries again, after 1 ms, 2 ms, 4 ms and
    /// so on, and at least every 16 ms. A try takes a few microseconds; room is found at most 16 ms late, and clients that try have no
    /// order among them. The last try is when the timeout has passed, never before. A server that goes away meanwhile refuses.
    ///
    /// Whether the stream is to be nonblocking makes no difference here.
    ///
    /// # Errors
    ///
    /// As [`connect_sync`](Self::connect_sync).
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O and time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if the future is dropped before it is ready, there is no connection and nothing under way.
    pub async fn connect_tokio(&self) -> io::Result<Stream> {
        self.try_until_connected().await.map_err(|error| self.name.in_error(error))
    }

    async fn try_until_connected(&self) -> io::Result<Stream> {
        // Made before it is needed: without a timer this ends at once, and not on the day when the backlog is full.
        let mut pause = pin!(sleep(SHORTEST));
        let until = match self.wait_mode {
            ConnectWaitMode::Timeout(timeout) => Instant::now().checked_add(timeout),
            ConnectWaitMode::Unbounded | ConnectWaitMode::Deferred => None,
        };
        let mut length = SHORTEST;
        loop {
            let now = Instant::now();
            match connect_now(&self.name) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                Err(error) if self.wait_mode == ConnectWaitMode::Deferred => return Err(error),
                Err(_) if until.is_some_and(|until| until <= now) => return Err(backlog_was_full()),
                Err(_) => {}
                Ok(socket) => return Ok(UnixStream::from_std(socket)?.into()),
            }
            let next = now + length;
            pause.as_mut().reset(until.map_or(next, |until| until.min(next)));
            pause.as_mut().await;
            length = (length * 2).min(LONGEST);
        }
    }
}

impl Stream {
    /// Connects to the server of this name and waits until it has room for one more client: [`ConnectOptions`] as they come.
    ///
    /// # Errors
    ///
    /// As [`ConnectOptions::connect_sync`].
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O and time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe, as [`ConnectOptions::connect_tokio`].
    pub async fn connect(name: crate::Name) -> io::Result<Self> {
        ConnectOptions::new(name).connect_tokio().await
    }
}
