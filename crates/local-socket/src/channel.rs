//! Channels for values of one type.

use std::{
    fmt, io,
    marker::PhantomData,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use fdpass::Credentials;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, RawReceiver, RawSender,
    attached::beside,
    incoming::Payload,
    raw_channel,
    raw_channel::Wait,
    scratch,
    transfer::{Packed, deserialize},
};

/// A one-way channel for values of one type between processes.
///
/// A value may have [`Handle`](crate::Handle)s in it, and senders and receivers of other channels: up to [`fdpass::MAX_FDS`] descriptors.
///
/// It goes in the format of the crate `postcard`, which does not say what comes next. So serde's `skip_serializing_if` must not be used:
/// **the fields behind a skipped one are read in its place**. `untagged`, `tag`, `flatten` and types such as `serde_json::Value` are
/// errors, of the sender or the receiver.
///
/// ```
/// use local_socket::{Sender, channel};
///
/// let (sender, receiver) = channel::<(Vec<i64>, Sender<i64>)>()?;
/// let (answers, answer) = channel()?;
/// sender.send((vec![23, 42], answers))?;
///
/// // In another process, say.
/// let (numbers, answers) = receiver.recv()?;
/// answers.send(numbers.iter().sum())?;
///
/// assert_eq!(answer.recv()?, 65);
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// See socketpair(2).
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (sender, receiver) = raw_channel()?;
    Ok((sender.into(), receiver.into()))
}

/// Both ends of two channels: one side sends `S` and receives `R`, the other the other way round.
///
/// # Errors
///
/// See socketpair(2).
#[expect(clippy::type_complexity, reason = "two sides, two directions")]
pub fn duplex<S, R>() -> io::Result<((Sender<S>, Receiver<R>), (Sender<R>, Receiver<S>))> {
    let (there, from_here) = channel()?;
    let (here, from_there) = channel()?;
    Ok(((there, from_there), (here, from_here)))
}

/// The end of a [`channel`] that sends.
///
/// Clones send into the same channel, from other threads or, sent themselves, from other processes: values do not mix. The receiver finds the
/// end when all of them are dropped.
pub struct Sender<T, S = RawSender> {
    pub(crate) raw: S,
    values: PhantomData<fn(T)>,
}

/// The end of a [`channel`] that receives.
///
/// Several threads may receive at once; each value is received by one of them. When it is dropped, senders are told [`Error::Closed`].
pub struct Receiver<T, R = RawReceiver> {
    pub(crate) raw: R,
    values: PhantomData<fn() -> T>,
}

/// A value that could not be sent, whole, and why.
pub struct SendError<T> {
    /// Why.
    pub error: Error,
    /// The value, with its descriptors open.
    pub value: T,
}

impl<T, S> Sender<T, S> {
    pub(crate) fn of(raw: S) -> Self {
        Self { raw, values: PhantomData }
    }

    /// The channel without its type.
    pub fn into_raw_sender(self) -> S {
        self.raw
    }
}

impl<T, R> Receiver<T, R> {
    pub(crate) fn of(raw: R) -> Self {
        Self { raw, values: PhantomData }
    }

    /// The channel without its type.
    pub fn into_raw_receiver(self) -> R {
        self.raw
    }
}

impl<T, R: AsFd> Receiver<T, R> {
    /// Has each value bring the credentials of its sender: see [`RawReceiver::set_pass_credentials`].
    ///
    /// # Errors
    ///
    /// See setsockopt(2).
    pub fn set_pass_credentials(&self, on: bool) -> io::Result<()> {
        Ok(fdpass::set_pass_credentials(&self.raw, on)?)
    }
}

impl<T: Serialize> Sender<T> {
    /// Sends a value, and waits for room. Its descriptors are closed here when it has gone.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], otherwise as [`RawSender::send`]; with the value.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        self.send_waiting(Wait::FOREVER, value)
    }

    /// The same, and waits for so long at most; not at all with [`Duration::ZERO`].
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], otherwise as [`send`](Self::send).
    pub fn send_timeout(&self, value: T, timeout: Duration) -> Result<(), SendError<T>> {
        self.send_waiting(Wait::for_at_most(timeout), value)
    }

    pub(crate) fn send_waiting(&self, wait: Wait, value: T) -> Result<(), SendError<T>> {
        let sent = Packed::new(&value, scratch::take()).and_then(|packed| {
            let sent = self.raw.send_waiting(wait, &packed.bytes, &packed.fds());
            scratch::give_back(packed.bytes);
            sent
        });
        sent.map_err(|error| SendError { error, value })
    }
}

impl<T> Receiver<T> {
    /// Connects to a [`Bootstrapper`](crate::Bootstrapper), by the path that it gave to this process.
    ///
    /// # Errors
    ///
    /// `NotFound` or `ConnectionRefused` where nobody waits; see connect(2).
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(RawReceiver::connect(path)?.into())
    }

    /// The most bytes that a value may take, 64 MiB if this is not called: see [`RawReceiver::set_limit`]. In memory a value can be as many
    /// times larger as its elements are in memory than in `postcard`.
    pub fn set_limit(&self, bytes: usize) {
        self.raw.set_limit(bytes);
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// Waits for a value.
    ///
    /// # Errors
    ///
    /// [`Error::Decode`] as [`deserialize`], otherwise as [`RawReceiver::recv`].
    pub fn recv(&self) -> Result<T, Error> {
        self.raw.recv_waiting(Wait::FOREVER, value)
    }

    /// The same, and does not wait.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], otherwise as [`recv`](Self::recv).
    pub fn try_recv(&self) -> Result<T, Error> {
        self.raw.recv_waiting(Wait::Never, value)
    }

    /// The same, and waits for so long at most.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`], otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, Error> {
        self.raw.recv_waiting(Wait::for_at_most(timeout), value)
    }

    /// Waits for a value, and says who sent it: see [`RawReceiver::recv_with_credentials`].
    ///
    /// # Errors
    ///
    /// [`Error::NoCredentials`], otherwise as [`recv`](Self::recv).
    pub fn recv_with_credentials(&self) -> Result<(T, Credentials), Error> {
        self.raw.recv_waiting(Wait::FOREVER, value_and_sender)
    }
}

/// The value of a message.
pub(crate) fn value<T: DeserializeOwned>(
    bytes: Payload<'_>,
    fds: Vec<OwnedFd>,
    _: Option<Credentials>,
) -> Result<T, Error> {
    deserialize(&bytes, fds)
}

pub(crate) fn value_and_sender<T: DeserializeOwned>(
    bytes: Payload<'_>,
    fds: Vec<OwnedFd>,
    sender: Option<Credentials>,
) -> Result<(T, Credentials), Error> {
    let (sender, fds) = beside(sender.ok_or(Error::NoCredentials), fds)?;
    Ok((deserialize(&bytes, fds)?, sender))
}

impl<T, S: Clone> Clone for Sender<T, S> {
    fn clone(&self) -> Self {
        Self::of(self.raw.clone())
    }
}

impl<T> From<RawSender> for Sender<T> {
    fn from(raw: RawSender) -> Self {
        Self::of(raw)
    }
}

impl<T> From<RawReceiver> for Receiver<T> {
    fn from(raw: RawReceiver) -> Self {
        Self::of(raw)
    }
}

impl<T, S: AsFd> AsFd for Sender<T, S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

impl<T, R: AsFd> AsFd for Receiver<T, R> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.raw.as_fd()
    }
}

impl<T, S: fmt::Debug> fmt::Debug for Sender<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Sender").field(&self.raw).finish()
    }
}

impl<T, R: fmt::Debug> fmt::Debug for Receiver<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receiver").field(&self.raw).finish()
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

impl<T> From<SendError<T>> for Error {
    fn from(error: SendError<T>) -> Self {
        error.error
    }
}

impl<T> From<SendError<T>> for io::Error {
    fn from(error: SendError<T>) -> Self {
        error.error.into()
    }
}
