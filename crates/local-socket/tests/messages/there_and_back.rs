//! Every form of sending, and what it is received as.
#![allow(unsafe_code, reason = "structs with padding are sent and received by unsafe calls")]

use std::{
    fmt::Debug,
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, OwnedFd},
};

use local_socket::Error;
use rustix::io::Errno;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    both::{Form, in_both_forms, pair},
    every_form::{STRUCT, every_form},
    files::{Witness, assert_same, files},
};

in_both_forms! {
    bytes_come_as_they_were_sent_in_every_form
    pieces_are_received_into_other_pieces
    more_pieces_than_a_call_takes_are_an_error_and_send_nothing
    a_length_prefix_is_eight_bytes_little_endian
    structs_have_exactly_their_size
    a_padded_struct_is_whole_and_aligned
    a_short_buffer_is_an_error_with_both_sizes_and_the_next_message_is_whole
}

async fn bytes_come_as_they_were_sent_in_every_form<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(2);
    let fds = [sent[0].as_fd(), sent[1].as_fd()];
    for form in every_form() {
        let bytes = b"eleven long";
        form.send(&here, bytes, &fds).await.unwrap();
        let (received, fds): (_, [OwnedFd; 2]) = form.receive(&there, 64).await.unwrap();
        assert_eq!(received, bytes, "{form:?}");
        assert_same(&fds, &sent);
    }
}

async fn pieces_are_received_into_other_pieces<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(1);
    here.send_iovec(&[b"ab".as_slice(), b"", b"cdefg", b"h"].map(IoSlice::new), &[sent[0].as_fd()]).await.unwrap();
    let (mut one, mut two, mut three) = ([0; 1], [0; 4], [0; 6]);
    let empty = &mut [];
    let mut buffers = [&mut one[..], &mut two, empty, &mut three].map(IoSliceMut::new);
    let (length, fds): (_, [OwnedFd; 1]) = there.recv_iovec(&mut buffers).await.unwrap();
    assert_eq!((length, &one, &two, &three), (8, b"a", b"bcde", b"fgh\0\0\0"));
    assert_same(&fds, &sent);
    // As many as a call takes.
    let alphabet: Vec<u8> = (0..1024).map(|at| (at % 26) as u8 + b'a').collect();
    let pieces: Vec<_> = alphabet.chunks(1).map(IoSlice::new).collect();
    here.send_iovec(&pieces, &[]).await.unwrap();
    let mut buffer = [0; 1024];
    let mut buffers: Vec<_> = buffer.chunks_mut(1).map(IoSliceMut::new).collect();
    assert_eq!(there.recv_iovec::<[_; 0]>(&mut buffers).await.unwrap().0, 1024);
    assert_eq!(buffer[..], alphabet);
    // None.
    here.send_iovec(&[], &[]).await.unwrap();
    assert_eq!(there.recv_iovec::<[_; 0]>(&mut []).await.unwrap().0, 0);
}

async fn more_pieces_than_a_call_takes_are_an_error_and_send_nothing<S: Form>() {
    let (here, there) = pair::<S>();
    let is_too_many = |error: &Error| matches!(error, Error::Io(e) if Errno::from_io_error(e) == Some(Errno::MSGSIZE));
    let error = here.send_iovec(&[IoSlice::new(b"x"); 1025], &[]).await.unwrap_err();
    assert!(is_too_many(&error), "{error:?}");
    here.send_slice(b"next", &[]).await.unwrap();
    let mut buffer = [0; 1025];
    let mut buffers: Vec<_> = buffer.chunks_mut(1).map(IoSliceMut::new).collect();
    let error = there.recv_iovec::<[_; 0]>(&mut buffers).await.unwrap_err();
    assert!(is_too_many(&error), "{error:?}");
    assert_eq!(there.recv_vec::<[_; 0]>(4).await.unwrap().0, b"next");
}

async fn a_length_prefix_is_eight_bytes_little_endian<S: Form>() {
    let (here, there) = pair::<S>();
    for content in [b"".as_slice(), b"x", &[7; 300]] {
        here.send_slice_with_len(content, &[]).await.unwrap();
        let raw = there.recv_vec::<[_; 0]>(usize::MAX).await.unwrap().0;
        assert_eq!(raw, [&(content.len() as u64).to_le_bytes(), content].concat());
        here.send_slice_with_len(content, &[]).await.unwrap();
        assert_eq!(there.recv_into_buf_with_len::<[_; 0]>().await.unwrap().0, content);
        here.send_slice_with_len(content, &[]).await.unwrap();
        let mut buffer = vec![0; content.len()];
        assert_eq!(there.recv_slice_with_len::<[_; 0]>(&mut buffer).await.unwrap().0, content.len());
        assert_eq!(buffer, content);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Repaired {
    one: i8,
    reserved: [u8; 3],
    two: u32,
}

async fn structs_have_exactly_their_size<S: Form>() {
    let (here, there) = pair::<S>();
    let value = Repaired { one: -1, reserved: [1, 2, 3], two: u32::MAX - 1 };
    let sent = files(1);
    here.send_struct(&value, &[sent[0].as_fd()]).await.unwrap();
    let (received, fds): (Repaired, [OwnedFd; 1]) = there.recv_struct().await.unwrap();
    assert_eq!(received, value);
    assert_same(&fds, &sent);
    here.send_struct(&(), &[]).await.unwrap();
    let ((), []) = there.recv_struct::<(), [_; 0]>().await.unwrap();
    // A slice has no fixed size to be received as.
    here.send_struct([value; 2].as_slice(), &[]).await.unwrap();
    assert_eq!(there.recv_struct::<[Repaired; 2], [_; 0]>().await.unwrap().0, [value; 2]);
    for length in 0..16 {
        here.send_slice(&[1; 16][..length], &[]).await.unwrap();
        wrong_size(length, there.recv_struct::<Repaired, [_; 0]>().await);
        here.send_slice(&[1; 16][..length], &[]).await.unwrap();
        // SAFETY: any bytes are a value of this type.
        wrong_size(length, unsafe { there.recv_struct_raw::<Repaired, [_; 0]>() }.await);
    }
}

fn wrong_size<T: Debug>(length: usize, received: Result<T, Error>) {
    let right = match &received {
        Ok(_) => length == 8,
        Err(Error::WrongLength { expected: 8, got }) => length < 8 && *got == length as u64,
        Err(Error::TooLong { length: told, room: 8 }) => length > 8 && *told == length,
        Err(_) => false,
    };
    assert!(right, "{length}: {received:?}");
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(C)]
struct Padded {
    one: i8,
    two: u32,
}

async fn a_padded_struct_is_whole_and_aligned<S: Form>() {
    let (here, there) = pair::<S>();
    let value = Padded { one: -1, two: 0xdead_beef };
    let sent = files(1);
    let fds = [sent[0].as_fd()];
    // SAFETY: the peer is this process.
    unsafe { here.send_struct_raw(&value, &fds) }.await.unwrap();
    // SAFETY: any bytes are a value of this type.
    let (received, fds): (Padded, [OwnedFd; 1]) = unsafe { there.recv_struct_raw() }.await.unwrap();
    assert_eq!(received, value);
    assert_eq!((&raw const received).addr() % align_of::<u32>(), 0);
    assert_same(&fds, &sent);
    // The memory of both is the same, and is all that is sent.
    // SAFETY: the peer is this process.
    unsafe { here.send_struct_raw(&value, &[]) }.await.unwrap();
    let memory = there.recv_struct::<Repaired, [_; 0]>().await.unwrap().0;
    assert_eq!((memory.one, memory.two), (value.one, value.two));
    #[repr(align(64))]
    struct Aligned([u8; 64]);
    here.send_slice(&[5; 64], &[]).await.unwrap();
    // SAFETY: any bytes are a value of this type.
    let (received, []) = unsafe { there.recv_struct_raw::<Aligned, [_; 0]>() }.await.unwrap();
    assert_eq!((received.0, (&raw const received).addr() % 64), ([5; 64], 0));
}

async fn a_short_buffer_is_an_error_with_both_sizes_and_the_next_message_is_whole<S: Form>() {
    let (here, there) = pair::<S>();
    // One form makes room for whatever comes.
    for form in every_form().filter(|form| form.most(STRUCT) < usize::MAX) {
        let room = form.most(STRUCT);
        for length in [room + 1, 100, 100_000] {
            let (mut witness, fd) = Witness::new();
            here.send_slice(&vec![9; length], &[fd.as_fd()]).await.unwrap();
            drop(fd);
            let bytes = b"next in row";
            form.send(&here, bytes, &[]).await.unwrap();
            let error = form.receive::<_, Vec<OwnedFd>>(&there, STRUCT).await.unwrap_err();
            let told = matches!(error, Error::TooLong { length: l, room: r } if (l, r) == (length, room));
            assert!(told, "{form:?} {length}: {error:?}");
            assert!(witness.all_closed(), "{form:?}");
            assert_eq!(form.receive::<_, [_; 0]>(&there, STRUCT).await.unwrap().0, bytes, "{form:?}");
        }
    }
}

#[cfg(any(feature = "cbor", feature = "json", feature = "postcard"))]
mod values {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Value {
        Nothing,
        Text { text: String, number: Option<i64> },
        Many(Vec<Value>, BTreeMap<String, f64>),
    }

    fn value() -> Value {
        let text = Value::Text { text: "grüß dich".into(), number: Some(i64::MIN) };
        Value::Many(vec![Value::Nothing, text], BTreeMap::from([("a".into(), 0.1)]))
    }

    /// A value that refuses.
    struct Stubborn;

    impl Serialize for Stubborn {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no"))
        }
    }

    macro_rules! values {
        ($feature:literal, $module:ident, $send:ident, $recv:ident) => {
            #[cfg(feature = $feature)]
            mod $module {
                use super::*;

                in_both_forms! {
                    values_arrive_with_their_descriptors
                    what_is_no_value_is_refused_and_its_descriptors_are_closed
                    a_value_that_cannot_be_encoded_sends_nothing
                }

                async fn values_arrive_with_their_descriptors<S: Form>() {
                    let (here, there) = pair::<S>();
                    let sent = files(3);
                    let fds = crate::files::borrowed(&sent);
                    here.$send(&value(), &fds).await.unwrap();
                    here.$send("unsized", &[]).await.unwrap();
                    here.$send(&(), &[]).await.unwrap();
                    let (received, fds): (Value, [OwnedFd; 3]) = there.$recv().await.unwrap();
                    assert_eq!(received, value());
                    assert_same(&fds, &sent);
                    assert_eq!(there.$recv::<String, [_; 0]>().await.unwrap().0, "unsized");
                    there.$recv::<(), Vec<OwnedFd>>().await.unwrap();
                }

                async fn what_is_no_value_is_refused_and_its_descriptors_are_closed<S: Form>() {
                    let (here, there) = pair::<S>();
                    here.$send(&value(), &[]).await.unwrap();
                    let mut more = there.recv_vec::<[_; 0]>(usize::MAX).await.unwrap().0;
                    let cut = more[..more.len() - 1].to_vec();
                    more.push(b'x');
                    for bytes in [cut, more, vec![0xff; 20]] {
                        let (mut witness, fd) = Witness::new();
                        here.send_slice(&bytes, &[fd.as_fd()]).await.unwrap();
                        drop(fd);
                        let error = there.$recv::<Value, [OwnedFd; 1]>().await.unwrap_err();
                        assert!(matches!(error, Error::Decode(_)), "{bytes:?}: {error:?}");
                        assert!(witness.all_closed());
                        here.$send(&value(), &[]).await.unwrap();
                        assert_eq!(there.$recv::<Value, [_; 0]>().await.unwrap().0, value());
                    }
                }

                async fn a_value_that_cannot_be_encoded_sends_nothing<S: Form>() {
                    let (here, there) = pair::<S>();
                    let error = here.$send(&("half", Stubborn), &[]).await.unwrap_err();
                    assert!(matches!(error, Error::Encode(_)), "{error:?}");
                    here.$send(&1u8, &[]).await.unwrap();
                    assert_eq!(there.$recv::<u8, [_; 0]>().await.unwrap().0, 1);
                }
            }
        };
    }

    values!("cbor", cbor, send_cbor, recv_cbor);
    values!("json", json, send_json, recv_json);
    values!("postcard", postcard, send_postcard, recv_postcard);
}
