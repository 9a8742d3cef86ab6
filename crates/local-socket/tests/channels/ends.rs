//! When a channel ends, for whoever is left.

use std::{
    io::ErrorKind,
    os::fd::{AsFd, OwnedFd},
    thread,
};

use local_socket::{Error, Handle, RawReceiver, RawSender, Receiver, SendError, Sender, channel, raw_channel};
use rustix::net::{Shutdown, shutdown};
use serde::{Deserialize, Serialize};

use crate::{
    by_hand::{self, seqpacket_pair, traced},
    inherited,
    rig::{Watchdog, descriptors, hear, raises_sigpipe, say},
    start,
};

/// Holds a sender that it was sent until it is told not to.
pub(crate) fn holder() {
    let senders = Receiver::<Sender<u32>>::from(RawReceiver::try_from(inherited()).unwrap());
    let sender = senders.recv().unwrap();
    let clone = sender.clone();
    drop(sender);
    clone.send(1).unwrap();
    say("holding");
    hear();
    clone.send(2).unwrap();
    drop(clone);
    say("dropped");
    hear();
}

#[test]
fn the_end_comes_with_the_last_clone_in_whatever_process_and_never_before() {
    let _watchdog = Watchdog::new();
    let (senders, peer_end) = channel::<Sender<u32>>().unwrap();
    let mut peer = start("holder", &[], peer_end.into_raw_receiver());
    let (sender, receiver) = channel::<u32>().unwrap();
    let clones = vec![sender.clone(); 3];
    senders.send(sender).unwrap();
    assert_eq!(peer.line(), "holding");
    assert_eq!(receiver.recv().unwrap(), 1);
    for clone in clones {
        assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
        drop(clone);
    }
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)), "the peer has one");
    peer.tell();
    assert_eq!(peer.line(), "dropped");
    assert_eq!(receiver.recv().unwrap(), 2);
    for _ in 0..2 {
        assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
        assert!(matches!(receiver.try_recv(), Err(Error::EndOfFile)));
        assert!(matches!(receiver.recv_timeout(std::time::Duration::from_secs(9)), Err(Error::EndOfFile)));
    }
    peer.tell();
    peer.succeeds();
}

#[test]
fn whoever_waits_is_told_of_the_end() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<()>().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv());
        drop(sender);
        assert!(matches!(waiting.join().unwrap(), Err(Error::EndOfFile)));
    });
    let (sender, receiver) = channel::<Vec<u8>>().unwrap();
    thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            while sender.send_timeout(vec![0; 1000], std::time::Duration::ZERO).is_ok() {}
            sender.send(vec![0; 1000])
        });
        let first = receiver.recv().unwrap();
        drop(receiver);
        let SendError { error, value } = waiting.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::Closed), "{error:?}");
        assert_eq!(value, first);
    });
}

#[test]
fn a_sender_is_told_without_a_signal_that_nobody_receives() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    drop(receiver);
    assert!(!raises_sigpipe(|| {
        for size in [0, 1, 300 << 10] {
            let error = sender.send(&vec![0; size], &[]).unwrap_err();
            assert!(matches!(error, Error::Closed), "{error:?}");
        }
    }));
    // One that is shut down and still open.
    let (near, far) = seqpacket_pair();
    shutdown(&far, Shutdown::Read).unwrap();
    let error = RawSender::try_from(near).unwrap().send(b"x", &[]).unwrap_err();
    assert!(matches!(error, Error::Closed), "{error:?}");
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_sender_that_was_shut_down_and_not_closed_has_ended_too() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    sender.send(b"last", &[]).unwrap();
    shutdown(&sender, Shutdown::Write).unwrap();
    assert_eq!(receiver.recv().unwrap().0, b"last");
    assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
}

#[test]
fn what_the_receiving_end_sends_is_refused_and_is_in_nobodys_way() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let error = fdpass::send_fds(receiver.as_fd(), b"back", &[]).unwrap_err();
    assert!(matches!(error, fdpass::Error::Io(error) if error.kind() == ErrorKind::BrokenPipe));
    sender.send(b"x", &[]).unwrap();
    receiver.recv().unwrap();
}

#[test]
fn messages_come_before_the_news_that_the_peer_has_not_received_everything() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for waiting in [true, false] {
        // A channel made elsewhere, open in both directions: its end with something unread in it is closed.
        let (bare, other) = seqpacket_pair();
        let receiver = RawReceiver::try_from(other).unwrap();
        fdpass::send_fds(receiver.as_fd(), b"unread", &[]).unwrap();
        let (fd, trace) = traced();
        by_hand::send(&bare, &by_hand::message(1, b"one"), vec![fd]);
        by_hand::send(&bare, &by_hand::message(0, b"two"), vec![]);
        drop(bare);
        let receive = || if waiting { receiver.recv() } else { receiver.try_recv() };
        let (bytes, fds) = receive().unwrap();
        assert_eq!((bytes.as_slice(), fds.len()), (b"one".as_slice(), 1));
        assert_eq!(receive().unwrap().0, b"two");
        assert!(matches!(receive(), Err(Error::EndOfFile)));
        drop(fds);
        assert!(!trace.is_open());
    }
    assert_eq!(descriptors(), before);
}

#[derive(Serialize, Deserialize)]
struct Numbered {
    number: u64,
    bytes: Vec<u8>,
    file: Option<Handle<OwnedFd>>,
}

impl Numbered {
    fn new(number: u64) -> Self {
        let length = if number % 8 == 7 { 300 << 10 } else { number as usize * 97 % 5000 };
        let file = number.is_multiple_of(5).then(|| Handle::new(by_hand::files(1).remove(0)));
        Self { number, bytes: vec![number as u8; length], file }
    }
}

/// Sends until it is killed.
pub(crate) fn storm() {
    let sender = Sender::from(RawSender::try_from(inherited()).unwrap());
    for number in 0.. {
        sender.send(Numbered::new(number)).unwrap();
    }
}

#[test]
fn a_sender_killed_in_a_storm_has_sent_whole_messages_only() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for turn in 0..10 {
        let (sender, receiver) = raw_channel().unwrap();
        let mut peer = start("storm", &[], OwnedFd::try_from(sender).unwrap());
        let receiver = Receiver::<Numbered>::from(receiver);
        let mut next = 0;
        let error = loop {
            match receiver.recv() {
                Ok(Numbered { number, bytes, file }) => {
                    let expected = Numbered::new(next);
                    assert_eq!((number, file.is_some()), (next, expected.file.is_some()));
                    assert!(bytes == expected.bytes);
                    next += 1;
                }
                Err(error) => break error,
            }
            if next == 20 + turn * 7 {
                peer.kill();
            }
        };
        assert!(matches!(error, Error::EndOfFile), "{error:?}");
        assert!(next >= 20 + turn * 7);
    }
    assert_eq!(descriptors(), before);
}

/// Receives until it is killed.
pub(crate) fn sink() {
    let receiver = Receiver::<Numbered>::from(RawReceiver::try_from(inherited()).unwrap());
    loop {
        receiver.recv().unwrap();
    }
}

#[test]
fn a_receiver_killed_in_a_storm_is_closed_and_the_value_comes_back() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for turn in 0..5 {
        let (sender, receiver) = channel::<Numbered>().unwrap();
        let mut peer = start("sink", &[], receiver.into_raw_receiver());
        let failed = (0..).find_map(|number| {
            if number == 20 + turn * 9 {
                peer.kill();
            }
            sender.send(Numbered::new(number)).err().map(|error| (number, error))
        });
        let (number, SendError { error, value }) = failed.unwrap();
        assert!(matches!(error, Error::Closed), "{error:?}");
        assert_eq!(value.number, number);
        assert!(value.bytes == Numbered::new(number).bytes);
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn an_empty_datagram_is_malformed_from_who_is_there_and_the_end_from_who_is_gone() {
    let _watchdog = Watchdog::new();
    let (bare, other) = seqpacket_pair();
    let receiver = RawReceiver::try_from(other).unwrap();
    by_hand::send(&bare, b"", vec![]);
    assert!(matches!(receiver.recv(), Err(Error::Malformed { .. })));
    by_hand::send(&bare, &by_hand::message(0, b"next"), vec![]);
    assert_eq!(receiver.recv().unwrap().0, b"next");
    by_hand::send(&bare, b"", vec![]);
    drop(bare);
    for _ in 0..2 {
        assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
    }
}
