//! A stream of three messages, cut into datagrams at all places, received in all forms into all sizes.

use std::os::fd::{AsFd, OwnedFd};

use local_socket::{Error, Socket};

use crate::{
    both::{Form, in_both_forms, pair},
    every_form::{Receiving, STRUCT, WITH_ROOM, WITHOUT_ROOM},
    files::files,
    rig::descriptors,
};

in_both_forms! { each_cut_is_a_whole_message_or_an_error }

#[derive(Debug, PartialEq)]
enum Outcome {
    Whole(Vec<u8>),
    TooLong { length: usize, room: usize },
    WrongLength { expected: u64, got: u64 },
    Malformed,
}

use Outcome::*;

impl Outcome {
    fn of(received: Result<(Vec<u8>, [OwnedFd; 1]), Error>) -> Self {
        match received {
            Ok((bytes, _)) => Whole(bytes),
            Err(Error::TooLong { length, room }) => TooLong { length, room },
            Err(Error::WrongLength { expected, got }) => WrongLength { expected, got },
            Err(Error::Malformed { .. }) => Malformed,
            Err(other) => panic!("{other:?}"),
        }
    }

    /// What must come of a datagram.
    fn expected(form: Receiving, room: usize, datagram: &[u8]) -> Self {
        let length = datagram.len();
        let room = form.most(room);
        match form {
            _ if length > room => TooLong { length, room },
            _ if form.has_prefix() => {
                let Some((prefix, content)) = datagram.split_first_chunk() else { return Malformed };
                let (expected, got) = (u64::from_le_bytes(*prefix), content.len() as u64);
                if got == expected { Whole(content.to_vec()) } else { WrongLength { expected, got } }
            }
            Receiving::Struct | Receiving::StructRaw if length < STRUCT => {
                WrongLength { expected: STRUCT as u64, got: length as u64 }
            }
            _ => Whole(datagram.to_vec()),
        }
    }
}

/// The bytes of three messages, as they are sent.
fn three_messages() -> Vec<u8> {
    let (here, there) = Socket::pair().unwrap();
    let mut bytes = Vec::new();
    for message in [b"".as_slice(), b"\x01", b"end"] {
        here.send_slice_with_len(message, &[]).unwrap();
        bytes.extend(there.recv_vec::<[_; 0]>(usize::MAX).unwrap().0);
    }
    assert_eq!(bytes.len(), 8 + 8 + 1 + 8 + 3);
    bytes
}

async fn each_cut_is_a_whole_message_or_an_error<S: Form>() {
    let (here, (ours, there)) = (files(1), pair::<S>());
    let fds = [here[0].as_fd()];
    let stream = three_messages();
    let (mut whole, mut refused) = (0, 0);
    let before = descriptors();
    for first in 0..=stream.len() {
        for second in first..=stream.len() {
            let datagrams = [&stream[..first], &stream[first..second], &stream[second..]];
            let with_room = WITH_ROOM.into_iter().flat_map(|form| (0..stream.len() + 2).map(move |room| (form, room)));
            for (form, room) in with_room.chain(WITHOUT_ROOM.map(|form| (form, 0))) {
                for datagram in datagrams {
                    ours.send_slice(datagram, &fds).await.unwrap();
                }
                for datagram in datagrams {
                    let outcome = Outcome::of(form.receive(&there, room).await);
                    assert_eq!(outcome, Outcome::expected(form, room, datagram), "{form:?} {room} {datagram:?}");
                    *(if matches!(outcome, Whole(_)) { &mut whole } else { &mut refused }) += 1;
                }
            }
        }
    }
    assert!(whole > 10_000 && refused > 10_000, "{whole} {refused}");
    assert_eq!(descriptors(), before);
}
