//! Getting the first channel to a child, for tokio.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use ::tokio::{io::Interest, sync::Mutex, time::timeout};
use serde::Serialize;

use super::{RawSender, Sender, registered::Registered};
use crate::{
    Error, SendError,
    bootstrap::{State, TIMEOUT},
    meeting_point::{MeetingPoint, Place, accept_own},
};

/// A private meeting point at which one child process gets values, as [`crate::Bootstrapper`] is one.
#[derive(Debug)]
pub struct Bootstrapper<T> {
    path: PathBuf,
    timeout: Duration,
    state: Mutex<State<(Registered, Place), Sender<T>>>,
}

impl<T> Bootstrapper<T> {
    /// At a path of its own: see [`crate::Bootstrapper::new`].
    ///
    /// # Errors
    ///
    /// See mkdir(2), bind(2) and epoll_ctl(2); outside of a runtime.
    pub fn new() -> io::Result<Self> {
        Self::at(MeetingPoint::new()?)
    }

    /// At this path: see [`crate::Bootstrapper::bind`].
    ///
    /// # Errors
    ///
    /// `AddrInUse` where something lies; see bind(2) and epoll_ctl(2); outside of a runtime.
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::at(MeetingPoint::bind(path.as_ref())?)
    }

    fn at(point: MeetingPoint) -> io::Result<Self> {
        let path = point.path().to_owned();
        let MeetingPoint { socket, place } = point;
        Ok(Self { path, timeout: TIMEOUT, state: State::Waiting((Registered::new(socket)?, place)).into() })
    }

    /// Where the child is to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long [`send`](Self::send) waits for the child to connect: 30 seconds, if this is not called.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl<T: Serialize> Bootstrapper<T> {
    /// Sends a value to the child, and waits for the child first, if it has not connected yet.
    ///
    /// # Errors
    ///
    /// As [`crate::Bootstrapper::send`].
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready has sent nothing, and drops the value.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.sender().await {
            Ok(sender) => sender.send(value).await,
            Err(error) => Err(SendError { error, value }),
        }
    }

    /// The channel to the child, once there is one. One task waits for the child, and the others for that task: who came to the socket
    /// past a task that sleeps there would take its event from it.
    async fn sender(&self) -> Result<Sender<T>, Error> {
        let met = async {
            let mut state = self.state.lock().await;
            let sender = match &*state {
                State::Met(sender) => return Ok(sender.clone()),
                State::Waiting((socket, _)) => {
                    let child = socket.when(Interest::READABLE, || accept_own(socket)).await?;
                    Sender::from(RawSender::try_from(child)?)
                }
            };
            *state = State::Met(Sender::clone(&sender));
            Ok(sender)
        };
        timeout(self.timeout, met).await.unwrap_or(Err(Error::TimedOut))
    }
}
