//! Where the process or its user may have no more descriptors.

use std::{fs::File, os::fd::AsFd};

use local_socket::{Error, Handle, SendError, channel, raw_channel};
use nix::{
    errno::Errno,
    sys::resource::{Resource, getrlimit, setrlimit},
};

use crate::{
    by_hand::{borrowed, files, identities},
    rig::{Directory, Watchdog, descriptors},
    start_as_nobody,
};

const MOST: u64 = 64;

#[test]
fn too_many_descriptors_on_their_way_are_an_error_that_gives_the_value_back() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    if let Some(peer) = start_as_nobody(&directory, "too many in flight", &[]) {
        peer.succeeds();
    }
}

pub(crate) fn too_many_in_flight() {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, MOST, hard).unwrap();
    let before = descriptors();
    let (sender, receiver) = channel::<Vec<Handle<File>>>().unwrap();
    let null = || Handle::new(File::open("/dev/null").unwrap());
    let mut sent = 0;
    let value = loop {
        let value: Vec<_> = std::iter::repeat_with(null).take(20).collect();
        match sender.send(value) {
            Ok(()) => sent += 1,
            Err(SendError { error, value }) => {
                let Error::Io(error) = error else { panic!("{error:?}") };
                assert_eq!(error.raw_os_error(), Some(Errno::ETOOMANYREFS as i32), "{error}");
                assert!(error.to_string().contains("Too many references"), "{error}");
                break value;
            }
        }
        assert!(sent < MOST, "never too many");
    };
    assert_eq!(value.len(), 20);
    assert_eq!(descriptors(), before + 22);
    identities(&value);
    // What was sent arrives, and then there is room again.
    for _ in 0..sent {
        assert_eq!(receiver.recv().unwrap().len(), 20);
    }
    sender.send(value).unwrap();
    receiver.recv().unwrap();
    drop((sender, receiver));
    assert_eq!(descriptors(), before);
}

#[test]
fn a_process_without_room_for_the_descriptors_loses_that_message_only() {
    let _watchdog = Watchdog::new();
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let (sender, receiver) = raw_channel().unwrap();
    let sent = files(253);
    sender.send(b"lost", &borrowed(&sent[..20])).unwrap();
    sender.send(&vec![7; 300 << 10], &borrowed(&sent[..20])).unwrap();
    // The payload has room, and not the descriptors of the message behind it.
    sender.send(&vec![7; 300 << 10], &borrowed(&sent)).unwrap();
    sender.send(b"next", &[]).unwrap();
    let before = descriptors();
    let free = sent.last().unwrap().as_fd();
    let highest = std::os::fd::AsRawFd::as_raw_fd(&free) as u64 + 1;
    setrlimit(Resource::RLIMIT_NOFILE, highest + 5, hard).unwrap();
    let errors = [receiver.recv(), receiver.recv(), receiver.recv()].map(|result| result.unwrap_err());
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    for error in errors {
        assert!(matches!(error, Error::FdsLost { got } if got < 20), "{error:?}");
    }
    assert_eq!(
        descriptors(),
        before + 1,
        "a payload whose message is lost waits until others have come or the channel is dropped"
    );
    assert_eq!(receiver.recv().unwrap().0, b"next");
    drop(receiver);
    assert_eq!(descriptors(), before - 1);
}
