//! Ends that change between waiting in the kernel and waiting in a runtime.

use std::{
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

use local_socket::{Error, tokio as of_tokio};
use rustix::fs::{OFlags, fcntl_getfl};

use crate::{
    held,
    rig::{HANG, Watchdog, descriptors},
    sleeps_in_recvmsg,
};

/// That no copy of the end anywhere, also in a program of another kind, is made nonblocking.
fn assert_blocking(end: impl AsFd) {
    assert!(!fcntl_getfl(end).unwrap().contains(OFlags::NONBLOCK));
}

#[tokio::test]
async fn an_end_keeps_its_messages_and_its_limit_through_both_kinds_and_back() {
    let _watchdog = Watchdog::new();
    held();
    let before = descriptors();
    let (sender, receiver) = local_socket::raw_channel().unwrap();
    receiver.set_limit(5);
    sender.send(b"first", &[]).unwrap();

    let (sender, receiver) =
        (of_tokio::RawSender::try_from(sender).unwrap(), of_tokio::RawReceiver::try_from(receiver).unwrap());
    assert_blocking(&sender);
    assert_blocking(&receiver);
    sender.send(b"second", &[]).await.unwrap();
    sender.send(b"third", &[]).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().0, b"first");
    assert!(matches!(receiver.recv().await, Err(Error::TooLong { length: 6, room: 5 })));

    let (sender, receiver) =
        (local_socket::RawSender::try_from(sender).unwrap(), local_socket::RawReceiver::try_from(receiver).unwrap());
    assert_blocking(&sender);
    assert_blocking(&receiver);
    sender.send(b"fourth", &[]).unwrap();
    assert_eq!(receiver.recv().unwrap().0, b"third");
    assert!(matches!(receiver.recv(), Err(Error::TooLong { length: 6, room: 5 })));
    assert_eq!(descriptors(), before + 2, "no copies");
}

#[tokio::test]
async fn a_sender_with_a_clone_becomes_one_of_the_other_kind_and_the_clone_stays() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = local_socket::channel::<u32>().unwrap();
    let clone = of_tokio::RawSender::try_from(sender.clone().into_raw_sender()).unwrap();
    let clone: of_tokio::Sender<u32> = clone.into();
    let again = local_socket::RawSender::try_from(clone.clone().into_raw_sender()).unwrap();
    let again: local_socket::Sender<u32> = again.into();
    sender.send(1).unwrap();
    clone.send(2).await.unwrap();
    again.send(3).unwrap();
    for number in 1..=3 {
        assert_eq!(receiver.recv().unwrap(), number);
    }
}

#[test]
fn a_sync_end_waits_though_a_copy_of_it_is_in_a_runtime() {
    let _watchdog = Watchdog::new();
    held();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sender, receiver) = local_socket::channel::<u32>().unwrap();
    let copy = receiver.as_fd().try_clone_to_owned().unwrap();
    let in_runtime = {
        let _context = runtime.enter();
        of_tokio::RawReceiver::try_from(copy).unwrap()
    };
    thread::scope(|scope| {
        let waiting = scope.spawn(|| receiver.recv());
        // It sleeps in the kernel, which a nonblocking socket would not do.
        while !sleeps_in_recvmsg(std::process::id()) {
            thread::yield_now();
        }
        sender.send(5).unwrap();
        assert_eq!(waiting.join().unwrap().unwrap(), 5);
    });
    drop((in_runtime, runtime));
}

#[test]
fn outside_of_a_runtime_it_is_an_error_and_everything_is_closed() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    assert!(of_tokio::raw_channel().is_err());
    assert!(of_tokio::channel::<u32>().is_err());
    assert!(of_tokio::duplex::<u32, u32>().is_err());
    assert!(of_tokio::Bootstrapper::<u32>::new().is_err());
    let (sender, receiver) = local_socket::raw_channel().unwrap();
    assert!(of_tokio::RawSender::try_from(sender).is_err());
    assert!(of_tokio::RawReceiver::try_from(receiver).is_err());
    assert_eq!(descriptors(), before);
}

#[test]
fn an_end_for_tokio_that_comes_outside_of_a_runtime_is_an_error_and_closed() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let (sender, receiver) = local_socket::channel::<(local_socket::Sender<u32>, u32)>().unwrap();
    let receiver: local_socket::Receiver<(of_tokio::Sender<u32>, u32)> = receiver.into_raw_receiver().into();
    let (inner, other_end) = local_socket::channel().unwrap();
    sender.send((inner, 1)).unwrap();
    let error = receiver.recv().unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error}");
    assert!(matches!(other_end.recv(), Err(Error::EndOfFile)), "it is closed");
    drop((sender, receiver, other_end));
    assert_eq!(descriptors(), before);
}

#[tokio::test]
async fn a_descriptor_that_is_no_seqpacket_socket_is_no_end() {
    let before = descriptors();
    let pipe = || OwnedFd::from(std::io::pipe().unwrap().0);
    let stream = || OwnedFd::from(std::os::unix::net::UnixStream::pair().unwrap().0);
    for fd in [pipe, stream] {
        assert!(of_tokio::RawSender::try_from(fd()).is_err());
        assert!(of_tokio::RawReceiver::try_from(fd()).is_err());
    }
    assert_eq!(descriptors(), before);
}

#[tokio::test]
async fn a_timeout_of_a_sync_end_is_kept_after_it_was_in_a_runtime() {
    const TIME: Duration = Duration::from_millis(50);
    let _watchdog = Watchdog::new();
    let (_sender, receiver) = of_tokio::channel::<u32>().unwrap();
    let receiver = local_socket::RawReceiver::try_from(receiver.into_raw_receiver()).unwrap();
    let start = std::time::Instant::now();
    assert!(matches!(receiver.recv_timeout(TIME), Err(Error::TimedOut)));
    assert!((TIME..HANG * TIME).contains(&start.elapsed()));
}
