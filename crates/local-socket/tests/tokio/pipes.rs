//! Pipes and FIFO files with tokio.

use std::io::{ErrorKind, Read};

use local_socket::{
    create_fifo,
    pipe::{self as sync, Ends},
    tokio::pipe::{OpenOptions, Receiver, Sender, pipe},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    task::yield_now,
};

use crate::rig::{Directory, Watchdog, descriptors};

#[tokio::test]
async fn more_than_a_pipe_holds_arrives_and_the_end_after_it() {
    let _watchdog = Watchdog::new();
    let (reader, writer) = sync::nonblocking(Ends::Both).unwrap();
    let ours = (Sender::from_owned_fd(writer.into()).unwrap(), Receiver::from_owned_fd(reader.into()).unwrap());
    for (mut sender, mut receiver) in [pipe().unwrap(), ours] {
        let sent: Vec<u8> = (0..1 << 20).map(|place: u32| (place % 251) as u8).collect();
        let mut received = Vec::new();
        let send = async {
            sender.write_all(&sent).await.unwrap();
            sender.flush().await.unwrap();
            drop(sender);
        };
        let ((), read) = tokio::join!(send, receiver.read_to_end(&mut received));
        read.unwrap();
        assert!(received == sent);
    }
}

#[tokio::test]
async fn flush_does_not_wait_for_the_reader() {
    let _watchdog = Watchdog::new();
    let (mut sender, receiver) = pipe().unwrap();
    sender.write_all(b"kept").await.unwrap();
    sender.flush().await.unwrap();
    drop(sender);
    let mut receiver = std::io::PipeReader::from(receiver.into_blocking_fd().unwrap());
    let mut text = String::new();
    receiver.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept");
}

#[tokio::test]
async fn the_other_end_that_goes_wakes_who_waits() {
    let _watchdog = Watchdog::new();
    let (sender, mut receiver) = pipe().unwrap();
    let reader = tokio::spawn(async move { receiver.read(&mut [0]).await });
    yield_now().await;
    drop(sender);
    assert_eq!(reader.await.unwrap().unwrap(), 0);

    let (mut sender, receiver) = pipe().unwrap();
    let writer = tokio::spawn(async move { sender.write_all(&vec![0; 1 << 20]).await });
    yield_now().await;
    drop(receiver);
    assert_eq!(writer.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[tokio::test]
async fn a_fifo_is_opened_without_waiting() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("fifo");
    create_fifo(&path, 0o600).unwrap();
    let mut receiver = OpenOptions::new().open_receiver(&path).unwrap();
    let mut sender = OpenOptions::new().open_sender(&path).unwrap();
    sender.write_all(b"x").await.unwrap();
    assert_eq!(receiver.read(&mut [0; 2]).await.unwrap(), 1);
}

#[tokio::test]
async fn two_thousand_pipes_leave_no_descriptor() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for _ in 0..2000 {
        let (mut sender, mut receiver) = pipe().unwrap();
        sender.write_all(b"x").await.unwrap();
        receiver.read_u8().await.unwrap();
        let (reader, writer) = sync::pipe().unwrap();
        // Not the end that it takes.
        Sender::from_owned_fd(reader.into()).unwrap_err();
        Receiver::from_owned_fd(writer.into()).unwrap_err();
    }
    assert_eq!(descriptors(), before);
}
