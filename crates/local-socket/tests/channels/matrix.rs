//! Every size by every number of descriptors.

use std::{collections::HashSet, os::fd::AsFd};

use local_socket::{Error, Handle, RawReceiver, RawSender, Receiver, Sender, channel, raw_channel};
use rustix::{
    io::{FdFlags, fcntl_getfd},
    net::sockopt::set_socket_send_buffer_size,
};

use crate::{
    by_hand::{self, AHEAD, CAME_AHEAD, IN_MEMORY, INLINE, borrowed, files, header, identities, seqpacket_pair},
    rig::{Watchdog, descriptors},
};

const SIZES: [usize; 7] = [0, 1, 4096, INLINE - 1, INLINE, INLINE + 1, 1 << 20];
const COUNTS: [usize; 5] = [0, 1, 2, 64, 253];
/// What the kernel makes of the smallest that may be asked for.
const SMALL_BUFFER: usize = 4608;

/// Bytes of which none can be in another's place unnoticed.
fn pattern(size: usize) -> Vec<u8> {
    (0..size as u32).map(|place| (place.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn assert_close_on_exec<F: AsFd>(fds: &[F]) {
    assert!(fds.iter().all(|fd| fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC)));
}

fn bytes_go_through(sender: &RawSender, receiver: &RawReceiver) {
    let before = descriptors();
    for size in SIZES {
        for count in COUNTS {
            let (bytes, sent) = (pattern(size), files(count));
            sender.send(&bytes, &borrowed(&sent)).unwrap();
            let (received, fds) = receiver.recv().unwrap();
            assert!(received == bytes, "{size} bytes, {count} descriptors");
            assert_eq!(identities(&fds), identities(&sent));
            assert_close_on_exec(&fds);
        }
        assert_eq!(descriptors(), before);
    }
}

type Value = (Vec<u8>, Vec<Handle<std::fs::File>>);

fn values_go_through(sender: &Sender<Value>, receiver: &Receiver<Value>) {
    let before = descriptors();
    for size in SIZES {
        for count in COUNTS {
            let (bytes, sent) = (pattern(size), files(count));
            let expected = identities(&sent);
            sender.send((bytes.clone(), sent.into_iter().map(|fd| Handle::new(fd.into())).collect())).unwrap();
            assert_eq!(descriptors(), before, "sent and closed");
            let (received, handles) = receiver.recv().unwrap();
            assert!(received == bytes, "{size} bytes, {count} descriptors");
            assert_eq!(identities(&handles), expected);
            assert_close_on_exec(&handles);
        }
        assert_eq!(descriptors(), before);
    }
}

#[test]
fn any_size_goes_with_any_number_of_descriptors_and_waits_for_no_reader() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    bytes_go_through(&sender, &receiver);
    let (sender, receiver) = channel().unwrap();
    values_go_through(&sender, &receiver);
}

#[test]
fn any_size_goes_through_the_smallest_of_buffers() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    set_socket_send_buffer_size(&sender, 1).unwrap();
    bytes_go_through(&sender, &receiver);
    let (sender, receiver) = channel().unwrap();
    set_socket_send_buffer_size(&sender, 1).unwrap();
    values_go_through(&sender, &receiver);
}

/// The kind of the message that lies in the socket, which is as described.
fn on_the_wire(buffer: Option<usize>, size: usize, count: usize) -> u16 {
    let (near, far) = seqpacket_pair();
    if let Some(buffer) = buffer {
        set_socket_send_buffer_size(&near, buffer).unwrap();
    }
    let bytes = pattern(size);
    RawSender::try_from(near).unwrap().send(&bytes, &borrowed(&files(count))).unwrap();
    let (mut datagram, mut fds) = by_hand::receive(&far);
    let mut kind = u16::from_le_bytes([datagram[4], datagram[5]]);
    if kind == AHEAD {
        assert_eq!((&datagram[..16], fds.len()), (header(AHEAD, 0, size as u64).as_slice(), 1));
        let ticket = datagram.split_off(16);
        (datagram, fds) = by_hand::receive(&far);
        assert_eq!(datagram.split_off(16), ticket);
        kind = CAME_AHEAD;
    }
    assert_eq!(datagram[..16], header(kind, count as u16, size as u64));
    assert!(datagram[16..] == bytes[..if kind == 0 { size } else { 0 }]);
    let beside = usize::from(kind == IN_MEMORY);
    assert_eq!(fds.len(), beside + count);
    kind
}

#[test]
fn what_fits_goes_in_the_message_and_the_rest_beside_it() {
    let _watchdog = Watchdog::new();
    for size in SIZES {
        for count in COUNTS {
            let beside = if count == 253 { CAME_AHEAD } else { IN_MEMORY };
            let expected = if size > INLINE { beside } else { 0 };
            assert_eq!(on_the_wire(None, size, count), expected, "{size} bytes, {count} descriptors");
            let expected = if size > 4096 { beside } else { 0 };
            assert_eq!(on_the_wire(Some(1), size, count), expected, "{size} bytes, {count} descriptors, small");
        }
    }
    let longest = (0..SMALL_BUFFER).rev().find(|size| on_the_wire(Some(1), *size, 0) == 0).unwrap();
    assert!(longest > 4000, "the small buffer is used: {longest}");
}

#[test]
fn one_descriptor_too_many_is_an_error_before_a_byte_is_sent() {
    let _watchdog = Watchdog::new();
    let sent = files(254);
    for size in SIZES {
        let (near, far) = seqpacket_pair();
        let sender = RawSender::try_from(near).unwrap();
        let error = sender.send(&pattern(size), &borrowed(&sent)).unwrap_err();
        assert!(matches!(error, Error::TooManyFds { requested: 254 }), "{error:?}");
        assert_eq!(error.to_string(), "254 descriptors are more than the 253 of one message");
        let nothing = fdpass::try_recv_fds(&far, &mut [0], 0);
        assert!(matches!(nothing, Err(fdpass::Error::WouldBlock)), "{nothing:?}");
    }
}

#[test]
fn the_same_descriptor_may_go_many_times() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let file = files(1);
    sender.send(b"", &[file[0].as_fd(); 253]).unwrap();
    let (_, fds) = receiver.recv().unwrap();
    assert_eq!(fds.len(), 253);
    assert_eq!(HashSet::<(u64, u64)>::from_iter(identities(&fds)), HashSet::from_iter(identities(&file)));
}
