//! One descriptor with its tag: all of it, nothing else, nothing left behind.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::{os::fd::OwnedFd, thread};

use fdpass::{Error, recv_fd, recv_fds, send_fd, send_fds, try_recv_fds};
use rig::{KINDS, SockType, Watchdog, borrowed, files, fill, identity, nonblocking_pair, open_descriptors, pair};

/// What `recv_fd` says to a payload with this many descriptors, after which the peer closes.
fn verdict(kind: SockType, payload: &[u8], count: usize, tag: &[u8]) -> Result<OwnedFd, Error> {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(kind);
    let sent = files(count);
    send_fds(&here, payload, &borrowed(&sent)).unwrap();
    drop((here, sent));
    let before = open_descriptors();
    let result = recv_fd(&there, tag);
    assert_eq!(open_descriptors(), before + usize::from(result.is_ok()));
    result
}

#[test]
fn a_descriptor_arrives_under_its_tag() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        for tag in [&b"t"[..], b"tag", &[0; 255]] {
            let (here, there) = pair(kind);
            let file = &files(1)[0];
            send_fd(&here, file, tag).unwrap();
            assert_eq!(identity(recv_fd(&there, tag).unwrap()), identity(file));
        }
    }
}

#[test]
fn the_tag_is_on_the_wire_as_it_is() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let (here, there) = pair(kind);
        send_fd(&here, &files(1)[0], b"tag").unwrap();
        let mut buf = [0; 8];
        let received = recv_fds(&there, &mut buf, 1).unwrap();
        assert_eq!((&buf[..received.len], received.fds.len()), (&b"tag"[..], 1));
    }
}

#[test]
fn bytes_behind_the_tag_stay_on_the_stream() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(2);
    send_fds(&here, b"firsttail", &borrowed(&sent[..1])).unwrap();
    send_fd(&here, &sent[1], b"second").unwrap();
    assert_eq!(identity(recv_fd(&there, b"first").unwrap()), identity(&sent[0]));
    let mut tail = [0; 4];
    assert_eq!(recv_fds(&there, &mut tail, 0).unwrap().len, 4);
    assert_eq!(&tail, b"tail");
    assert_eq!(identity(recv_fd(&there, b"second").unwrap()), identity(&sent[1]));
}

#[test]
fn a_tag_in_pieces_arrives_wherever_the_descriptor_is() {
    let _watchdog = Watchdog::new();
    for carrier in 0..3 {
        let (here, there) = pair(SockType::Stream);
        let sent = files(1);
        for (place, piece) in [b"a", b"b", b"c"].into_iter().enumerate() {
            let fds = if place == carrier { borrowed(&sent) } else { Vec::new() };
            send_fds(&here, piece, &fds).unwrap();
        }
        assert_eq!(identity(recv_fd(&there, b"abc").unwrap()), identity(&sent[0]));
    }
}

#[test]
fn a_second_descriptor_in_another_piece_of_the_tag_is_surplus() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(2);
    send_fds(&here, b"a", &borrowed(&sent[..1])).unwrap();
    send_fds(&here, b"b", &borrowed(&sent[1..])).unwrap();
    let before = open_descriptors();
    let result = recv_fd(&there, b"ab");
    assert!(matches!(result, Err(Error::Surplus { allowed: 1, got: 2 })));
    assert_eq!(open_descriptors(), before);
}

#[test]
fn two_descriptors_at_once_are_surplus() {
    for kind in KINDS {
        let result = verdict(kind, b"tag", 2, b"tag");
        assert!(matches!(result, Err(Error::Surplus { allowed: 1, got: 2 })));
    }
}

#[test]
fn a_tag_without_a_descriptor_is_told() {
    for kind in KINDS {
        assert!(matches!(verdict(kind, b"tag", 0, b"tag"), Err(Error::Missing)));
    }
}

#[test]
fn another_tag_is_refused() {
    for kind in KINDS {
        for count in [0, 1] {
            assert!(matches!(verdict(kind, b"tog", count, b"tag"), Err(Error::WrongTag)));
        }
    }
}

#[test]
fn a_shorter_message_is_another_tag() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::SeqPacket, SockType::Datagram] {
        assert!(matches!(verdict(kind, b"ta", 1, b"tag"), Err(Error::WrongTag)));
    }
}

#[test]
fn a_longer_message_is_refused() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::SeqPacket, SockType::Datagram] {
        let result = verdict(kind, b"tags", 1, b"tag");
        assert!(matches!(result, Err(Error::MessageTruncated { room: 3, .. })));
    }
}

#[test]
fn a_stream_that_ends_inside_the_tag_is_the_end() {
    assert!(matches!(verdict(SockType::Stream, b"ta", 1, b"tag"), Err(Error::EndOfFile)));
}

#[test]
fn a_wrong_beginning_is_refused_without_waiting_for_the_rest() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    send_fds(&here, b"x", &[]).unwrap();
    assert!(matches!(recv_fd(&there, b"tag"), Err(Error::WrongTag)));
}

#[test]
fn a_tag_that_is_empty_or_too_long_is_refused_before_anything_is_sent() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    for tag in [&[0; 0][..], &[0; 256]] {
        let sent = send_fd(&here, &files(1)[0], tag);
        assert!(matches!(sent, Err(Error::BadTagLength { length }) if length == tag.len()));
        let received = recv_fd(&there, tag);
        assert!(matches!(received, Err(Error::BadTagLength { length }) if length == tag.len()));
    }
    assert!(matches!(try_recv_fds(&there, &mut [0], 0), Err(Error::WouldBlock)));
}

#[test]
fn a_full_nonblocking_socket_is_waited_for() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let (here, there) = nonblocking_pair(kind);
        let queued = fill(&here);
        let sent = files(1);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| {
                let mut left = queued;
                while left > 0 {
                    match recv_fds(&there, &mut [0; 4096][..left.min(4096)], 0) {
                        Ok(received) => left -= received.len,
                        Err(error) => panic!("{error}"),
                    }
                }
                recv_fd(&there, &[7; 255]).unwrap()
            });
            send_fd(&here, &sent[0], &[7; 255]).unwrap();
            assert_eq!(identity(receiver.join().unwrap()), identity(&sent[0]));
        });
    }
}

#[test]
fn a_nonblocking_receiver_waits_for_the_tag() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let (here, there) = nonblocking_pair(kind);
        let sent = files(1);
        thread::scope(|scope| {
            let receiver = scope.spawn(|| recv_fd(&there, b"tag").unwrap());
            send_fd(&here, &sent[0], b"tag").unwrap();
            assert_eq!(identity(receiver.join().unwrap()), identity(&sent[0]));
        });
    }
}
