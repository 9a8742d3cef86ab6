//! Who has the descriptors of a value before, during and after it is sent.

use std::{
    fs::File,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use local_socket::{Error, Handle, HandleRef, SendError, Sender, channel, deserialize, serialize};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

use crate::{
    by_hand::{files, identities, traced},
    rig::{Watchdog, descriptors},
};

#[test]
fn a_sent_handle_is_closed_here_and_open_there() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Handle<OwnedFd>>().unwrap();
    let (fd, trace) = traced();
    let number = fd.as_raw_fd();
    sender.send(fd.into()).unwrap();
    assert!(!std::path::Path::new(&format!("/proc/self/fd/{number}")).exists());
    assert!(trace.is_open(), "on its way");
    let handle = receiver.recv().unwrap();
    assert!(trace.is_open());
    drop(handle);
    assert!(!trace.is_open());
}

#[test]
fn what_is_never_received_is_closed_with_the_channel() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Handle<OwnedFd>>().unwrap();
    let (fd, trace) = traced();
    sender.send(fd.into()).unwrap();
    drop(sender);
    assert!(trace.is_open());
    drop(receiver);
    assert!(!trace.is_open());
}

/// A value that can be sent or not, with a descriptor.
#[derive(Debug, Serialize, Deserialize)]
struct Parcel {
    many: Vec<Handle<OwnedFd>>,
    stubborn: Stubborn,
    end: Option<Sender<u8>>,
}

#[derive(Debug, Default, Deserialize)]
struct Stubborn(bool);

impl Serialize for Stubborn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 { Err(S::Error::custom("no")) } else { serializer.serialize_bool(false) }
    }
}

/// Has a parcel come back, whole and usable.
fn comes_back(count: usize, stubborn: bool, send: impl FnOnce(Parcel) -> Result<(), SendError<Parcel>>) -> Error {
    let before = descriptors();
    let error = {
        let fds = files(count);
        let (expected, numbers): (_, Vec<_>) = (identities(&fds), fds.iter().map(AsRawFd::as_raw_fd).collect());
        let (end, other) = channel().unwrap();
        let many = fds.into_iter().map(Handle::new).collect();
        let SendError { error, value } =
            send(Parcel { many, stubborn: Stubborn(stubborn), end: Some(end) }).unwrap_err();
        assert_eq!(identities(&value.many), expected);
        assert_eq!(value.many.iter().map(|handle| handle.as_fd().as_raw_fd()).collect::<Vec<_>>(), numbers);
        assert_eq!(value.stubborn.0, stubborn);
        value.end.as_ref().unwrap().send(7).unwrap();
        assert_eq!(other.recv().unwrap(), 7);
        if !stubborn && count < 253 {
            // And goes another way.
            let (sender, receiver) = channel().unwrap();
            sender.send(value).unwrap();
            assert_eq!(identities(&receiver.recv().unwrap().many), expected);
        } else {
            let files: Vec<OwnedFd> = value.many.into_iter().map(Handle::into_inner).collect();
            assert_eq!(identities(&files), expected);
        }
        error
    };
    assert_eq!(descriptors(), before);
    error
}

#[test]
fn a_value_that_cannot_be_sent_comes_back_whole_and_usable() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Parcel>().unwrap();
    let error = comes_back(3, true, |parcel| sender.send(parcel));
    assert!(matches!(error, Error::Encode(_)), "{error:?}");
    assert_eq!(error.to_string(), "the value cannot be sent: a value that refuses to be encoded");
    let error = comes_back(253, false, |parcel| sender.send(parcel));
    assert!(matches!(error, Error::TooManyFds { requested: 254 }), "{error:?}");
    let error = comes_back(300, false, |parcel| sender.send(parcel));
    assert!(matches!(error, Error::TooManyFds { requested: 301 }), "{error:?}");
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)), "nothing was sent");

    let parcel = || Parcel { many: vec![], stubborn: Stubborn(false), end: None };
    while sender.send_timeout(parcel(), Duration::ZERO).is_ok() {}
    for time in [Duration::ZERO, Duration::from_millis(1)] {
        let error = comes_back(3, false, |parcel| sender.send_timeout(parcel, time));
        assert!(matches!(error, Error::TimedOut), "{error:?}");
    }
    drop(receiver);
    let error = comes_back(3, false, |parcel| sender.send(parcel));
    assert!(matches!(error, Error::Closed), "{error:?}");
    let error = comes_back(3, false, |parcel| sender.send_timeout(parcel, Duration::from_secs(1)));
    assert!(matches!(error, Error::Closed), "{error:?}");
}

#[test]
fn an_error_with_the_value_becomes_one_without_it() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Handle<OwnedFd>>().unwrap();
    drop(receiver);
    let (fd, trace) = traced();
    let error = sender.send(fd.into()).unwrap_err();
    assert_eq!(error.to_string(), "the other end is closed: nobody will receive this");
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
    assert!(!trace.is_open());
}

#[test]
fn a_borrowed_descriptor_stays_open_here() {
    let _watchdog = Watchdog::new();
    struct Borrows(File);
    impl Serialize for Borrows {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            HandleRef(self.0.as_fd()).serialize(serializer)
        }
    }
    let before = descriptors();
    let file = File::from(files(1).remove(0));
    let (sender, receiver) = channel::<&Borrows>().unwrap();
    let receiver = local_socket::Receiver::<Handle<File>>::from(receiver.into_raw_receiver());
    let value = Borrows(file);
    for _ in 0..3 {
        sender.send(&value).unwrap();
        assert_eq!(identities(&[receiver.recv().unwrap()]), identities(&[&value.0]));
    }
    assert_eq!(descriptors(), before + 3);
    drop((sender, receiver));
    drop(value);
    assert_eq!(descriptors(), before);
}

#[test]
fn descriptors_of_a_value_passed_by_reference_are_copied_and_those_of_one_passed_whole_are_taken() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let value = vec![Handle::new(files(1).remove(0)), Handle::new(files(1).remove(0))];
    let numbers: Vec<_> = value.iter().map(|handle| handle.as_fd().as_raw_fd()).collect();
    let (bytes, copies) = serialize(&value).unwrap();
    assert_eq!(descriptors(), before + 4);
    assert_eq!(identities(&copies), identities(&value));
    assert_eq!(identities(&deserialize::<Vec<Handle<OwnedFd>>>(&bytes, copies).unwrap()), identities(&value));
    let (_, taken) = serialize(value).unwrap();
    assert_eq!(taken.iter().map(AsRawFd::as_raw_fd).collect::<Vec<_>>(), numbers);
    assert_eq!(descriptors(), before + 2);
    drop(taken);
    let error = serialize((Handle::new(files(1).remove(0)), Stubborn(true))).unwrap_err();
    assert!(matches!(error, Error::Encode(_)), "{error:?}");
    assert_eq!(descriptors(), before);
}

#[test]
fn a_clone_of_a_sender_stays_when_the_other_is_sent() {
    let _watchdog = Watchdog::new();
    let (numbers, receiver) = channel::<u8>().unwrap();
    let (senders, received) = channel::<Sender<u8>>().unwrap();
    senders.send(numbers.clone()).unwrap();
    numbers.send(1).unwrap();
    received.recv().unwrap().send(2).unwrap();
    assert_eq!([receiver.recv().unwrap(), receiver.recv().unwrap()], [1, 2]);
    let (bytes, fds) = serialize(numbers.clone()).unwrap();
    numbers.send(3).unwrap();
    deserialize::<Sender<u8>>(&bytes, fds).unwrap().send(4).unwrap();
    assert_eq!([receiver.recv().unwrap(), receiver.recv().unwrap()], [3, 4]);
    drop(numbers);
    assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
}
