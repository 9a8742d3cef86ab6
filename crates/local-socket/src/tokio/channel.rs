//! Channels for values of one type, for tokio.

use std::{io, path::Path};

use fdpass::Credentials;
use serde::{Serialize, de::DeserializeOwned};

use super::{RawReceiver, RawSender, raw_channel};
use crate::{
    Error, SendError,
    channel::{value, value_and_sender},
    scratch,
    transfer::Packed,
};

/// A one-way channel for values of one type, as [`crate::channel`] makes one.
///
/// # Errors
///
/// See socketpair(2) and epoll_ctl(2).
pub fn channel<T>() -> io::Result<(Sender<T>, Receiver<T>)> {
    let (sender, receiver) = raw_channel()?;
    Ok((sender.into(), receiver.into()))
}

/// Both ends of two channels, as [`crate::duplex`] makes them.
///
/// # Errors
///
/// See socketpair(2) and epoll_ctl(2).
#[expect(clippy::type_complexity, reason = "two sides, two directions")]
pub fn duplex<S, R>() -> io::Result<((Sender<S>, Receiver<R>), (Sender<R>, Receiver<S>))> {
    let (there, from_here) = channel()?;
    let (here, from_there) = channel()?;
    Ok(((there, from_there), (here, from_here)))
}

/// The end of a [`channel`] that sends.
pub type Sender<T> = crate::Sender<T, RawSender>;

/// The end of a [`channel`] that receives.
pub type Receiver<T> = crate::Receiver<T, RawReceiver>;

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

impl<T> TryFrom<crate::Sender<T>> for Sender<T> {
    type Error = io::Error;

    /// # Errors
    ///
    /// As [`RawSender`]'s.
    fn try_from(sender: crate::Sender<T>) -> io::Result<Self> {
        Ok(RawSender::try_from(sender.into_raw_sender())?.into())
    }
}

impl<T> TryFrom<crate::Receiver<T>> for Receiver<T> {
    type Error = io::Error;

    /// # Errors
    ///
    /// As [`RawReceiver`]'s.
    fn try_from(receiver: crate::Receiver<T>) -> io::Result<Self> {
        Ok(RawReceiver::try_from(receiver.into_raw_receiver())?.into())
    }
}

impl<T: Serialize> Sender<T> {
    /// Sends a value, when there is room. Its descriptors are closed here when it has gone.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], otherwise as [`crate::RawSender::send`]; with the value.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped before it is ready has sent nothing, and drops the value.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        // No reference to the value is held while this waits: then it would have to be `Sync`.
        let sent = match Packed::new(&value, scratch::take()) {
            Ok(packed) => self.send_packed(packed).await,
            Err(error) => Err(error),
        };
        sent.map_err(|error| SendError { error, value })
    }

    async fn send_packed(&self, packed: Packed) -> Result<(), Error> {
        let sent = self.raw.send(&packed.bytes, &packed.fds()).await;
        scratch::give_back(packed.bytes);
        sent
    }
}

impl<T> Receiver<T> {
    /// Connects to a [`Bootstrapper`](crate::Bootstrapper), by the path that it gave to this process.
    ///
    /// # Errors
    ///
    /// As [`crate::Receiver::connect`], and epoll_ctl(2).
    pub fn connect(path: impl AsRef<Path>) -> io::Result<Self> {
        Ok(RawReceiver::connect(path)?.into())
    }

    /// The most bytes that a value may take, 64 MiB if this is not called: see [`crate::RawReceiver::set_limit`].
    pub fn set_limit(&self, bytes: usize) {
        self.raw.set_limit(bytes);
    }
}

impl<T: DeserializeOwned> Receiver<T> {
    /// A value, when there is one.
    ///
    /// # Errors
    ///
    /// As [`crate::Receiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a future that is dropped before it is ready has received nothing.
    pub async fn recv(&self) -> Result<T, Error> {
        self.raw.recv_by(value).await
    }

    /// The same, and who sent it: see [`crate::RawReceiver::recv_with_credentials`].
    ///
    /// # Errors
    ///
    /// As [`crate::Receiver::recv`].
    ///
    /// # Cancel safety
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_with_credentials(&self) -> Result<(T, Credentials), Error> {
        self.raw.recv_by(value_and_sender).await
    }

    /// A value, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WouldBlock`], otherwise as [`crate::Receiver::recv`].
    pub fn try_recv(&self) -> Result<T, Error> {
        self.raw.try_recv_by(value)
    }
}
