//! Passing a descriptor on: it is sent over a socket and received again, in one thread.

use std::{
    fs::File,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use super::{Values, calibrated};
use crate::plan::Plan;

/// A way of passing a descriptor on.
pub trait Passing: 'static {
    const NAME: &'static str;
    /// Sends a descriptor with a payload.
    fn send(stream: &UnixStream, payload: &[u8], descriptor: BorrowedFd<'_>);
    /// Receives a descriptor, close-on-exec, and fills in the payload that comes with it.
    fn receive(stream: &UnixStream, payload: &mut [u8]) -> OwnedFd;
}

/// Nanoseconds to send one, receive and close it.
pub fn run<P: Passing>(_: &Plan) -> Values {
    let (here, there) = UnixStream::pair().expect("two sockets");
    let file = File::open("/dev/null").expect("a file");
    let (seconds, count) = calibrated(|count| {
        for number in 0..count {
            P::send(&here, &number.to_ne_bytes(), file.as_fd());
            let mut payload = [0; size_of::<u64>()];
            drop(P::receive(&there, &mut payload));
            assert_eq!(u64::from_ne_bytes(payload), number);
        }
    });
    Values::from([("ns".into(), seconds * 1e9 / count as f64)])
}
