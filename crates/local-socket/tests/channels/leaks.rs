//! Descriptors: as many after 2 000 of any error as before.

use std::{fs::File, os::fd::OwnedFd, time::Duration};

use local_socket::{Bootstrapper, Error, Handle, RawReceiver, Receiver, Sender, channel, duplex, raw_channel};

use crate::{
    by_hand::{borrowed, files},
    rig::{Directory, Watchdog, descriptors},
};

const TIMES: u32 = 2000;

fn assert_flat(what: &str, mut act: impl FnMut()) {
    act();
    let before = descriptors();
    for _ in 0..TIMES {
        act();
    }
    assert_eq!(descriptors(), before, "{what}");
}

fn handle() -> Handle<OwnedFd> {
    Handle::new(files(1).remove(0))
}

#[test]
fn channels_that_come_and_go_leave_nothing() {
    let _watchdog = Watchdog::new();
    assert_flat("channels", || {
        let (near, far) = duplex::<Handle<OwnedFd>, Sender<u8>>().unwrap();
        near.0.clone().send(handle()).unwrap();
        far.1.recv().unwrap();
        far.0.send(channel().unwrap().0).unwrap();
    });
    assert_flat("raw channels", || {
        let (sender, receiver) = raw_channel().unwrap();
        sender.clone().send(&[0; 300 << 10], &borrowed(&files(2))).unwrap();
        receiver.recv().unwrap();
        drop(OwnedFd::try_from(sender).unwrap());
        drop(OwnedFd::from(receiver));
    });
}

#[test]
fn no_error_leaves_a_descriptor() {
    let _watchdog = Watchdog::new();
    let (closed, receiver) = channel::<(Vec<u8>, Handle<OwnedFd>)>().unwrap();
    drop(receiver);
    assert_flat("nobody receives", || {
        assert!(matches!(closed.send((vec![], handle())).unwrap_err().error, Error::Closed));
        assert!(matches!(closed.send((vec![0; 200 << 10], handle())).unwrap_err().error, Error::Closed));
    });
    let (full, _unread) = channel::<(Vec<u8>, Handle<OwnedFd>)>().unwrap();
    while full.send_timeout((vec![], handle()), Duration::ZERO).is_ok() {}
    assert_flat("a full channel", || {
        for size in [0, 200 << 10] {
            let error = full.send_timeout((vec![0; size], handle()), Duration::ZERO).unwrap_err().error;
            assert!(matches!(error, Error::TimedOut));
        }
    });
    let (raw, receiver) = raw_channel().unwrap();
    let receiver = Receiver::<Handle<OwnedFd>>::from(receiver);
    assert_flat("what is no value", || {
        raw.send(&[1], &borrowed(&files(1))).unwrap();
        raw.send(&[0, 0], &borrowed(&files(1))).unwrap();
        raw.send(&[0], &borrowed(&files(2))).unwrap();
        for _ in 0..3 {
            assert!(matches!(receiver.recv(), Err(Error::Decode(_))));
        }
        assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
        assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
    });
    assert_flat("what is no channel", || {
        assert!(RawReceiver::try_from(OwnedFd::from(File::open("/dev/null").unwrap())).is_err());
        assert!(local_socket::RawSender::try_from(OwnedFd::from(std::io::pipe().unwrap().0)).is_err());
    });
    let directory = Directory::new();
    let path = directory.path("socket");
    assert_flat("meetings that fail", || {
        assert!(RawReceiver::connect(&path).is_err());
        let mut bootstrapper = Bootstrapper::bind(&path).unwrap();
        assert!(Bootstrapper::<()>::bind(&path).is_err());
        bootstrapper.set_timeout(Duration::ZERO);
        assert!(matches!(bootstrapper.send(handle()).unwrap_err().error, Error::TimedOut));
        drop(Receiver::<()>::connect(&path).unwrap());
    });
    assert_eq!(directory.names(), [""; 0]);
}
