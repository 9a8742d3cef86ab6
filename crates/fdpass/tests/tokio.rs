//! The functions for tokio's sockets, and what is left when their futures are dropped.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::{
    future::{Future, poll_fn},
    io,
    os::fd::OwnedFd,
    pin::pin,
    task::Poll,
};

use ::tokio::{
    net::{UnixDatagram, UnixStream},
    task::yield_now,
};
use fdpass::{
    Error,
    tokio::{recv_fd, recv_fds, send_fd, send_fds},
    try_recv_fds, try_send_fds,
};
use rig::{Watchdog, borrowed, files, fill, identities, identity, open_descriptors};

/// Polls until the runtime has seen every event there is, and then drops the future.
async fn cancel<F: Future>(future: F) {
    let mut future = pin!(future);
    for _ in 0..10 {
        poll_fn(|context| {
            assert!(future.as_mut().poll(context).is_pending());
            Poll::Ready(())
        })
        .await;
        yield_now().await;
    }
}

/// What `recv_fd` says to a payload with this many descriptors, after which the peer closes.
async fn verdict(payload: &[u8], count: usize, tag: &[u8]) -> Result<OwnedFd, Error> {
    let (here, there) = UnixStream::pair().unwrap();
    let sent = files(count);
    send_fds(&here, payload, &borrowed(&sent)).await.unwrap();
    drop((here, sent));
    let before = open_descriptors();
    let result = recv_fd(&there, tag).await;
    assert_eq!(open_descriptors(), before + usize::from(result.is_ok()));
    result
}

#[tokio::test]
async fn descriptors_arrive_on_a_stream() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    let sent = files(3);
    let receive = async {
        let mut buf = [0; 16];
        let received = recv_fds(&there, &mut buf, 3).await.unwrap();
        assert_eq!(&buf[..received.len], b"three");
        assert_eq!(identities(&received.fds), identities(&sent));
    };
    let send = async { send_fds(&here, b"three", &borrowed(&sent)).await.unwrap() };
    assert_eq!(tokio::join!(receive, send).1, 5);
}

#[tokio::test]
async fn descriptors_arrive_on_datagrams() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixDatagram::pair().unwrap();
    let sent = files(1);
    send_fds(&here, b"one", &borrowed(&sent)).await.unwrap();
    send_fd(&here, &sent[0], b"tag").await.unwrap();
    send_fd(&here, &sent[0], b"ta").await.unwrap();
    let received = recv_fds(&there, &mut [0; 16], 1).await.unwrap();
    assert_eq!(identities(&received.fds), identities(&sent));
    let received = recv_fd(&there, b"tag").await.unwrap();
    assert_eq!(identity(received), identity(&sent[0]));
    assert!(matches!(recv_fd(&there, b"tag").await, Err(Error::WrongTag)));
}

#[tokio::test]
async fn a_descriptor_arrives_under_its_tag() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    let file = &files(1)[0];
    let (received, sent) = tokio::join!(recv_fd(&there, b"tag"), send_fd(&here, file, b"tag"));
    sent.unwrap();
    assert_eq!(identity(received.unwrap()), identity(file));
}

#[tokio::test]
async fn bytes_behind_the_tag_stay_on_the_stream() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    send_fds(&here, b"tagtail", &borrowed(&files(1))).await.unwrap();
    recv_fd(&there, b"tag").await.unwrap();
    let mut buf = [0; 16];
    let received = recv_fds(&there, &mut buf, 0).await.unwrap();
    assert_eq!(&buf[..received.len], b"tail");
}

#[tokio::test]
async fn a_tag_in_pieces_arrives_wherever_the_descriptor_is() {
    let _watchdog = Watchdog::new();
    for carrier in 0..3 {
        let (here, there) = UnixStream::pair().unwrap();
        let sent = files(1);
        let send = async {
            for (place, piece) in [b"a", b"b", b"c"].into_iter().enumerate() {
                let fds = if place == carrier { borrowed(&sent) } else { Vec::new() };
                send_fds(&here, piece, &fds).await.unwrap();
                yield_now().await;
                yield_now().await;
            }
        };
        let (received, ()) = tokio::join!(recv_fd(&there, b"abc"), send);
        assert_eq!(identity(received.unwrap()), identity(&sent[0]));
    }
}

#[tokio::test]
async fn wrong_tags_and_counts_are_refused_and_nothing_stays_open() {
    let _watchdog = Watchdog::new();
    assert!(matches!(verdict(b"tog", 1, b"tag").await, Err(Error::WrongTag)));
    assert!(matches!(verdict(b"tag", 0, b"tag").await, Err(Error::Missing)));
    assert!(matches!(verdict(b"tag", 2, b"tag").await, Err(Error::Surplus { .. })));
    assert!(matches!(verdict(b"tag", 1, b"").await, Err(Error::BadTagLength { length: 0 })));
    assert!(verdict(b"tag", 1, b"tag").await.is_ok());
}

#[tokio::test]
async fn the_end_of_the_stream_is_told_before_and_inside_a_tag() {
    let _watchdog = Watchdog::new();
    assert!(matches!(verdict(b"ta", 1, b"tag").await, Err(Error::EndOfFile)));
    let (here, there) = UnixStream::pair().unwrap();
    let close = async {
        yield_now().await;
        drop(here);
    };
    let (received, ()) = tokio::join!(recv_fd(&there, b"tag"), close);
    assert!(matches!(received, Err(Error::EndOfFile)));
    assert!(matches!(recv_fds(&there, &mut [0], 0).await, Err(Error::EndOfFile)));
}

#[tokio::test]
async fn a_reset_connection_is_told_as_such() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    try_send_fds(&there, b"unread", &[]).unwrap();
    drop(here);
    let error = io::Error::from(recv_fd(&there, b"tag").await.unwrap_err());
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_dropped_receive_takes_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    cancel(recv_fds(&there, &mut [0], 1)).await;
    let sent = files(1);
    send_fds(&here, b"x", &borrowed(&sent)).await.unwrap();
    let received = recv_fds(&there, &mut [0], 1).await.unwrap();
    assert_eq!(identities(&received.fds), identities(&sent));
}

#[tokio::test]
async fn a_receive_dropped_in_the_middle_of_a_tag_takes_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    let sent = files(1);
    let before = open_descriptors();
    send_fds(&here, b"t", &borrowed(&sent)).await.unwrap();
    cancel(recv_fd(&there, b"tag")).await;
    send_fds(&here, b"a", &[]).await.unwrap();
    cancel(recv_fd(&there, b"tag")).await;
    assert_eq!(open_descriptors(), before);
    send_fds(&here, b"g", &[]).await.unwrap();
    let received = recv_fd(&there, b"tag").await.unwrap();
    assert_eq!(identity(received), identity(&sent[0]));
}

#[tokio::test]
async fn a_dropped_send_sends_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    let mut queued = fill(&here);
    let sent = files(1);
    cancel(send_fds(&here, b"x", &borrowed(&sent))).await;
    cancel(send_fd(&here, &sent[0], b"x")).await;
    while queued > 0 {
        queued -= try_recv_fds(&there, &mut [0; 4096], 0).unwrap().len;
    }
    assert!(matches!(try_recv_fds(&there, &mut [0], 1), Err(Error::WouldBlock)));
}

#[tokio::test]
async fn a_full_socket_is_waited_for() {
    let _watchdog = Watchdog::new();
    let (here, there) = UnixStream::pair().unwrap();
    let queued = fill(&here);
    let sent = files(1);
    let receive = async {
        let mut left = queued;
        while left > 0 {
            yield_now().await;
            let mut buf = [0; 4096];
            let room = left.min(buf.len());
            left -= recv_fds(&there, &mut buf[..room], 0).await.unwrap().len;
        }
        recv_fd(&there, &[7; 255]).await.unwrap()
    };
    let (received, result) = tokio::join!(receive, send_fd(&here, &sent[0], &[7; 255]));
    result.unwrap();
    assert_eq!(identity(received), identity(&sent[0]));
}

#[tokio::test]
async fn the_futures_can_move_to_another_thread() {
    fn movable(_: impl Send) {}
    let (here, there) = UnixStream::pair().unwrap();
    let file = &files(1)[0];
    movable(send_fds(&here, b"x", &[]));
    movable(recv_fds(&there, &mut [0], 1));
    movable(send_fd(&here, file, b"x"));
    movable(recv_fd(&there, b"x"));
}
