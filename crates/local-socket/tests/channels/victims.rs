//! Receivers in all their forms, to which whatever is sent by hand.

use std::{os::fd::OwnedFd, time::Duration};

use local_socket::{Error, RawReceiver, Receiver};

use crate::{allocations, by_hand, rig::descriptors};

/// More than a datagram has, and much less than what hostile messages announce.
const MOST: usize = 1 << 20;
/// Long enough for what is there already.
const LONG: Duration = Duration::from_secs(10);

/// A receiver, and the bare socket at the other end.
pub(crate) struct Victim {
    pub(crate) name: &'static str,
    pub(crate) bare: OwnedFd,
    receive: Box<dyn Fn() -> Result<(), Error>>,
}

/// One for each way to receive, bytes and values.
pub(crate) fn victims() -> Vec<Victim> {
    vec![
        raw("bytes, waiting", |receiver| receiver.recv().map(drop)),
        raw("bytes, not waiting", |receiver| receiver.try_recv().map(drop)),
        raw("bytes, with a deadline", |receiver| receiver.recv_timeout(LONG).map(drop)),
        raw("bytes, with credentials", |receiver| receiver.recv_with_credentials().map(drop)),
        typed("values, waiting", |receiver| receiver.recv().map(drop)),
        typed("values, not waiting", |receiver| receiver.try_recv().map(drop)),
        typed("values, with a deadline", |receiver| receiver.recv_timeout(LONG).map(drop)),
        typed("values, with credentials", |receiver| receiver.recv_with_credentials().map(drop)),
    ]
}

fn raw(name: &'static str, receive: fn(&RawReceiver) -> Result<(), Error>) -> Victim {
    let (bare, other) = by_hand::seqpacket_pair();
    let receiver = RawReceiver::try_from(other).unwrap();
    receiver.set_pass_credentials(true).unwrap();
    Victim { name, bare, receive: Box::new(move || receive(&receiver)) }
}

fn typed(name: &'static str, receive: fn(&Receiver<u8>) -> Result<(), Error>) -> Victim {
    let (bare, other) = by_hand::seqpacket_pair();
    let receiver = Receiver::from(RawReceiver::try_from(other).unwrap());
    receiver.set_pass_credentials(true).unwrap();
    Victim { name, bare, receive: Box::new(move || receive(&receiver)) }
}

impl Victim {
    /// Sends a message that must be refused, for nothing in it, with nothing left open, and in nobody's way.
    pub(crate) fn refuses(&self, what: &str, bytes: &[u8], fds: Vec<OwnedFd>) -> Error {
        let before = descriptors() - fds.len();
        by_hand::send(&self.bare, bytes, fds);
        let (result, largest) = allocations::largest(|| (self.receive)());
        let Err(error) = result else { panic!("{what}: {} took it", self.name) };
        assert_eq!(descriptors(), before, "{what}, {}: {error}", self.name);
        assert!(largest < MOST, "{what}, {}: {largest} bytes were asked for", self.name);
        assert!(!error.to_string().starts_with(char::is_uppercase), "{error}");
        self.takes(&format!("after {what}"), &by_hand::message(0, &[7]), vec![]);
        error
    }

    pub(crate) fn takes(&self, what: &str, bytes: &[u8], fds: Vec<OwnedFd>) {
        by_hand::send(&self.bare, bytes, fds);
        if let Err(error) = (self.receive)() {
            panic!("{what}, {}: {error:?}", self.name);
        }
    }

    pub(crate) fn receive(&self) -> Result<(), Error> {
        (self.receive)()
    }
}
