//! The end of a channel, and ends of channels in the values of others.

use local_socket::{
    Error,
    tokio::{Receiver, Sender, channel, raw_channel},
};
use serde::{Deserialize, Serialize};

use crate::{
    held,
    rig::{Watchdog, descriptors},
    runtimes,
};

#[tokio::test]
async fn what_was_sent_before_the_sender_went_comes_before_the_end() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Option<String>>().unwrap();
    let values = [None, Some(String::new()), Some("x".repeat(500_000))];
    for value in values.clone() {
        sender.send(value).await.unwrap();
    }
    drop(sender);
    for value in values {
        assert_eq!(receiver.recv().await.unwrap(), value);
    }
    for _ in 0..3 {
        assert!(matches!(receiver.recv().await, Err(Error::EndOfFile)));
        assert!(matches!(receiver.try_recv(), Err(Error::EndOfFile)));
    }
}

#[tokio::test]
async fn a_value_without_bytes_and_a_message_without_bytes_are_no_end() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<()>().unwrap();
    sender.send(()).await.unwrap();
    receiver.recv().await.unwrap();
    let (sender, receiver) = raw_channel().unwrap();
    sender.send(&[], &[]).await.unwrap();
    let (bytes, fds) = receiver.recv().await.unwrap();
    assert_eq!((bytes.len(), fds.len()), (0, 0));
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
}

#[tokio::test]
async fn who_sent_a_message_is_told_to_who_has_asked() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u32>().unwrap();
    sender.send(1).await.unwrap();
    assert!(matches!(receiver.recv_with_credentials().await, Err(Error::NoCredentials)));
    receiver.set_pass_credentials(true).unwrap();
    sender.send(2).await.unwrap();
    let (number, sent_by) = receiver.recv_with_credentials().await.unwrap();
    let here = (rustix::process::getpid().as_raw_nonzero(), rustix::process::geteuid().as_raw());
    assert_eq!((number, sent_by.pid, sent_by.uid), (2, Some(here.0), here.1));
}

#[tokio::test]
async fn who_sends_to_nobody_is_told_and_has_the_value_still() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<(String, Sender<u32>)>().unwrap();
    drop(receiver);
    let (answers, answer) = channel().unwrap();
    let refused = sender.send(("x".repeat(500_000), answers)).await.unwrap_err();
    assert!(matches!(refused.error, Error::Closed), "{refused:?}");
    let (text, answers) = refused.value;
    assert_eq!(text.len(), 500_000);
    answers.send(1).await.unwrap();
    assert_eq!(answer.recv().await.unwrap(), 1);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_and_the_next_is_received() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    let receiver = Receiver::<bool>::from(receiver);
    let before = descriptors();
    sender.send(&[2], &[]).await.unwrap();
    sender.send(&[1], &[std::os::fd::AsFd::as_fd(&std::io::stderr())]).await.unwrap();
    sender.send(&[1], &[]).await.unwrap();
    for _ in 0..2 {
        assert!(matches!(receiver.recv().await, Err(Error::Decode(_))));
    }
    assert!(receiver.recv().await.unwrap());
    assert_eq!(descriptors(), before);
}

#[tokio::test]
async fn a_receiver_takes_no_more_than_its_limit() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    receiver.set_limit(300_000);
    for size in [300_000, 300_001, 0] {
        sender.send(&vec![0; size], &[]).await.unwrap();
    }
    assert_eq!(receiver.recv().await.unwrap().0.len(), 300_000);
    let error = receiver.recv().await.unwrap_err();
    assert!(matches!(error, Error::TooLong { length: 300_001, room: 300_000 }), "{error}");
    assert_eq!(receiver.recv().await.unwrap().0.len(), 0);
}

#[derive(Serialize, Deserialize)]
enum Task {
    Sum(Vec<i64>, Sender<i64>),
    Join(Receiver<String>, Sender<String>),
}

#[test]
fn ends_that_came_in_a_value_are_used_to_answer() {
    let before = held();
    for runtime in runtimes() {
        let watchdog = Watchdog::new();
        runtime.block_on(async {
            let (ask, asked) = channel::<Task>().unwrap();
            let work = tokio::spawn(async move {
                loop {
                    match asked.recv().await {
                        Ok(Task::Sum(numbers, answers)) => answers.send(numbers.iter().sum()).await.unwrap(),
                        Ok(Task::Join(words, answers)) => {
                            let mut text = String::new();
                            while let Ok(word) = words.recv().await {
                                text += &word;
                            }
                            answers.send(text).await.unwrap();
                        }
                        Err(Error::EndOfFile) => break,
                        Err(other) => panic!("{other}"),
                    }
                }
            });
            let (answers, answer) = channel().unwrap();
            ask.send(Task::Sum(vec![23, 42], answers)).await.unwrap();
            assert_eq!(answer.recv().await.unwrap(), 65);
            assert!(matches!(answer.recv().await, Err(Error::EndOfFile)), "the end that was sent is closed here");

            let (words, of_words) = channel().unwrap();
            let (answers, answer) = channel().unwrap();
            ask.send(Task::Join(of_words, answers)).await.unwrap();
            for word in ["a", "b", "c"] {
                words.send(word.to_owned()).await.unwrap();
            }
            drop(words);
            assert_eq!(answer.recv().await.unwrap(), "abc");
            drop(ask);
            work.await.unwrap();
        });
        drop((runtime, watchdog));
        assert_eq!(held(), before);
    }
}

#[tokio::test]
async fn an_end_that_was_not_received_is_closed_with_the_channel() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Sender<u32>>().unwrap();
    let (inner, waiting) = channel().unwrap();
    sender.send(inner).await.unwrap();
    drop(receiver);
    assert!(matches!(waiting.recv().await, Err(Error::EndOfFile)));
}
