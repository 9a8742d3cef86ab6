//! Bytes and descriptors that are not those of a value.

use std::{collections::HashMap, fs::File, os::fd::OwnedFd, thread};

use local_socket::{Error, Handle, RawSender, Receiver, Sender, deserialize, raw_channel, serialize};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    allocations,
    by_hand::{borrowed, files, lingering, traced},
    rig::{Watchdog, descriptors},
};

/// What decoding must end with, through a channel and without one, with nothing left open.
fn refusal<T: DeserializeOwned>(bytes: &[u8], fds: Vec<OwnedFd>) -> String {
    let (sender, receiver) = raw_channel().unwrap();
    let receiver = Receiver::<T>::from(receiver);
    let before = descriptors() - fds.len();
    sender.send(bytes, &borrowed(&fds)).unwrap();
    let direct = deserialize::<T>(bytes, fds).map(drop).unwrap_err();
    assert_eq!(descriptors(), before, "{direct}");
    let (result, largest) = allocations::largest(|| receiver.recv().map(drop));
    let error = result.unwrap_err();
    assert_eq!(descriptors(), before, "{error}");
    assert!(largest < (1 << 20).max(bytes.len() * 2), "{largest} bytes were asked for");
    assert_eq!(error.to_string(), direct.to_string());
    let Error::Decode(error) = error else { panic!("{error:?}") };
    assert!(!error.to_string().starts_with(char::is_uppercase), "{error}");
    // Nobody's way is blocked.
    sender.send(&[], &[]).unwrap();
    Receiver::<()>::from(receiver.into_raw_receiver()).recv().unwrap();
    error.to_string()
}

type Two = (Handle<File>, Handle<File>);

#[test]
fn each_descriptor_is_in_the_value_exactly_once() {
    let _watchdog = Watchdog::new();
    assert!(deserialize::<Two>(&[0, 1], files(2)).is_ok());
    assert!(deserialize::<Two>(&[1, 0], files(2)).is_ok(), "in any order");
    let none = |came| format!("descriptor 1 is asked for, and {came} came");
    assert_eq!(refusal::<Two>(&[0, 1], files(3)), "1 of the 3 descriptors that came are not in the value");
    assert_eq!(refusal::<Two>(&[0, 1], files(253)), "251 of the 253 descriptors that came are not in the value");
    assert_eq!(refusal::<Two>(&[0, 1], files(1)), none(1));
    assert_eq!(refusal::<Two>(&[1, 0], files(1)), none(1));
    assert_eq!(refusal::<Two>(&[1, 0], files(0)), none(0));
    assert_eq!(refusal::<Two>(&[0, 0], files(1)), "descriptor 0 is asked for twice");
    assert_eq!(refusal::<Two>(&[1, 1], files(2)), "descriptor 1 is asked for twice");
    assert_eq!(refusal::<Two>(&[0, 7], files(2)), "descriptor 7 is asked for, and 2 came");
    assert_eq!(refusal::<Two>(&[2, 0], files(2)), "descriptor 2 is asked for, and 2 came");
    let highest = [0, 0xff, 0xff, 0xff, 0xff, 0x0f];
    assert_eq!(refusal::<Two>(&highest, files(2)), format!("descriptor {} is asked for, and 2 came", u32::MAX));
    assert_eq!(refusal::<Two>(&[0xff, 0xff, 0xff, 0xff, 0x1f, 0], files(2)), "a number too large for its type");
    assert_eq!(refusal::<Vec<Handle<File>>>(&[0], files(1)), "1 of the 1 descriptors that came are not in the value");
    assert_eq!(
        refusal::<Option<Handle<File>>>(&[0], files(2)),
        "2 of the 2 descriptors that came are not in the value"
    );
    assert_eq!(refusal::<u8>(&[7], files(1)), "1 of the 1 descriptors that came are not in the value");
    assert_eq!(refusal::<Vec<Handle<File>>>(&[3, 0, 1, 1], files(3)), "descriptor 1 is asked for twice");
}

#[test]
fn descriptors_of_a_value_that_is_refused_are_closed_everywhere() {
    let _watchdog = Watchdog::new();
    for bytes in [&[0, 0][..], &[0, 1, 2], &[0, 7], &[0]] {
        let ((one, one_is), (other, other_is)) = (traced(), traced());
        refusal::<Two>(bytes, vec![one, other]);
        assert!(!one_is.is_open() && !other_is.is_open(), "{bytes:?}");
    }
}

#[test]
fn what_lingers_in_the_place_of_an_end_of_a_channel_is_closed_at_once() {
    let _watchdog = Watchdog::new();
    let (slow, _reader) = lingering();
    refusal::<Sender<u8>>(&[0], vec![slow]);
    let (slow, _reader) = lingering();
    refusal::<Receiver<u8>>(&[0], vec![slow]);
    let (slow, _reader) = lingering();
    refusal::<Two>(&[0], vec![files(1).remove(0), slow]);
}

#[test]
fn what_lingers_and_is_in_a_value_already_is_closed_at_once_with_it() {
    let _watchdog = Watchdog::new();
    for bytes in [&[1, 9][..], &[1], &[1, 1], &[1, 0, 0]] {
        let (slow, _reader) = lingering();
        refusal::<Two>(bytes, vec![files(1).remove(0), slow]);
    }
    let (slow, _reader) = lingering();
    refusal::<Handle<File>>(&[0], vec![slow, files(1).remove(0)]);
}

#[test]
fn what_lingers_goes_through_as_it_is() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let (slow, reader) = lingering();
    let received = deserialize::<Handle<std::net::TcpStream>>(&[0], vec![slow]).unwrap().into_inner();
    assert!(rustix::net::sockopt::socket_linger(&received).unwrap().is_some());
    assert_eq!(descriptors(), before + 2);
    fdpass::discard([received.into()]);
    drop(reader);
}

#[test]
fn what_is_no_end_of_a_channel_is_refused_in_its_place() {
    let _watchdog = Watchdog::new();
    let stream = || std::os::unix::net::UnixStream::pair().unwrap().0.into();
    let file: fn() -> OwnedFd = || File::open("/dev/null").unwrap().into();
    for (make, why) in [
        (stream as fn() -> OwnedFd, "the descriptor is a Unix socket of another type than seqpacket"),
        (file, "the descriptor is not a socket"),
        (|| std::io::pipe().unwrap().1.into(), "the descriptor is not a socket"),
    ] {
        assert_eq!(refusal::<Sender<u8>>(&[0], vec![make()]), why);
        assert_eq!(refusal::<Receiver<u8>>(&[0], vec![make()]), why);
    }
}

#[test]
fn more_or_fewer_bytes_than_the_value_has_are_refused() {
    let _watchdog = Watchdog::new();
    assert_eq!(refusal::<u8>(&[7, 0], vec![]), "1 byte behind the value");
    assert_eq!(refusal::<()>(&[1, 2, 3], vec![]), "3 bytes behind the value");
    assert_eq!(refusal::<Handle<File>>(&[0, 0], files(1)), "1 byte behind the value");
    assert_eq!(refusal::<u8>(&[], vec![]), "the message ends in the middle of the value");
    assert_eq!(refusal::<String>(&[4, b'a'], vec![]), "the message ends in the middle of the value");
    let value = (String::from("text"), vec![1u64, 1 << 60], HashMap::from([(1, Some('ß'))]));
    let (bytes, _) = serialize(&value).unwrap();
    for length in 0..bytes.len() {
        let text = refusal::<(String, Vec<u64>, HashMap<i32, Option<char>>)>(&bytes[..length], files(1));
        assert_eq!(text, "the message ends in the middle of the value");
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct List(Option<Box<List>>);

#[derive(Debug, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Many(Vec<Tree>),
    With(Box<Tree>, Option<Handle<File>>),
}

fn on_a_small_stack(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().stack_size(128 << 10).spawn(run).unwrap().join().unwrap();
}

#[test]
fn a_million_levels_are_refused_on_a_small_stack() {
    let _watchdog = Watchdog::new();
    on_a_small_stack(|| {
        for text in [
            refusal::<List>(&[1; 1_000_000], files(1)),
            refusal::<Tree>(&[1; 1_000_000], files(1)),
            refusal::<Tree>(&[2; 1_000_000], files(1)),
        ] {
            assert_eq!(text, "nested deeper than 128 levels");
        }
    });
}

#[test]
fn lengths_that_no_message_has_bytes_for_are_refused() {
    let _watchdog = Watchdog::new();
    // 2^60, seven bits a byte.
    let exabyte = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10];
    let too_many = "more elements than the message has bytes for";
    assert_eq!(refusal::<Vec<()>>(&exabyte, files(1)), too_many);
    assert_eq!(refusal::<HashMap<(), ()>>(&exabyte, files(1)), too_many);
    let ends = "the message ends in the middle of the value";
    assert_eq!(refusal::<Vec<u8>>(&exabyte, files(1)), ends);
    assert_eq!(refusal::<Vec<Handle<File>>>(&exabyte, files(1)), ends);
    assert_eq!(refusal::<String>(&exabyte, files(1)), ends);
}

#[test]
fn a_value_of_another_type_is_refused() {
    let _watchdog = Watchdog::new();
    assert_eq!(refusal::<bool>(&[2], files(1)), "a bool that is neither 0 nor 1");
    assert_eq!(refusal::<String>(&[1, 0xff], files(1)), "a string that is not utf-8");
    assert_eq!(refusal::<Tree>(&[9], files(1)), "a value that its type refuses");
}

#[test]
fn a_receiver_of_values_takes_what_a_sender_of_bytes_makes_and_the_other_way_round() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let (typed, bare): (Sender<Two>, RawSender) = (sender.clone().into(), sender);
    let (bytes, fds) = serialize((Handle::new(files(1).remove(0)), 7u8)).unwrap();
    assert_eq!((bytes.as_slice(), fds.len()), ([0, 7].as_slice(), 1));
    bare.send(&bytes, &borrowed(&fds)).unwrap();
    let receiver = Receiver::<(Handle<File>, u8)>::from(receiver);
    assert_eq!(receiver.recv().unwrap().1, 7);
    let [one, other] = [0, 1].map(|_| Handle::new(File::open("/dev/null").unwrap()));
    typed.send((one, other)).unwrap();
    let (bytes, fds) = receiver.into_raw_receiver().recv().unwrap();
    assert_eq!((bytes.as_slice(), fds.len()), ([0, 1].as_slice(), 2));
}
