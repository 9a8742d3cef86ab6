//! Getting the first channel to a child.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use rustix::event::PollFlags;
use serde::Serialize;

use crate::{
    Error, RawSender, SendError, Sender,
    meeting_point::{MeetingPoint, accept_own},
    raw_channel::Wait,
};

/// A private meeting point at which one child process gets values, and with them whatever channels it is to use.
///
/// The path goes to the child in an environment variable, say, and the child connects to it by [`Receiver::connect`](crate::Receiver::connect). The
/// first [`send`](Self::send) waits for that. Then the path is gone, and every value goes to the same child.
///
/// The path lies in a directory of its own that only this user may enter (mode 0700), and only a process of this user is let in.
/// Both are removed when the child has connected, and when the bootstrapper is dropped. If this process ends before that without dropping
/// it, by a signal for example, they stay.
///
/// ```
/// use local_socket::{Bootstrapper, Receiver};
///
/// let bootstrapper = Bootstrapper::new()?;
/// # let path = bootstrapper.path().to_owned();
/// # let child = std::thread::spawn(move || Receiver::<String>::connect(path)?.recv());
/// // A child is started here, and gets `bootstrapper.path()`.
/// bootstrapper.send("to work".to_string())?;
/// # assert_eq!(child.join().expect("no panic")?, "to work");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Bootstrapper<T> {
    path: PathBuf,
    timeout: Duration,
    state: Mutex<State<MeetingPoint, Sender<T>>>,
}

/// Where the child is waited for, and then the channel to it.
#[derive(Debug)]
pub(crate) enum State<P, S> {
    Waiting(P),
    Met(S),
}

/// How long the first value waits for the child, if nobody has said otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

impl<T> Bootstrapper<T> {
    /// At a path of its own, in a new directory in the user's runtime directory, or else where temporary files are.
    ///
    /// # Errors
    ///
    /// See mkdir(2) and bind(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self::at(MeetingPoint::new()?))
    }

    /// At this path, at which nothing may lie. Who may enter its directory may connect, if it is a process of this user.
    ///
    /// # Errors
    ///
    /// `AddrInUse` where something lies; see bind(2).
    pub fn bind(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(Self::at(MeetingPoint::bind(path.as_ref())?))
    }

    fn at(point: MeetingPoint) -> Self {
        Self { path: point.path().to_owned(), timeout: TIMEOUT, state: Mutex::new(State::Waiting(point)) }
    }

    /// Where the child is to connect.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How long [`send`](Self::send) waits for the child to connect: 30 seconds, if this is not called. A child that ends before it has connected
    /// is not noticed.
    ///
    /// From then on `send` waits for room as [`Sender::send`] does. Who wants that bounded sends one end of a channel first, and uses
    /// [`Sender::send_timeout`] on the other.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl<T: Serialize> Bootstrapper<T> {
    /// Sends a value to the child, and waits for the child first, if it has not connected yet.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] when no child has connected in time: the next call waits for it again. Otherwise as [`Sender::send`].
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.sender() {
            Ok(sender) => sender.send(value),
            Err(error) => Err(SendError { error, value }),
        }
    }

    /// The channel to the child, once there is one.
    fn sender(&self) -> Result<Sender<T>, Error> {
        let wait = Wait::for_at_most(self.timeout);
        // Nothing panics with the lock held.
        let mut state = self.state.lock().expect("no panic");
        let sender = match &*state {
            State::Met(sender) => sender.clone(),
            State::Waiting(point) => {
                let child = wait.for_call(&point.socket, PollFlags::IN, |_| accept_own(&point.socket))?;
                RawSender::try_from(child)?.into()
            }
        };
        *state = State::Met(Sender::clone(&sender));
        Ok(sender)
    }
}
