//! Descriptors: as many after 2 000 transfers as before, also of those that failed.

use std::{fs::File, os::fd::AsFd};

use local_socket::{
    Error, Handle,
    tokio::{Receiver, Sender, channel, raw_channel},
};
use serde::{Deserialize, Serialize};

use crate::{
    held,
    rig::{Watchdog, descriptors},
    runtimes,
};

const TIMES: u32 = 2000;

/// A value with ends of channels, one of which carries others.
#[derive(Serialize, Deserialize)]
struct Nested {
    file: Handle<File>,
    deeper: Receiver<Nested>,
    answers: Sender<u32>,
}

fn nested(deeper: Receiver<Nested>) -> (Nested, Receiver<u32>) {
    let (answers, answer) = channel().unwrap();
    (Nested { file: File::open("/dev/null").unwrap().into(), deeper, answers }, answer)
}

#[test]
fn two_thousand_transfers_of_channels_in_channels_leave_no_descriptor() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let (sender, receiver) = channel::<Nested>().unwrap();
            let before = descriptors();
            for number in 0..TIMES {
                let (inner_sender, inner) = channel().unwrap();
                // One that lies in a channel that is itself on its way.
                let (innermost, _) = nested(channel().unwrap().1);
                inner_sender.send(innermost).await.unwrap();
                let (value, answer) = nested(inner);
                sender.send(value).await.unwrap();
                let received = receiver.recv().await.unwrap();
                received.answers.send(number).await.unwrap();
                assert_eq!(answer.recv().await.unwrap(), number);
                if number % 2 == 0 {
                    received.deeper.recv().await.unwrap();
                }
            }
            assert_eq!(descriptors(), before);
        });
    }
}

#[tokio::test]
async fn no_error_leaves_a_descriptor_either() {
    let _watchdog = Watchdog::new();
    held();
    let (sender, receiver) = raw_channel().unwrap();
    let typed: Receiver<Nested> = receiver.into();
    let nobody = {
        let (nobody, gone) = channel::<Nested>().unwrap();
        drop(gone);
        nobody
    };
    let null = File::open("/dev/null").unwrap();
    let before = descriptors();
    for _ in 0..TIMES / 10 {
        // Out of range, twice the same, of a wrong kind, one too many, and not a value at all.
        for (bytes, count) in
            [(&[0, 1, 2][..], 1), (&[0, 0, 0], 3), (&[0, 1, 2], 3), (&[0, 1, 2], 4), (&[9; 9], 2), (&[], 0)]
        {
            sender.send(bytes, &vec![null.as_fd(); count]).await.unwrap();
            assert!(matches!(typed.recv().await, Err(Error::Decode(_))), "{bytes:?} with {count}");
        }
        let (value, _) = nested(channel().unwrap().1);
        drop(nobody.send(value).await.unwrap_err());
        assert_eq!(descriptors(), before);
    }
}
