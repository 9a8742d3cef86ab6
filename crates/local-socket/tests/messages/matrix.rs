//! Every size by every number of descriptors.

use std::os::fd::OwnedFd;

use fdpass::MAX_FDS;
use local_socket::{Attached, Error};
use rustix::net::sockopt::{set_socket_send_buffer_size, socket_send_buffer_size};

use crate::{
    both::{Form, in_both_forms, pair},
    files::{assert_same, borrowed, files},
};

in_both_forms! {
    every_size_goes_with_every_number_of_descriptors
    the_longest_message_fills_the_send_buffer_whatever_its_size
    one_descriptor_too_many_is_an_error_before_a_byte_is_sent
}

/// The longest message that goes. The kernel keeps 32 bytes for itself, `unix_dgram_sendmsg` in Linux.
fn longest(socket: &impl Form) -> usize {
    socket_send_buffer_size(socket).unwrap() - 32
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

async fn arrives<S: Form, const N: usize>(here: &S, there: &S, length: usize) {
    let (sent, bytes) = (files(N), bytes(length));
    let fds = borrowed(&sent);
    here.send_slice(&bytes, &fds).await.unwrap();
    here.send_slice(&bytes, &fds).await.unwrap();
    let (received, open): (_, Vec<OwnedFd>) = there.recv_vec(length).await.unwrap();
    assert!(received == bytes);
    assert_same(&open, &sent);
    let mut buffer = vec![0; length + 1];
    let (received, fixed): (_, [OwnedFd; N]) = there.recv_slice(&mut buffer).await.unwrap();
    assert!(buffer[..received] == bytes);
    assert_same(&fixed, &sent);
}

async fn every_size_goes_with_every_number_of_descriptors<S: Form>() {
    let (here, there) = pair::<S>();
    // Room for two of the longest at once.
    let longest = longest(&here) / 2;
    for length in [0, 1, 4 << 10, longest - 4096] {
        arrives::<S, 0>(&here, &there, length).await;
        arrives::<S, 1>(&here, &there, length).await;
        arrives::<S, 2>(&here, &there, length).await;
        arrives::<S, 64>(&here, &there, length).await;
        arrives::<S, MAX_FDS>(&here, &there, length).await;
    }
}

async fn fills<S: Form, A: Attached>(here: &S, there: &S, fds: &[OwnedFd]) -> A {
    let (longest, fds) = (longest(here), borrowed(fds));
    let bytes = bytes(longest + 1);
    here.send_slice(&bytes[..longest], &fds).await.unwrap();
    let (received, attached) = there.recv_vec(usize::MAX).await.unwrap();
    assert!(received == bytes[..longest]);
    let error = here.send_slice(&bytes, &fds).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { length, room } if (length, room) == (longest + 1, longest)), "{error:?}");
    // The prefix counts.
    let error = here.send_slice_with_len(&bytes[..longest - 7], &fds).await.unwrap_err();
    assert!(matches!(error, Error::TooLong { length, room } if (length, room) == (longest + 1, longest)), "{error:?}");
    attached
}

async fn the_longest_message_fills_the_send_buffer_whatever_its_size<S: Form>() {
    for size in [None, Some(1), Some(10_000), Some(100_000)] {
        let (here, there) = pair::<S>();
        if let Some(size) = size {
            set_socket_send_buffer_size(&here, size).unwrap();
        }
        for number in [0, 1, 2, 64, MAX_FDS] {
            let sent = files(number);
            assert_same(&fills::<_, Vec<OwnedFd>>(&here, &there, &sent).await, &sent);
        }
        // What was refused left nothing behind.
        here.send_slice(b"next", &[]).await.unwrap();
        assert_eq!(there.recv_vec::<[_; 0]>(4).await.unwrap().0, b"next");
    }
}

async fn one_descriptor_too_many_is_an_error_before_a_byte_is_sent<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(MAX_FDS + 1);
    for length in [0, 1, 4 << 10, longest(&here), longest(&here) + 1] {
        let error = here.send_slice(&bytes(length), &borrowed(&sent)).await.unwrap_err();
        assert!(matches!(error, Error::TooManyFds { requested: 254 }), "{error:?}");
    }
    here.send_slice(b"next", &[]).await.unwrap();
    assert_eq!(there.recv_vec::<Vec<OwnedFd>>(4).await.unwrap().0, b"next");
}
