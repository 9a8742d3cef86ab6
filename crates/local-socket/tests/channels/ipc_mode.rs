//! Whether serde is at work for a channel, whatever a value's own code does meanwhile.

use std::{
    cell::RefCell,
    fs::File,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use local_socket::{
    Handle, RawSender, Receiver, SendError, Sender, channel, deserialize, raw_channel, serde_in_ipc_mode, serialize,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{
    by_hand::{borrowed, files, identities},
    rig::{Watchdog, descriptors},
};

/// Is `true` if it was in a channel's hands both when it was written and when it was read.
#[derive(Debug, PartialEq)]
struct Mode(bool);

impl Serialize for Mode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(serde_in_ipc_mode())
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(bool::deserialize(deserializer)? && serde_in_ipc_mode()))
    }
}

#[test]
fn a_value_is_told_whether_it_goes_through_a_channel() {
    let _watchdog = Watchdog::new();
    assert!(!serde_in_ipc_mode());
    let (sender, receiver) = channel().unwrap();
    sender.send(Mode(false)).unwrap();
    assert!(!serde_in_ipc_mode());
    assert_eq!(receiver.recv().unwrap(), Mode(true));
    assert!(!serde_in_ipc_mode());
    let (bytes, fds) = serialize(Mode(false)).unwrap();
    assert_eq!(deserialize::<Mode>(&bytes, fds).unwrap(), Mode(true));
    assert_eq!(serde_json::to_string(&Mode(true)).unwrap(), "false");
    assert_eq!(serde_json::from_str::<Mode>("true").unwrap(), Mode(false));
}

#[test]
fn outside_a_channel_a_handle_is_an_error_of_serde() {
    let _watchdog = Watchdog::new();
    let why = "a descriptor can be sent and received only in a message of a channel";
    let before = descriptors();
    let (sender, receiver) = channel::<u8>().unwrap();
    let (raw_sender, raw_receiver) = raw_channel().unwrap();
    let file = Handle::new(File::open("/dev/null").unwrap());
    assert_eq!(serde_json::to_string(&file).unwrap_err().to_string(), why);
    assert_eq!(serde_json::to_string(&sender).unwrap_err().to_string(), why);
    assert_eq!(serde_json::to_string(&receiver).unwrap_err().to_string(), why);
    assert_eq!(serde_json::to_string(&raw_sender).unwrap_err().to_string(), why);
    assert_eq!(serde_json::to_string(&raw_receiver).unwrap_err().to_string(), why);
    assert!(serde_json::from_str::<Handle<File>>("0").unwrap_err().to_string().starts_with(why));
    assert!(serde_json::from_str::<Sender<u8>>("0").unwrap_err().to_string().starts_with(why));
    drop((sender, receiver, raw_sender, raw_receiver, file));
    assert_eq!(descriptors(), before);
}

/// Panics with a handle written, or read, before.
#[derive(Debug)]
struct Panics(Handle<OwnedFd>);

impl Serialize for Panics {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let _ = self.0.serialize(serializer);
        panic!("on the way out");
    }
}

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let _first = Handle::<OwnedFd>::deserialize(deserializer)?;
        panic!("on the way in");
    }
}

#[test]
fn a_panic_in_a_value_leaves_no_mode_and_no_descriptor() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    {
        let (raw, receiver) = raw_channel().unwrap();
        let sender = Sender::from(raw.clone());
        let panicked = catch_unwind(AssertUnwindSafe(|| sender.send(Panics(Handle::new(files(1).remove(0))))));
        assert!(panicked.is_err() && !serde_in_ipc_mode());
        raw.send(&[0], &borrowed(&files(3))).unwrap();
        let receiver = Receiver::<Panics>::from(receiver);
        let panicked = catch_unwind(AssertUnwindSafe(|| receiver.recv().map(drop)));
        assert!(panicked.is_err() && !serde_in_ipc_mode());
        assert!(serde_json::to_string(&Handle::new(files(1).remove(0))).is_err());
        // Both ends go on.
        let sender = Sender::<Handle<OwnedFd>>::from(raw);
        let receiver = Receiver::<Handle<OwnedFd>>::from(receiver.into_raw_receiver());
        sender.send(Handle::new(files(1).remove(0))).unwrap();
        receiver.recv().unwrap();
    }
    assert_eq!(descriptors(), before);
}

/// Sends something else while it is sent itself.
struct SendsMeanwhile {
    first: Handle<OwnedFd>,
    other: Sender<(Handle<OwnedFd>, Mode)>,
    others: RefCell<Vec<OwnedFd>>,
    last: Handle<OwnedFd>,
}

impl Serialize for SendsMeanwhile {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Between<'a>(&'a SendsMeanwhile);
        impl Serialize for Between<'_> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let fd = self.0.others.borrow_mut().remove(0);
                self.0.other.send((Handle::new(fd), Mode(false))).unwrap();
                // And something that cannot be sent.
                let many: Vec<_> = files(254).into_iter().map(Handle::new).collect();
                let other = Sender::<Vec<Handle<OwnedFd>>>::from(self.0.other.clone().into_raw_sender());
                assert!(other.send(many).is_err());
                Mode(false).serialize(serializer)
            }
        }
        (&self.first, Between(self), &self.last).serialize(serializer)
    }
}

#[test]
fn a_value_may_send_and_receive_others_while_it_goes_itself() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    {
        let [first, other, last] = [0, 1, 2].map(|_| files(1).remove(0));
        let expected = identities(&[&first, &other, &last]);
        let (other_sender, other_receiver) = channel().unwrap();
        let (raw, receiver) = raw_channel().unwrap();
        let sender = Sender::from(raw);
        let others = RefCell::new(vec![other]);
        let value = SendsMeanwhile { first: first.into(), other: other_sender, others, last: last.into() };
        sender.send(value).map_err(|SendError { error, .. }| error).unwrap();

        /// Receives something else while it is received itself.
        type Other = (Handle<OwnedFd>, Mode);
        thread_local! {
            static OTHERS: RefCell<Option<Receiver<Other>>> = const { RefCell::new(None) };
            static RECEIVED: RefCell<Option<Other>> = const { RefCell::new(None) };
        }
        struct ReceivesMeanwhile(Mode);
        impl<'de> Deserialize<'de> for ReceivesMeanwhile {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                RECEIVED.set(Some(OTHERS.take().unwrap().recv().unwrap()));
                Mode::deserialize(deserializer).map(Self)
            }
        }
        OTHERS.set(Some(other_receiver));
        let receiver = Receiver::<(Handle<OwnedFd>, ReceivesMeanwhile, Handle<OwnedFd>)>::from(receiver);
        let (first, meanwhile, last) = receiver.recv().unwrap();
        let (other, mode) = RECEIVED.take().unwrap();
        assert_eq!(identities(&[first, other, last]), expected);
        assert!(meanwhile.0.0 && mode.0);
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn a_value_that_looks_into_json_on_its_way_stays_in_its_mode() {
    let _watchdog = Watchdog::new();
    #[derive(Debug, PartialEq)]
    struct Json(String);
    impl Serialize for Json {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serde_json::to_string(&Mode(true)).unwrap().serialize(serializer)
        }
    }
    let (bytes, _) = serialize((Json(String::new()), Mode(false))).unwrap();
    assert_eq!(deserialize::<(String, Mode)>(&bytes, vec![]).unwrap(), ("true".into(), Mode(true)));
}

#[test]
fn the_mode_is_of_one_thread() {
    let _watchdog = Watchdog::new();
    struct Asks;
    impl Serialize for Asks {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            assert!(serde_in_ipc_mode());
            thread::scope(|scope| assert!(!scope.spawn(serde_in_ipc_mode).join().unwrap()));
            serializer.serialize_unit()
        }
    }
    let (sender, _receiver): (RawSender, _) = raw_channel().unwrap();
    Sender::from(sender).send(Asks).map_err(|error| error.error).unwrap();
}
