//! Descriptors of a serde value, on their way between the value and the message.
//!
//! While a value becomes bytes, each descriptor in it leaves its place in a list behind; while bytes become a value, each such number
//! takes its descriptor from the list that came. The lists are of this thread, because serde passes nothing along.

use std::{
    cell::Cell,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
    thread::LocalKey,
};

use fdpass::discard;
use rustix::net::sockopt::socket_linger;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error,
    codec::{Codec, Postcard},
};

/// Something that owns a descriptor, in a value that is being sent: shared with the value until that is gone.
pub(crate) trait Descriptor: AsFd + Send + Sync {
    /// A copy, if the value still has it.
    fn into_owned(self: Arc<Self>) -> io::Result<OwnedFd>;
}

impl<F: AsFd + Into<OwnedFd> + Send + Sync> Descriptor for F {
    fn into_owned(self: Arc<Self>) -> io::Result<OwnedFd> {
        match Arc::try_unwrap(self) {
            Ok(own) => Ok(own.into()),
            Err(shared) => shared.as_fd().try_clone_to_owned(),
        }
    }
}

/// What is to go with a message.
#[derive(Default)]
struct Outbox {
    descriptors: Vec<Arc<dyn Descriptor>>,
    /// Not every encoding keeps the text.
    refused: Option<String>,
}

/// What came with a message: a place is empty once its descriptor is in the value.
struct Inbox {
    places: Vec<Option<OwnedFd>>,
    /// Copies of those in the value whose closing might wait, as their sender likes: a decoder that fails closes what it has.
    lingering: Vec<OwnedFd>,
    /// Not every encoding keeps the text.
    refused: Option<String>,
}

/// Also after a panic in a value's own code.
impl Drop for Inbox {
    fn drop(&mut self) {
        discard(self.places.drain(..).flatten());
        discard(self.lingering.drain(..));
    }
}

thread_local! {
    static OUTBOX: Cell<Option<Outbox>> = const { Cell::new(None) };
    static INBOX: Cell<Option<Inbox>> = const { Cell::new(None) };
}

/// Runs with a box of its own in the place of the one that was there, which is back afterwards, also after a panic: a value's own
/// code may send and receive.
fn with_box<B, T>(key: &'static LocalKey<Cell<Option<B>>>, new: B, run: impl FnOnce() -> T) -> (T, B) {
    struct Restore<B: 'static>(&'static LocalKey<Cell<Option<B>>>, Option<B>);
    impl<B> Drop for Restore<B> {
        fn drop(&mut self) {
            self.0.set(self.1.take());
        }
    }
    let restore = Restore(key, key.replace(Some(new)));
    let result = run();
    let filled = key.take().expect("the box that was put there");
    drop(restore);
    (result, filled)
}

/// Looks into the box, if there is one.
fn peek<B, T>(key: &'static LocalKey<Cell<Option<B>>>, look: impl FnOnce(Option<&mut B>) -> T) -> T {
    let mut there = key.take();
    let result = look(there.as_mut());
    key.set(there);
    result
}

/// Whether a value is being sent or received by this thread, so that a [`Handle`](crate::Handle) in it can be.
///
/// A type can choose another form for itself then, in its `Serialize` and `Deserialize`.
pub fn serde_in_ipc_mode() -> bool {
    peek(&OUTBOX, |outbox| outbox.is_some()) || peek(&INBOX, |inbox| inbox.is_some())
}

/// Puts a descriptor into the message that is being made, and returns its number; `None` if none is.
pub(crate) fn put(descriptor: Arc<dyn Descriptor>) -> Option<u32> {
    peek(&OUTBOX, |outbox| {
        let outbox = outbox?;
        let number = outbox.descriptors.len().try_into().ok()?;
        outbox.descriptors.push(descriptor);
        Some(number)
    })
}

/// Takes the descriptor with this number out of the message that is being read.
pub(crate) fn take(number: u32) -> Result<OwnedFd, String> {
    peek(&INBOX, |inbox| {
        let inbox = inbox.ok_or(NOT_IN_A_MESSAGE)?;
        let count = inbox.places.len();
        let taken = match inbox.places.get_mut(number as usize) {
            None => Err(format!("descriptor {number} is asked for, and {count} came")),
            Some(place) => match place.take() {
                None => Err(format!("descriptor {number} is asked for twice")),
                Some(fd) => kept_from_waiting(fd, &mut inbox.lingering).map_err(|error| error.to_string()),
            },
        };
        inbox.refused = taken.as_ref().err().cloned();
        taken
    })
}

/// Remembers why a descriptor, or what was to be made of one, is refused.
pub(crate) fn refuse(error: io::Error) -> String {
    let why = error.to_string();
    peek(&OUTBOX, |outbox| outbox.map(|outbox| outbox.refused = Some(why.clone())));
    peek(&INBOX, |inbox| inbox.map(|inbox| inbox.refused = Some(why.clone())));
    why
}

/// The descriptor, with a copy of it if it is a socket that lingers.
fn kept_from_waiting(fd: OwnedFd, lingering: &mut Vec<OwnedFd>) -> io::Result<OwnedFd> {
    if matches!(socket_linger(&fd), Ok(Some(_))) {
        match fd.try_clone() {
            Ok(copy) => lingering.push(copy),
            Err(error) => {
                discard([fd]);
                return Err(error);
            }
        }
    }
    Ok(fd)
}

pub(crate) const NOT_IN_A_MESSAGE: &str = "a descriptor can be sent and received only in a message of a channel";

/// A value as bytes and descriptors.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    descriptors: Vec<Arc<dyn Descriptor>>,
}

impl Packed {
    /// Appends to `bytes`.
    pub(crate) fn new<T: Serialize + ?Sized>(value: &T, bytes: Vec<u8>) -> Result<Self, Error> {
        let (encoded, outbox) = with_box(&OUTBOX, Outbox::default(), || Postcard::encode(value, bytes));
        let Outbox { descriptors, refused } = outbox;
        match encoded {
            Ok(bytes) => Ok(Self { bytes, descriptors }),
            Err(error) => Err(Error::Encode(refused.map_or(error, Into::into))),
        }
    }

    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.descriptors.iter().map(|descriptor| descriptor.as_fd()).collect()
    }
}

/// A value as bytes and descriptors, as a channel sends it: for a transport of one's own.
///
/// The descriptors of a value that is passed by reference are copied, those of a value that is passed whole are taken out of it.
///
/// # Errors
///
/// [`Error::Encode`]; [`Error::Io`] when the process has no descriptor left for a copy.
pub fn serialize<T: Serialize>(value: T) -> Result<(Vec<u8>, Vec<OwnedFd>), Error> {
    let Packed { bytes, descriptors } = Packed::new(&value, Vec::new())?;
    drop(value);
    let fds = descriptors.into_iter().map(Descriptor::into_owned).collect::<io::Result<_>>();
    Ok((bytes, fds.map_err(Error::Io)?))
}

/// The value of which [`serialize`] made these bytes and descriptors.
///
/// # Errors
///
/// [`Error::Decode`] for bytes that are not a value of this type, have more behind it or are nested deeper than 128 levels; and for
/// descriptors of which not each is in the value exactly once. All are closed then.
pub fn deserialize<T: DeserializeOwned>(bytes: &[u8], fds: Vec<OwnedFd>) -> Result<T, Error> {
    let came = fds.len();
    let inbox = Inbox { places: fds.into_iter().map(Some).collect(), lingering: vec![], refused: None };
    let (decoded, mut inbox) = with_box(&INBOX, inbox, || Postcard::decode(bytes));
    let unused = inbox.places.iter().flatten().count();
    match decoded {
        Ok(value) if unused == 0 => {
            // Copies of what is in the value.
            inbox.lingering.clear();
            Ok(value)
        }
        Ok(value) => {
            // What lingers is told not to before the value closes it.
            drop(inbox);
            drop(value);
            Err(Error::Decode(format!("{unused} of the {came} descriptors that came are not in the value").into()))
        }
        Err(error) => Err(Error::Decode(inbox.refused.take().map_or(error, Into::into))),
    }
}
