//! A process that gets an end of a channel, and answers.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom, Write},
    os::fd::OwnedFd,
};

use local_socket::{Error, Handle, RawReceiver, Receiver, Sender, channel};
use rustix::process::{getegid, geteuid, getpid};
use serde::{Deserialize, Serialize};

use crate::{
    by_hand::{borrowed, files, traced},
    inherited,
    rig::{Watchdog, descriptors},
    start,
};

#[derive(Serialize, Deserialize)]
enum Question {
    Length(Vec<u8>, Sender<usize>),
    Shout(Handle<File>, Sender<(Handle<File>, String)>),
    Follow(Receiver<u64>, Sender<u64>),
}

pub(crate) fn answering() {
    let questions = Receiver::<Question>::from(RawReceiver::try_from(inherited()).unwrap());
    loop {
        match questions.recv() {
            Ok(Question::Length(bytes, answer)) => answer.send(bytes.len()).unwrap(),
            Ok(Question::Shout(file, answer)) => {
                let mut file = file.into_inner();
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                file.seek(SeekFrom::Start(0)).unwrap();
                file.write_all(text.to_uppercase().as_bytes()).unwrap();
                answer.send((file.into(), text)).unwrap();
            }
            Ok(Question::Follow(numbers, answer)) => {
                while let Ok(number) = numbers.recv() {
                    answer.send(number * number).unwrap();
                }
            }
            Err(Error::EndOfFile) => return,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn another_process_answers_through_the_channels_that_it_was_sent() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    {
        let (questions, receiver) = channel::<Question>().unwrap();
        let peer = start("answering", &[], receiver.into_raw_receiver());
        for length in [0, 1000, 1 << 20] {
            let (answer, answers) = channel().unwrap();
            questions.send(Question::Length(vec![7; length], answer)).unwrap();
            assert_eq!(answers.recv().unwrap(), length);
            assert!(matches!(answers.recv(), Err(Error::EndOfFile)), "the only sender was there");
        }
        let mut file = File::from(files(1).remove(0));
        file.write_all(b"quiet").unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let (answer, answers) = channel().unwrap();
        questions.send(Question::Shout(file.into(), answer)).unwrap();
        let (file, text) = answers.recv().unwrap();
        let mut file = file.into_inner();
        file.seek(SeekFrom::Start(0)).unwrap();
        let mut loud = String::new();
        file.read_to_string(&mut loud).unwrap();
        assert_eq!((text.as_str(), loud.as_str()), ("quiet", "QUIET"));
        let ((numbers, followed), (answer, answers)) = (channel().unwrap(), channel().unwrap());
        questions.send(Question::Follow(followed, answer)).unwrap();
        for number in 0..100 {
            numbers.send(number).unwrap();
            assert_eq!(answers.recv().unwrap(), number * number);
        }
        drop((numbers, questions));
        assert!(matches!(answers.recv(), Err(Error::EndOfFile)));
        peer.succeeds();
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn the_kernel_says_which_process_has_sent() {
    let _watchdog = Watchdog::new();
    let (questions, receiver) = channel::<Question>().unwrap();
    let peer = start("answering", &[], receiver.into_raw_receiver());
    let (answer, answers) = channel::<usize>().unwrap();
    answers.set_pass_credentials(true).unwrap();
    let ids =
        |credentials: local_socket::Credentials| (credentials.pid.map(i32::from), credentials.uid, credentials.gid);
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    for length in [1, 500_000] {
        questions.send(Question::Length(vec![0; length], answer.clone())).unwrap();
        let (value, sender) = answers.recv_with_credentials().unwrap();
        assert_eq!((value, ids(sender)), (length, (Some(peer.pid()), uid, gid)));
        // The same channel, from here.
        answer.send(9).unwrap();
        let (value, sender) = answers.recv_with_credentials().unwrap();
        assert_eq!((value, ids(sender)), (9, (Some(getpid().as_raw_pid()), uid, gid)));
    }
    let answers = answers.into_raw_receiver();
    questions.send(Question::Length(vec![], answer)).unwrap();
    let (_, _, sender) = answers.recv_with_credentials().unwrap();
    assert_eq!(ids(sender), (Some(peer.pid()), uid, gid));
    assert!(matches!(answers.recv_with_credentials(), Err(Error::EndOfFile)));
    drop(questions);
    peer.succeeds();
}

#[test]
fn ends_go_from_and_into_plain_descriptors() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u8>().unwrap();
    let fd = OwnedFd::from(receiver.into_raw_receiver());
    let clone = sender.clone();
    let shared = OwnedFd::try_from(sender.into_raw_sender()).unwrap();
    let alone = OwnedFd::try_from(clone.into_raw_sender()).unwrap();
    let receiver = Receiver::<u8>::from(RawReceiver::try_from(fd).unwrap());
    for (number, fd) in [shared, alone].into_iter().enumerate() {
        Sender::from(local_socket::RawSender::try_from(fd).unwrap()).send(number as u8).unwrap();
        assert_eq!(usize::from(receiver.recv().unwrap()), number);
    }
    assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
}

#[test]
fn credentials_that_were_not_asked_for_are_an_error_for_that_message_only() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Handle<OwnedFd>>().unwrap();
    let (fd, trace) = traced();
    sender.send(fd.into()).unwrap();
    assert!(matches!(receiver.recv_with_credentials(), Err(Error::NoCredentials)));
    assert!(!trace.is_open());
    receiver.set_pass_credentials(true).unwrap();
    for turn in 0..2 {
        let (sender, receiver) = (sender.clone().into_raw_sender(), &receiver);
        sender.send(b"\0", &borrowed(&files(1))).unwrap();
        let (_, who) = receiver.recv_with_credentials().unwrap();
        assert_eq!(who.pid.map(i32::from), Some(getpid().as_raw_pid()), "{turn}");
    }
    receiver.set_pass_credentials(false).unwrap();
    sender.send(Handle::new(files(1).remove(0))).unwrap();
    assert!(matches!(receiver.recv_with_credentials(), Err(Error::NoCredentials)));
}
