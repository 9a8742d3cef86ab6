//! Descriptors as part of a serde value.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::transfer::{Descriptor, NOT_IN_A_MESSAGE, put, refuse, take};

/// Anything that owns a descriptor, a `File` or a `TcpStream` for example, as part of a value that goes through a channel.
///
/// It is a serde value in a channel's message only, or in [`serialize`](crate::serialize): elsewhere it is a serde error. When the value was
/// sent it is dropped here, and with it the descriptor is closed; when it could not be sent, the error gives the value back whole.
///
/// ```
/// use local_socket::{Handle, channel};
/// use std::{fs::File, io::Read};
///
/// let (sender, receiver) = channel::<Handle<File>>()?;
/// sender.send(File::open("/dev/null")?.into())?;
/// let mut file = receiver.recv()?.into_inner();
/// assert_eq!(file.read(&mut [0])?, 0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Handle<F>(Arc<F>);

impl<F> Handle<F> {
    /// Of whatever owns a descriptor.
    pub fn new(inner: F) -> Self {
        Self(Arc::new(inner))
    }

    /// What is inside.
    ///
    /// # Panics
    ///
    /// In a `Serialize` that is just sending the same handle by other means.
    pub fn into_inner(self) -> F {
        Arc::into_inner(self.0).expect("a handle is shared only while it is being sent")
    }
}

impl<F> From<F> for Handle<F> {
    fn from(inner: F) -> Self {
        Self::new(inner)
    }
}

impl<F: AsFd> AsFd for Handle<F> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl<F: AsFd + Into<OwnedFd> + Send + Sync + 'static> Serialize for Handle<F> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        send(Arc::clone(&self.0) as _, serializer)
    }
}

impl<'de, F: From<OwnedFd>> Deserialize<'de> for Handle<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        receive(deserializer).map(|fd| Self::new(fd.into()))
    }
}

/// A borrowed descriptor, sent as a [`Handle`] is: for a `Serialize` of one's own. It is copied, and stays open here.
#[derive(Clone, Copy, Debug)]
pub struct HandleRef<'a>(pub BorrowedFd<'a>);

impl Serialize for HandleRef<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let copy = self.0.try_clone_to_owned().map_err(|error| ser::Error::custom(refuse(error)))?;
        send(Arc::new(copy), serializer)
    }
}

/// Puts a descriptor into the message, and its number into the value.
pub(crate) fn send<S: Serializer>(descriptor: Arc<dyn Descriptor>, serializer: S) -> Result<S::Ok, S::Error> {
    match put(descriptor) {
        Some(number) => serializer.serialize_u32(number),
        None => Err(ser::Error::custom(NOT_IN_A_MESSAGE)),
    }
}

/// Takes a number out of the value, and its descriptor out of the message.
pub(crate) fn receive<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OwnedFd, D::Error> {
    take(u32::deserialize(deserializer)?).map_err(de::Error::custom)
}
