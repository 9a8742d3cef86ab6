//! Many clients, and either side first.

use std::{
    io::{ErrorKind, Read, Write},
    thread,
};

use local_socket::{ListenerOptions, Name, Stream};

use crate::rig::{Directory, Peer, Watchdog, both_kinds, name, say};

const CLIENTS: usize = 80;
const AT_A_TIME: usize = 6;
/// More than the kernel buffers, so that nobody is done before the other reads.
const BYTES: usize = 1 << 20;

/// What the side `from` sends on the connection of client `id`.
fn content(from: u8, id: usize) -> Vec<u8> {
    (0..BYTES).map(|at| (at * (id + 3) / 7) as u8 ^ from).collect()
}

/// Sends as `me` and receives what `you` sends, at the same time. The receiving side ends with the other's shutdown.
fn exchange(stream: &Stream, id: usize, me: u8, you: u8) {
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut stream = stream;
            stream.write_all(&content(me, id)).unwrap();
            stream.shutdown(std::net::Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        let mut stream = stream;
        stream.read_to_end(&mut received).unwrap();
        assert!(received == content(you, id), "client {id}: {} bytes are not what was sent", received.len());
    });
}

pub(crate) fn client(name: &Name, id: usize) {
    let mut stream = Stream::connect(name.clone()).unwrap();
    stream.write_all(&[id as u8]).unwrap();
    exchange(&stream, id, b'c', b's');
}

fn serve(mut stream: Stream) {
    let mut id = [0];
    stream.read_exact(&mut id).unwrap();
    exchange(&stream, id[0].into(), b's', b'c');
}

#[test]
fn eighty_clients_six_at_a_time_send_and_receive_at_once() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                for stream in listener.incoming().take(CLIENTS) {
                    scope.spawn(|| serve(stream.unwrap()));
                }
            });
            let mut peers = std::collections::VecDeque::new();
            for id in 0..CLIENTS {
                if peers.len() == AT_A_TIME {
                    peers.pop_front().map(Peer::succeeds).unwrap();
                }
                peers.push_back(Peer::start("client", &[kind, &text, &id.to_string()]));
            }
            peers.into_iter().for_each(Peer::succeeds);
        });
    }
}

/// Tries until there is a server.
pub(crate) fn patient_client(name: Name) {
    let mut tries = 0;
    let mut stream = loop {
        match Stream::connect(name.clone()) {
            Ok(stream) => break stream,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");
                tries += 1;
                if tries == 3 {
                    say("tried");
                }
                thread::yield_now();
            }
        }
    };
    stream.write_all(b"here").unwrap();
}

#[test]
fn a_client_that_is_there_first_tries_until_there_is_a_server() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let mut peer = Peer::start("patient client", &[kind, &text]);
        assert_eq!(peer.line(), "tried");
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let mut received = String::new();
        listener.accept().unwrap().read_to_string(&mut received).unwrap();
        assert_eq!(received, "here");
        peer.succeeds();
    }
}

#[test]
fn after_the_server_nobody_is_there() {
    let directory = Directory::new();
    for ((kind, text), expected) in
        both_kinds(&directory).into_iter().zip([ErrorKind::NotFound, ErrorKind::ConnectionRefused])
    {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let client = Stream::connect(name(kind, &text)).unwrap();
        let server = listener.accept().unwrap();
        drop(listener);
        assert_eq!(Stream::connect(name(kind, &text)).unwrap_err().kind(), expected);
        // Who was accepted still is.
        (&client).write_all(b"x").unwrap();
        (&server).read_exact(&mut [0]).unwrap();
        let _again = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        Stream::connect(name(kind, &text)).unwrap();
    }
}
