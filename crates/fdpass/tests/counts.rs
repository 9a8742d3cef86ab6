//! How many descriptors a message may carry, and how many arrive.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::io;

use fdpass::{Error, MAX_FDS, recv_fds, send_fds, try_recv_fds, try_send_fds};
use rig::{KINDS, SockType, Watchdog, borrowed, files, identities, open_descriptors, pair};

fn arrive_complete_and_in_order(count: usize) {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let before = open_descriptors();
        {
            let (here, there) = pair(kind);
            let sent = files(count);
            assert_eq!(send_fds(&here, b"payload", &borrowed(&sent)).unwrap(), 7);

            let mut buf = [0; 16];
            let received = recv_fds(&there, &mut buf, count).unwrap();
            assert_eq!(&buf[..received.len], b"payload");
            assert_eq!(identities(&received.fds), identities(&sent));
            assert!(received.pidfd.is_none());
        }
        assert_eq!(open_descriptors(), before);
    }
}

#[test]
fn a_payload_without_descriptors_arrives() {
    arrive_complete_and_in_order(0);
}

#[test]
fn one_descriptor_arrives() {
    arrive_complete_and_in_order(1);
}

#[test]
fn two_descriptors_arrive_in_order() {
    arrive_complete_and_in_order(2);
}

#[test]
fn as_many_as_the_kernel_allows_arrive_in_order() {
    arrive_complete_and_in_order(MAX_FDS);
}

#[test]
fn one_more_than_the_kernel_allows_is_refused_before_anything_is_sent() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(MAX_FDS + 1);
    let error = send_fds(&here, b"x", &borrowed(&sent)).unwrap_err();
    assert!(matches!(error, Error::TooManyFds { requested: 254 }));
    let error = try_send_fds(&here, b"x", &borrowed(&sent)).unwrap_err();
    assert!(matches!(error, Error::TooManyFds { requested: 254 }));
    let nothing = try_recv_fds(&there, &mut [0], 0);
    assert!(matches!(nothing, Err(Error::WouldBlock)));
}

#[test]
fn asking_for_more_than_the_kernel_allows_receives_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    send_fds(&here, b"x", &[]).unwrap();
    let error = recv_fds(&there, &mut [0], MAX_FDS + 1).unwrap_err();
    assert!(matches!(error, Error::TooManyFds { requested: 254 }));
    assert_eq!(recv_fds(&there, &mut [0], MAX_FDS).unwrap().len, 1);
}

#[test]
fn fewer_than_allowed_is_no_error() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(2);
    send_fds(&here, b"x", &borrowed(&sent)).unwrap();
    let received = recv_fds(&there, &mut [0], 5).unwrap();
    assert_eq!(identities(&received.fds), identities(&sent));
}

#[test]
fn descriptors_without_a_byte_to_carry_them_are_refused() {
    let _watchdog = Watchdog::new();
    let (here, _there) = pair(SockType::Stream);
    let error = send_fds(&here, b"", &borrowed(&files(1))).unwrap_err();
    assert!(matches!(error, Error::EmptyPayload));
    assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn a_buffer_without_room_for_a_byte_receives_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Datagram);
    send_fds(&here, b"x", &[]).unwrap();
    let error = recv_fds(&there, &mut [], 0).unwrap_err();
    assert!(matches!(error, Error::EmptyBuffer));
    assert_eq!(recv_fds(&there, &mut [0], 0).unwrap().len, 1);
}

#[test]
fn a_stream_read_ends_behind_bytes_that_carry_descriptors() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(2);
    send_fds(&here, b"ab", &borrowed(&sent[..1])).unwrap();
    send_fds(&here, b"cd", &borrowed(&sent[1..])).unwrap();
    for piece in 0..2 {
        let received = recv_fds(&there, &mut [0; 16], 1).unwrap();
        assert_eq!(received.len, 2);
        assert_eq!(identities(&received.fds), identities(&sent[piece..=piece]));
    }
}
