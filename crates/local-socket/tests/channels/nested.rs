//! Channels in channels in channels.

use std::fs::File;

use local_socket::{Error, Handle, Receiver, SendError, channel};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};

use crate::{
    by_hand::{files, identities},
    rig::{Watchdog, descriptors},
};

/// A file, in so many channels, each in the next.
#[derive(Debug, Serialize, Deserialize)]
enum Nest {
    File(Handle<File>),
    In(Receiver<Nest>),
}

/// As deep as asked for, or as the kernel lets it be; and how deep that is.
fn nest(file: File, depth: usize) -> (Nest, usize) {
    let mut nest = Nest::File(file.into());
    for done in 0..depth {
        let (sender, receiver) = channel().unwrap();
        nest = match sender.send(nest) {
            Ok(()) => Nest::In(receiver),
            Err(SendError { error, value }) => {
                let Error::Io(error) = error else { panic!("{error:?}") };
                assert_eq!(error.raw_os_error(), Some(Errno::ETOOMANYREFS as i32), "{error}");
                return (value, done);
            }
        };
    }
    (nest, depth)
}

fn unnest(mut nest: Nest) -> (File, usize) {
    let mut depth = 0;
    loop {
        nest = match nest {
            Nest::File(file) => return (file.into_inner(), depth),
            Nest::In(receiver) => receiver.recv().unwrap(),
        };
        depth += 1;
    }
}

#[test]
fn two_thousand_nested_transfers_leave_no_descriptor() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for turn in 0..2000 {
        let file = File::from(files(1).remove(0));
        let identity = identities(&[&file]);
        let (nest, depth) = nest(file, turn % 4 + 1);
        assert_eq!(descriptors(), before + 1, "all are on their way but the outermost");
        if turn % 3 == 0 {
            drop(nest);
        } else {
            let (file, levels) = unnest(nest);
            assert_eq!((identities(&[file]), levels), (identity, depth));
        }
        assert_eq!(descriptors(), before);
    }
}

#[test]
fn channels_nest_as_deep_as_the_kernel_lets_them() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for _ in 0..3 {
        let file = File::from(files(1).remove(0));
        let identity = identities(&[&file]);
        let (nest, depth) = nest(file, 200);
        assert!(depth >= 4, "{depth}");
        assert_eq!(descriptors(), before + 1);
        let (file, levels) = unnest(nest);
        assert_eq!((identities(&[file]), levels), (identity, depth));
        assert_eq!(descriptors(), before);
    }
}

#[test]
fn a_channel_may_be_sent_through_itself_and_leaves_nothing() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for _ in 0..200 {
        // Nobody can reach it any more: the kernel collects it.
        let (sender, receiver) = channel::<Nest>().unwrap();
        sender.send(Nest::In(receiver)).unwrap();
    }
    assert_eq!(descriptors(), before);
}
