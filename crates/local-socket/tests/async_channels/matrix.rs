//! Messages of every size with every number of descriptors.

use std::os::fd::{AsFd, OwnedFd};

use local_socket::{
    Handle,
    tokio::{channel, raw_channel},
};
use rustix::fs::{MemfdFlags, fstat, memfd_create};

use crate::{
    held,
    rig::{Watchdog, descriptors},
    runtimes,
};

/// The longest payload that lies in the datagram: docs/channels.md.
const INLINE: usize = 192 * 1024 - 16;

const SIZES: [usize; 7] = [0, 1, 4096, INLINE - 1, INLINE, INLINE + 1, 1 << 20];
const COUNTS: [usize; 5] = [0, 1, 2, 64, 253];

/// So many files, no two of which are one.
fn files(count: usize) -> Vec<OwnedFd> {
    (0..count).map(|_| memfd_create(c"one of many", MemfdFlags::CLOEXEC).unwrap()).collect()
}

fn which(files: &[impl AsFd]) -> Vec<u64> {
    files.iter().map(|file| fstat(file).unwrap().st_ino).collect()
}

/// Bytes in which a piece that is missing or in the wrong place shows.
fn bytes(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at % 251) as u8).collect()
}

#[test]
fn bytes_of_any_size_come_with_any_number_of_descriptors() {
    let _watchdog = Watchdog::new();
    held();
    for runtime in runtimes() {
        runtime.block_on(async {
            for size in SIZES {
                let (sender, receiver) = raw_channel().unwrap();
                let sent = bytes(size);
                for count in COUNTS {
                    let before = descriptors();
                    let files = files(count);
                    let fds: Vec<_> = files.iter().map(AsFd::as_fd).collect();
                    sender.send(&sent, &fds).await.unwrap();
                    let (received, fds) = receiver.recv().await.unwrap();
                    assert!(received == sent, "{size} bytes with {count} descriptors");
                    assert_eq!(which(&fds), which(&files), "{size} bytes with {count} descriptors");
                    drop((files, fds));
                    assert_eq!(descriptors(), before, "{size} bytes with {count} descriptors");
                }
            }
        });
    }
}

#[test]
fn values_of_any_size_come_with_any_number_of_handles_and_close_them_here() {
    let _watchdog = Watchdog::new();
    held();
    for runtime in runtimes() {
        runtime.block_on(async {
            for size in SIZES {
                let (sender, receiver) = channel::<(String, Vec<Handle<OwnedFd>>)>().unwrap();
                for count in COUNTS {
                    let before = descriptors();
                    let files = files(count);
                    let expected = which(&files);
                    let text = "x".repeat(size);
                    sender.send((text.clone(), files.into_iter().map(Handle::new).collect())).await.unwrap();
                    let (received, handles) = receiver.recv().await.unwrap();
                    assert!(received == text, "{size} bytes with {count} handles");
                    assert_eq!(which(&handles), expected, "{size} bytes with {count} handles");
                    assert_eq!(descriptors(), before + count, "those that were sent are closed");
                    drop(handles);
                    assert_eq!(descriptors(), before, "{size} bytes with {count} handles");
                }
            }
        });
    }
}

#[tokio::test]
async fn one_descriptor_more_than_a_message_carries_sends_nothing_and_gives_the_value_back() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Vec<Handle<OwnedFd>>>().unwrap();
    let before = descriptors();
    let refused = sender.send(files(254).into_iter().map(Handle::new).collect()).await.unwrap_err();
    assert!(matches!(refused.error, local_socket::Error::TooManyFds { requested: 254 }), "{refused:?}");
    assert_eq!((refused.value.len(), descriptors()), (254, before + 254));
    drop(refused);
    assert_eq!(descriptors(), before);
    sender.send(Vec::new()).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().len(), 0, "nothing came before it");
}
