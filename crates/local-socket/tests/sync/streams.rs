//! What goes through a stream.

use std::{
    io::{ErrorKind, IoSlice, IoSliceMut, Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    thread,
    time::Duration,
};

use local_socket::{Listener, ListenerOptions, Name, Stream};

use crate::rig::{Directory, Peer, Watchdog, taking, unique};

const TIME: Duration = Duration::from_millis(100);

fn pair() -> (Stream, Stream) {
    let (one, other) = UnixStream::pair().unwrap();
    (one.into(), other.into())
}

/// Fills what the kernel buffers.
fn fill(mut stream: &Stream) {
    stream.set_nonblocking(true).unwrap();
    while stream.write(&[0; 4096]).is_ok() {}
    while stream.write(&[0]).is_ok() {}
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn bytes_come_out_as_they_went_in() {
    let _watchdog = Watchdog::new();
    let (mut one, mut other) = pair();
    // More pieces than one call takes.
    let bytes: Vec<u8> = (0..3000_u32).map(|at| (at % 251) as u8).collect();
    let pieces: Vec<_> = bytes.chunks(1).map(IoSlice::new).collect();
    assert_eq!(one.write_vectored(&pieces).unwrap(), 1024);
    one.write_all(&bytes[1024..]).unwrap();
    let mut received = vec![0; 2000];
    let mut rooms: Vec<_> = received.chunks_mut(1).map(IoSliceMut::new).collect();
    assert_eq!(other.read_vectored(&mut rooms).unwrap(), 1024);
    other.read_exact(&mut received[1024..]).unwrap();
    assert_eq!(received, bytes[..2000]);
    let (mut short, mut long) = ([0; 3], [0; 2000]);
    assert_eq!(other.read_vectored(&mut [IoSliceMut::new(&mut short), IoSliceMut::new(&mut long)]).unwrap(), 1000);
    assert_eq!([&short[..], &long[..997]].concat(), bytes[2000..]);
    one.flush().unwrap();
}

#[test]
fn nothing_to_move_is_no_wait() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    for timeout in [None, Some(TIME)] {
        one.set_recv_timeout(timeout).unwrap();
        assert_eq!((&one).read(&mut []).unwrap(), 0);
        assert_eq!((&one).read_vectored(&mut []).unwrap(), 0);
        assert_eq!((&one).read_vectored(&mut [IoSliceMut::new(&mut [])]).unwrap(), 0);
        assert_eq!((&one).write(&[]).unwrap(), 0);
        assert_eq!((&one).write_vectored(&[IoSlice::new(&[]); 2]).unwrap(), 0);
    }
    drop(other);
}

#[test]
fn a_read_and_a_write_end_in_time() {
    let _watchdog = Watchdog::new();
    let (one, _other) = pair();
    fill(&one);
    one.set_recv_timeout(Some(TIME)).unwrap();
    one.set_send_timeout(Some(TIME)).unwrap();
    let mut room = [0];
    let kinds = [
        taking(TIME, || (&one).read(&mut room)),
        taking(TIME, || (&one).read_vectored(&mut [IoSliceMut::new(&mut [0; 9])])),
        taking(TIME, || (&one).write(b"x")),
        taking(TIME, || (&one).write_vectored(&[IoSlice::new(b"x")])),
    ]
    .map(|result| result.unwrap_err().kind());
    assert_eq!(kinds, [ErrorKind::TimedOut; 4]);
    // A clone has taken them over.
    assert_eq!(taking(TIME, || one.try_clone().unwrap().read(&mut [0])).unwrap_err().kind(), ErrorKind::TimedOut);
    let (mut recv, mut send) = one.split();
    recv.set_timeout(Some(2 * TIME)).unwrap();
    send.set_timeout(Some(3 * TIME)).unwrap();
    assert_eq!(taking(2 * TIME, || recv.read(&mut [0])).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(taking(3 * TIME, || send.write(b"x")).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_timeout_is_no_wait_when_there_is_no_need() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    for timeout in [Duration::from_nanos(1), Duration::MAX] {
        one.set_recv_timeout(Some(timeout)).unwrap();
        other.set_send_timeout(Some(timeout)).unwrap();
        (&other).write_all(b"there").unwrap();
        (&one).read_exact(&mut [0; 5]).unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| (&one).read_exact(&mut [0; 1 << 20]).unwrap());
        (&other).write_all(&[0; 1 << 20]).unwrap();
    });
    one.set_nonblocking(true).unwrap();
    assert_eq!((&one).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    one.set_nonblocking(false).unwrap();
    drop(other);
    assert_eq!((&one).read(&mut [0]).unwrap(), 0, "an end is something to read");
}

#[test]
fn a_timeout_of_zero_is_refused() {
    let (one, _other) = pair();
    for result in [one.set_recv_timeout(Some(Duration::ZERO)), one.set_send_timeout(Some(Duration::ZERO))] {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn one_thread_reads_while_another_writes() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut bytes = [0; 9];
            (&other).read_exact(&mut bytes).unwrap();
            (&other).write_all(&bytes).unwrap();
        });
        let read = scope.spawn(|| {
            let mut bytes = [0; 9];
            (&one).read_exact(&mut bytes).unwrap();
            bytes
        });
        (&one).write_all(b"and again").unwrap();
        assert_eq!(&read.join().unwrap(), b"and again");
    });
}

#[test]
fn halves_work_alone_and_make_a_stream_again() {
    let _watchdog = Watchdog::new();
    let (one, mut other) = pair();
    let (recv, mut send) = one.split();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut recv = &recv;
            let mut bytes = [0; 4];
            recv.read_exact(&mut bytes).unwrap();
            assert_eq!(&bytes, b"back");
        });
        send.write_all(b"there").unwrap();
        assert_eq!((&send).write_vectored(&[IoSlice::new(b"!")]).unwrap(), 1);
        let mut bytes = [0; 6];
        other.read_exact(&mut bytes).unwrap();
        assert_eq!(&bytes, b"there!");
        other.write_all(b"back").unwrap();
    });
    let mut one = Stream::reunite(recv, send).unwrap();
    one.write_all(b"one").unwrap();
    other.read_exact(&mut [0; 3]).unwrap();
}

#[test]
fn halves_of_different_streams_are_given_back() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    let ((one_recv, one_send), (other_recv, other_send)) = (one.split(), other.split());
    let error = Stream::reunite(one_recv, other_send).unwrap_err();
    assert_eq!(error.to_string(), "the two halves belong to different streams");
    let one = Stream::reunite(error.rh, one_send).unwrap();
    let mut other = Stream::reunite(other_recv, error.sh).unwrap();
    (&one).write_all(b"x").unwrap();
    other.read_exact(&mut [0]).unwrap();
}

#[test]
fn only_both_halves_or_a_shutdown_end_a_stream() {
    let _watchdog = Watchdog::new();
    let (one, mut other) = pair();
    let (mut recv, send) = one.split();
    drop(send);
    other.set_nonblocking(true).unwrap();
    assert_eq!(other.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    other.write_all(b"x").unwrap();
    recv.read_exact(&mut [0]).unwrap();
    drop(recv);
    assert_eq!(other.read(&mut [0]).unwrap(), 0);

    let (one, mut other) = pair();
    let (mut recv, send) = one.split();
    send.shutdown().unwrap();
    assert_eq!(other.read(&mut [0]).unwrap(), 0);
    other.write_all(b"x").unwrap();
    recv.read_exact(&mut [0]).unwrap();
    assert_eq!((&send).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn a_shutdown_ends_the_direction_that_it_names() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    one.shutdown(Shutdown::Read).unwrap();
    assert_eq!((&one).read(&mut [0]).unwrap(), 0);
    assert_eq!((&other).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    (&one).write_all(b"x").unwrap();
    (&other).read_exact(&mut [0]).unwrap();
    one.shutdown(Shutdown::Both).unwrap();
    assert_eq!((&other).read(&mut [0]).unwrap(), 0);
}

#[test]
fn a_clone_is_the_same_connection() {
    let _watchdog = Watchdog::new();
    let (one, mut other) = pair();
    let clone = one.try_clone().unwrap();
    drop(one);
    (&clone).write_all(b"x").unwrap();
    other.read_exact(&mut [0]).unwrap();
    drop(clone);
    assert_eq!(other.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_error_that_waits_is_taken_once() {
    let _watchdog = Watchdog::new();
    let (one, other) = pair();
    assert!(one.take_error().unwrap().is_none());
    (&one).write_all(b"unread").unwrap();
    // Closing a socket with something unread in it resets the connection.
    drop(other);
    assert_eq!(one.take_error().unwrap().unwrap().kind(), ErrorKind::ConnectionReset);
    assert!(one.take_error().unwrap().is_none());
}

#[test]
fn credentials_name_the_process_at_the_other_end() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let mut server = Peer::start("server", &["path", path.to_str().unwrap()]);
    assert_eq!(server.line(), "listening");
    let client = Stream::connect(directory.name("socket")).unwrap();
    assert_eq!(client.peer_credentials().unwrap().pid.unwrap().get(), server.pid());

    let text = unique();
    let listener = ListenerOptions::new(Name::namespaced(&text).unwrap()).create_sync().unwrap();
    let mut peer = Peer::start("reader", &["abstract", &text]);
    let credentials = listener.accept().unwrap().peer_credentials().unwrap();
    assert_eq!(credentials.pid.unwrap().get(), peer.pid());
    assert_eq!(credentials.uid, rustix::process::geteuid().as_raw());
    assert_eq!(credentials.gid, rustix::process::getegid().as_raw());
    peer.tell();
    peer.succeeds();
}

#[test]
fn the_unix_stream_inside_comes_out_and_goes_in() {
    let _watchdog = Watchdog::new();
    let (one, mut other) = pair();
    let mut one = UnixStream::from(one);
    one.write_all(b"out").unwrap();
    let mut one = Stream::from(one);
    one.write_all(b"in").unwrap();
    other.read_exact(&mut [0; 5]).unwrap();
}

#[test]
fn everything_can_go_to_another_thread_and_be_shared() {
    fn check<T: Send + Sync + std::fmt::Debug>() {}
    check::<Stream>();
    check::<Listener>();
    check::<Name>();
    check::<local_socket::RecvHalf>();
    check::<local_socket::SendHalf>();
    check::<local_socket::ReuniteError>();
    check::<ListenerOptions>();
    check::<local_socket::ConnectOptions>();
}
