//! Whole messages: in parts, empty ones, and who sent them.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::{
    io::{IoSlice, IoSliceMut, Read},
    os::{fd::AsFd, unix::net::UnixStream},
};

use fdpass::{Error, MAX_FDS, recv_message, send_message, set_pass_credentials, try_recv_fds, try_recv_message};
use rig::{SockType, Watchdog, pair};

#[test]
fn parts_are_one_message_and_may_be_received_in_others() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::SeqPacket, SockType::Datagram] {
        let (here, there) = pair(kind);
        let parts = [&b"one"[..], b"", b" mess", b"age"].map(IoSlice::new);
        send_message(&here, &parts, &[]).unwrap();
        let (mut first, mut second) = ([0; 5], [0; 20]);
        let received =
            recv_message(&there, &mut [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)], 0).unwrap();
        assert_eq!((received.len, &first, &second[..6]), (11, b"one m", &b"essage"[..]));
    }
}

#[test]
fn an_empty_message_can_bring_descriptors_and_is_told_from_the_end() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::SeqPacket);
    set_pass_credentials(&there, true).unwrap();
    send_message(&here, &[], &[]).unwrap();
    send_message(&here, &[], &vec![here.as_fd(); MAX_FDS]).unwrap();
    drop(here);
    assert_eq!(recv_message(&there, &mut [], MAX_FDS).unwrap().fds.len(), 0);
    assert_eq!(recv_message(&there, &mut [], MAX_FDS).unwrap().fds.len(), MAX_FDS);
    assert!(matches!(recv_message(&there, &mut [], 0), Err(Error::EndOfFile)));
}

#[test]
fn an_empty_message_of_who_can_still_send_or_has_sent_more_is_no_end() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::SeqPacket);
    let empty = || send_message(&here, &[], &[]).unwrap();
    let received = || recv_message(&there, &mut [IoSliceMut::new(&mut [0; 4])], 0).map(|received| received.len);
    empty();
    assert_eq!(received().unwrap(), 0);
    empty();
    send_message(&here, &[IoSlice::new(b"more")], &[]).unwrap();
    empty();
    drop(here);
    assert_eq!((received().unwrap(), received().unwrap()), (0, 4));
    // As documented: nothing but the end is behind the third.
    assert!(matches!(received(), Err(Error::EndOfFile)));
}

#[test]
fn the_end_of_a_stream_is_the_end_whoever_asks_for_credentials() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    set_pass_credentials(&there, true).unwrap();
    drop(here);
    assert!(matches!(try_recv_fds(&there, &mut [0; 8], 0), Err(Error::EndOfFile)));
}

#[test]
fn a_message_that_has_no_room_tells_how_long_it_was() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::SeqPacket);
    send_message(&here, &[IoSlice::new(b"eight...")], &[]).unwrap();
    let error = try_recv_message(&there, &mut [IoSliceMut::new(&mut [0; 3])], 0).unwrap_err();
    assert!(matches!(error, Error::MessageTruncated { length: Some(8), room: 3 }), "{error}");
}

#[test]
fn a_message_brings_the_credentials_of_its_sender_where_they_are_asked_for() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::SeqPacket);
    send_message(&here, &[IoSlice::new(b"before")], &[]).unwrap();
    assert_eq!(recv_message(&there, &mut [IoSliceMut::new(&mut [0; 8])], 0).unwrap().credentials, None);
    set_pass_credentials(&there, true).unwrap();
    send_message(&here, &[IoSlice::new(b"after")], &[]).unwrap();
    let sender = recv_message(&there, &mut [IoSliceMut::new(&mut [0; 8])], 0).unwrap().credentials.unwrap();
    assert_eq!(sender.pid.unwrap().get(), std::process::id().cast_signed());
    assert_eq!((sender.uid, sender.gid), (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()));
}

/// Not only the first, and not only short ones.
#[test]
fn hanging_up_closes_what_lies_in_every_message() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::SeqPacket, SockType::Stream] {
        let (here, there) = pair(kind);
        let (mut far, near) = UnixStream::pair().unwrap();
        let (empty, long) = ([], [7; 9000]);
        for payload in [&b"first"[..], &empty, &long] {
            // A stream carries no empty message.
            if kind == SockType::SeqPacket || !payload.is_empty() {
                let _watchdog = Watchdog::new();
                send_message(&here, &[IoSlice::new(payload)], &[near.as_fd()]).unwrap();
            }
        }
        drop(near);
        fdpass::hang_up(&there);
        assert_eq!(far.read(&mut [0]).unwrap(), 0, "a copy is still in a message");
        assert!(send_message(&here, &[IoSlice::new(b"more")], &[]).is_err());
    }
}
