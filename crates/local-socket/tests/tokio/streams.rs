//! The streams and listeners of tokio: what arrives, who is woken, what a dropped future has done, and what is left open.

use std::{
    future::poll_fn,
    io::{ErrorKind, IoSlice, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::{UnixListener, UnixStream},
    },
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use local_socket::{
    ConnectOptions, ListenerOptions, Name,
    tokio::{Listener, Stream},
};
use rustix::fs::{OFlags, fcntl_getfl};
use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt},
    spawn,
    task::yield_now,
};

use crate::{
    held, names, now,
    rig::{Directory, Watchdog, descriptors},
};

/// Both ends of a connection.
pub(crate) fn pair() -> (Stream, Stream) {
    let (one, other) = tokio::net::UnixStream::pair().unwrap();
    (one.into(), other.into())
}

/// Polls until the runtime has seen every event there is, finds nothing, and drops the future.
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

/// Writes until there is no room, and returns how many bytes went.
pub(crate) async fn fill(stream: &Stream) -> usize {
    let mut total = 0;
    while let Some(written) = now((&mut &*stream).write(&[b'.'; 8192])).await {
        total += written.unwrap();
    }
    total
}

#[tokio::test]
async fn bytes_go_both_ways_under_both_kinds_of_name_and_the_path_goes_with_the_listener() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
        let (server, client) = tokio::join!(listener.accept(), Stream::connect(name.clone()));
        let (mut server, mut client) = (server.unwrap(), client.unwrap());
        client.write_all(b"from the client").await.unwrap();
        server.write_all(b"from the server").await.unwrap();
        let mut text = [0; 15];
        server.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"from the client");
        client.read_exact(&mut text).await.unwrap();
        assert_eq!(&text, b"from the server");
        drop(listener);
        assert_eq!(directory.names().len(), 0);
        let error = Stream::connect(name).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");
    }
}

#[tokio::test]
async fn a_path_that_is_not_to_be_reclaimed_stays_and_is_taken_by_the_next_server() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let mut listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
    listener.do_not_reclaim_name_on_drop();
    drop(listener);
    assert_eq!(directory.names().len(), 1);
    drop(ListenerOptions::new(name).create_tokio().unwrap());
    assert_eq!(directory.names().len(), 0);
}

#[test]
fn a_name_is_given_back_when_the_listener_cannot_be_made_for_want_of_a_runtime() {
    let directory = Directory::new();
    let [name, _] = names(&directory);
    std::panic::catch_unwind(|| ListenerOptions::new(name).create_tokio()).unwrap_err();
    assert_eq!(directory.names().len(), 0);
}

#[tokio::test]
async fn a_socket_from_a_supervisor_is_listened_at_and_other_descriptors_are_refused() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let socket = UnixListener::bind(name.as_path().unwrap()).unwrap();
    let listener = Listener::try_from(OwnedFd::from(socket)).unwrap();
    let (server, client) = tokio::join!(listener.accept(), Stream::connect(name));
    drop((server.unwrap(), client.unwrap(), listener));
    assert_eq!(directory.names().len(), 1, "it was the supervisor's");
    let (one, _) = UnixStream::pair().unwrap();
    assert_eq!(Listener::try_from(OwnedFd::from(one)).unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_reader_and_a_writer_through_shared_references_are_both_woken() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = pair();
    let ours = Arc::new(ours);
    let filled = fill(&ours).await;
    let writer = spawn({
        let ours = Arc::clone(&ours);
        async move { (&*ours).write_all(b"when there is room").await }
    });
    yield_now().await;
    let reader = spawn({
        let ours = Arc::clone(&ours);
        async move {
            let mut byte = [0];
            (&*ours).read_exact(&mut byte).await.map(|_| byte)
        }
    });
    // Both wait, the reader since later.
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!writer.is_finished() && !reader.is_finished());
    let mut everything = vec![0; filled + 18];
    (&theirs).read_exact(&mut everything).await.unwrap();
    assert_eq!(&everything[filled..], b"when there is room");
    writer.await.unwrap().unwrap();
    assert!(!reader.is_finished());
    (&theirs).write_all(b"x").await.unwrap();
    assert_eq!(reader.await.unwrap().unwrap(), *b"x");
}

#[tokio::test]
async fn halves_read_and_write_and_only_those_of_one_stream_are_put_together() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = pair();
    let (mut receive, mut send) = ours.split();
    let (mut their_receive, mut their_send) = theirs.split();
    let (sent, received): (Vec<u8>, _) = ((0..1 << 20).map(|place: u32| (place % 251) as u8).collect(), async {
        let mut received = vec![0; 1 << 20];
        their_receive.read_exact(&mut received).await.map(|_| received)
    });
    let (written, received) = tokio::join!(send.write_all(&sent), received);
    written.unwrap();
    assert!(received.unwrap() == sent);
    their_send.write_all(b"back").await.unwrap();
    let mut text = [0; 4];
    receive.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"back");

    let error = Stream::reunite(receive, their_send).unwrap_err();
    let (receive, their_send) = (error.rh, error.sh);
    let ours = Stream::reunite(receive, send).unwrap();
    let mut theirs = Stream::reunite(their_receive, their_send).unwrap();
    drop(ours);
    assert_eq!(theirs.read(&mut text).await.unwrap(), 0);
}

#[tokio::test]
async fn a_dropped_half_ends_nothing_and_shutdown_ends_one_direction() {
    let _watchdog = Watchdog::new();
    let (ours, mut theirs) = pair();
    let (mut receive, send) = ours.split();
    drop(send);
    cancel(theirs.read(&mut [0])).await;
    theirs.write_all(b"x").await.unwrap();
    assert_eq!(receive.read(&mut [0; 2]).await.unwrap(), 1);

    let (ours, mut theirs) = pair();
    let (mut receive, mut send) = ours.split();
    send.write_all(b"last").await.unwrap();
    send.flush().await.unwrap();
    send.shutdown().await.unwrap();
    assert_eq!(send.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut text = String::new();
    theirs.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "last");
    theirs.write_all(b"still").await.unwrap();
    drop(theirs);
    text.clear();
    receive.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "still");
}

#[tokio::test]
async fn pieces_are_written_in_one_call_in_their_order_however_many_there_are() {
    let _watchdog = Watchdog::new();
    let (mut ours, mut theirs) = pair();
    assert!(ours.is_write_vectored());
    let written = ours.write_vectored(&[IoSlice::new(b"a"), IoSlice::new(b""), IoSlice::new(b"bc")]).await;
    assert_eq!(written.unwrap(), 3);
    let mut text = [0; 3];
    theirs.read_exact(&mut text).await.unwrap();
    assert_eq!(&text, b"abc");
    let many = [IoSlice::new(b"m"); 3000];
    assert!((1..=3000).contains(&ours.write_vectored(&many).await.unwrap()));
}

#[tokio::test]
async fn bytes_behind_a_message_with_descriptors_are_read_without_another_event() {
    let _watchdog = Watchdog::new();
    let (ours, mut theirs) = pair();
    let file = std::fs::File::open("/dev/null").unwrap();
    let before = descriptors();
    for _ in 0..3 {
        fdpass::try_send_fds(&ours, b"with", &[file.as_fd()]).unwrap();
        fdpass::try_send_fds(&ours, b"behind", &[]).unwrap();
        let mut text = [0; 64];
        let mut length = 0;
        while length < 10 {
            length += theirs.read(&mut text[length..]).await.unwrap();
        }
        assert_eq!(&text[..length], b"withbehind");
    }
    assert_eq!(descriptors(), before, "descriptors that nobody asked for");
}

#[tokio::test]
async fn an_empty_buffer_is_read_at_once_and_a_large_one_gets_what_is_there() {
    let _watchdog = Watchdog::new();
    let (mut ours, mut theirs) = pair();
    assert_eq!(theirs.read(&mut []).await.unwrap(), 0);
    assert_eq!(ours.write(&[]).await.unwrap(), 0);
    ours.write_all(b"some").await.unwrap();
    assert_eq!(theirs.read(&mut vec![0; 1 << 22]).await.unwrap(), 4);
    let mut text = Vec::with_capacity(1 << 22);
    ours.write_all(b"more").await.unwrap();
    assert_eq!(theirs.read_buf(&mut text).await.unwrap(), 4);
    assert_eq!(text, b"more");
    cancel(theirs.read_buf(&mut text)).await;
}

#[tokio::test]
async fn dropped_futures_have_taken_no_byte_and_no_client() {
    let _watchdog = Watchdog::new();
    let (mut ours, mut theirs) = pair();
    cancel(theirs.read(&mut [0; 8])).await;
    ours.write_all(b"whole").await.unwrap();
    let mut text = [0; 5];
    assert_eq!(theirs.read(&mut text).await.unwrap(), 5);
    let filled = fill(&ours).await;
    cancel(ours.write(b"x")).await;
    let mut everything = vec![0; filled];
    theirs.read_exact(&mut everything).await.unwrap();
    cancel(theirs.read(&mut text)).await;

    let directory = Directory::new();
    let [name, _] = names(&directory);
    let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
    cancel(listener.accept()).await;
    let _client = Stream::connect(name).await.unwrap();
    listener.accept().await.unwrap();
}

#[tokio::test]
async fn several_tasks_wait_for_clients_at_once() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let listener = Arc::new(ListenerOptions::new(name.clone()).create_tokio().unwrap());
    let acceptors = [(); 3].map(|()| {
        let listener = Arc::clone(&listener);
        spawn(async move { listener.accept().await.map(drop) })
    });
    yield_now().await;
    let _clients =
        tokio::try_join!(Stream::connect(name.clone()), Stream::connect(name.clone()), Stream::connect(name));
    for acceptor in acceptors {
        acceptor.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_stream_says_who_is_there_and_becomes_the_others_and_back() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    let client = ConnectOptions::new(name).connect_sync().unwrap();
    let listener = Listener::try_from(listener).unwrap();
    let mut server = listener.accept().await.unwrap();
    let credentials = server.peer_credentials().unwrap();
    assert_eq!(credentials.pid.unwrap().get().unsigned_abs(), std::process::id());
    assert!(server.take_error().unwrap().is_none());

    let mut client = Stream::try_from(client).unwrap();
    cancel(client.read(&mut [0])).await;
    server.write_all(b"1").await.unwrap();
    assert_eq!(client.read(&mut [0; 2]).await.unwrap(), 1);

    let mut client = local_socket::Stream::try_from(client).unwrap();
    assert!(!fcntl_getfl(&client).unwrap().contains(OFlags::NONBLOCK));
    let reader = std::thread::spawn(move || {
        let mut byte = [0];
        client.read_exact(&mut byte).map(|()| client)
    });
    server.write_all(b"2").await.unwrap();
    let mut client = reader.join().unwrap().unwrap();
    client.write_all(b"3").unwrap();
    assert_eq!(server.read(&mut [0; 2]).await.unwrap(), 1);

    let inside = tokio::net::UnixStream::from(server);
    drop(Stream::from(inside));
    drop(local_socket::Listener::from(listener));
    assert_eq!(directory.names().len(), 0);
}

#[tokio::test]
async fn two_thousand_connections_and_as_many_failures_leave_no_descriptor_and_no_thread() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
        let nobody = directory.name("nobody");
        std::fs::write(directory.path("file"), "").unwrap();
        let in_the_way = ListenerOptions::new(directory.name("file"));
        let before = held();
        for _ in 0..2000 {
            let (server, client) = tokio::join!(listener.accept(), Stream::connect(name.clone()));
            let ((mut receive, _send), mut client) = (server.unwrap().split(), client.unwrap());
            client.write_all(b"x").await.unwrap();
            receive.read_exact(&mut [0]).await.unwrap();
            Stream::connect(nobody.clone()).await.unwrap_err();
            in_the_way.create_tokio().unwrap_err();
        }
        assert_eq!(held(), before);
    }
}

#[test]
fn what_tasks_need_is_true() {
    fn both<T: Send + Sync + Unpin>() {}
    both::<Stream>();
    both::<Listener>();
    fn sends<T: Send>(_: T) {}
    sends(ConnectOptions::new(Name::namespaced("nobody").unwrap()).connect_tokio());
    let _: fn(Pin<&mut Stream>) -> bool = |stream| stream.is_write_vectored();
}
