//! Peers that are gone: before the other side looks, while it waits, and after they have said everything.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
};

use local_socket::{ListenerOptions, Name, Stream};
use rustix::io::Errno;

use crate::rig::{Directory, Peer, Watchdog, both_kinds, hear, name, raises_sigpipe, say};

/// Listens, accepts when told, and waits for its end.
pub(crate) fn server(name: Name) {
    let listener = ListenerOptions::new(name).create_sync().unwrap();
    say("listening");
    let stream = listener.accept().unwrap();
    say("accepted");
    hear();
    drop((stream, listener));
}

/// Writes, and ends: `at once`, or when told.
pub(crate) fn writer(name: Name, ending: &str) {
    let mut stream = Stream::connect(name).unwrap();
    stream.write_all(b"all that there is").unwrap();
    say("written");
    if ending != "at once" {
        hear();
    }
}

/// Connects and reads nothing.
pub(crate) fn reader(name: Name) {
    let _stream = Stream::connect(name).unwrap();
    say("connected");
    hear();
}

#[test]
fn a_client_that_went_before_it_was_accepted_is_heard_to_the_end() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        Peer::start("writer", &[kind, &text, "at once"]).succeeds();
        let mut stream = listener.accept().unwrap();
        let mut received = String::new();
        stream.read_to_string(&mut received).unwrap();
        assert_eq!(received, "all that there is");
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
}

#[test]
fn a_killed_client_ends_what_waits_for_it() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let mut peer = Peer::start("writer", &[kind, &text, "when told"]);
        let mut stream = listener.accept().unwrap();
        assert_eq!(peer.line(), "written");
        let reading = thread::spawn(move || {
            let mut received = String::new();
            stream.read_to_string(&mut received).map(|_| received)
        });
        peer.kill();
        assert_eq!(reading.join().unwrap().unwrap(), "all that there is");
    }
}

#[test]
fn a_killed_reader_ends_a_write_that_waits_for_room() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let mut peer = Peer::start("reader", &[kind, &text]);
        let stream = listener.accept().unwrap();
        assert_eq!(peer.line(), "connected");
        stream.set_nonblocking(true).unwrap();
        while (&stream).write(&[0; 4096]).is_ok() {}
        stream.set_nonblocking(false).unwrap();
        let writing = thread::spawn(move || (&stream).write_all(&[0; 4096]));
        peer.kill();
        let kind = writing.join().unwrap().unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
    }
}

#[test]
fn a_killed_server_ends_its_clients_and_is_refused_to_new_ones() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let mut peer = Peer::start("server", &[kind, &text]);
        assert_eq!(peer.line(), "listening");
        let mut stream = Stream::connect(name(kind, &text)).unwrap();
        assert_eq!(peer.line(), "accepted");
        let waiting = Stream::connect(name(kind, &text)).unwrap();
        peer.kill();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        assert_eq!(stream.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        // This one was never accepted.
        let kind_of_end = (&waiting).read(&mut [0]).map_err(|error| error.kind());
        assert!(matches!(kind_of_end, Ok(0) | Err(ErrorKind::ConnectionReset)), "{kind_of_end:?}");
        assert_eq!(Stream::connect(name(kind, &text)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn no_write_to_a_peer_that_is_gone_raises_a_signal() {
    let _watchdog = Watchdog::new();
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    drop(theirs);
    let ours = Stream::from(ours);
    let raised = raises_sigpipe(|| {
        assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
        let pieces = [std::io::IoSlice::new(b"x")];
        assert_eq!((&ours).write_vectored(&pieces).unwrap_err().kind(), ErrorKind::BrokenPipe);
        ours.set_send_timeout(Some(std::time::Duration::from_secs(1))).unwrap();
        assert_eq!((&ours).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
    let can_be_seen = raises_sigpipe(|| assert_eq!(rustix::io::write(&ours, b"x"), Err(Errno::PIPE)));
    assert!(can_be_seen && !raised, "a signal came: {raised}; it would be seen: {can_be_seen}");
}
