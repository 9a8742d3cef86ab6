//! Connecting, with a full backlog above all.

use std::{
    error::Error,
    fs,
    io::{ErrorKind, Read, Write},
    sync::mpsc,
    thread,
    time::Duration,
};

use local_socket::{ConnectOptions, ConnectWaitMode, Listener, ListenerOptions, Name, Stream};
use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::Errno,
    net::sockopt::{Timeout, socket_timeout},
};

use crate::rig::{Directory, Watchdog, both_kinds, name, taking};

pub(crate) const TIME: Duration = Duration::from_millis(120);
const MODES: [ConnectWaitMode; 3] =
    [ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout(TIME), ConnectWaitMode::Deferred];

/// A server whose backlog is full, and who fills it.
pub(crate) fn full(name: &Name) -> (Listener, Stream) {
    let listener = ListenerOptions::new(name.clone()).backlog(0).create_sync().unwrap();
    // One is let in although nobody accepts it.
    let first = connect(name, ConnectWaitMode::Deferred).unwrap();
    (listener, first)
}

fn connect(name: &Name, mode: ConnectWaitMode) -> std::io::Result<Stream> {
    ConnectOptions::new(name.clone()).wait_mode(mode).connect_sync()
}

#[test]
fn a_full_backlog_is_waited_for_as_long_as_asked() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let name = name(kind, &text);
        let (listener, _first) = full(&name);
        let error = taking(TIME, || connect(&name, ConnectWaitMode::Timeout(TIME))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let error = connect(&name, ConnectWaitMode::Timeout(Duration::ZERO)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
        let error = connect(&name, ConnectWaitMode::Deferred).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        assert_eq!(error.to_string(), format!("{name}: the server's backlog is full: not connected, try again"));
        drop(listener);
    }
}

#[test]
fn who_waits_for_a_full_backlog_is_let_in_when_there_is_room() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        for mode in [ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout(Duration::MAX)] {
            let _watchdog = Watchdog::new();
            let name = name(kind, &text);
            let (listener, _first) = full(&name);
            thread::scope(|scope| {
                let client = scope.spawn(|| {
                    let mut stream = connect(&name, mode).unwrap();
                    stream.write_all(b"second").unwrap();
                });
                drop(listener.accept().unwrap());
                let mut received = String::new();
                listener.accept().unwrap().read_to_string(&mut received).unwrap();
                assert_eq!(received, "second");
                client.join().unwrap();
            });
        }
    }
}

/// Waits until a thread of this process sleeps.
fn until_asleep(thread: &str) {
    let asleep = || {
        let status = fs::read_to_string(format!("/proc/{thread}/stat")).unwrap();
        status.rsplit(')').next().unwrap().starts_with(" S")
    };
    while !asleep() {
        thread::yield_now();
    }
}

#[test]
fn a_server_that_goes_refuses_who_waits_for_room() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        for mode in [ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout(Duration::MAX)] {
            let _watchdog = Watchdog::new();
            let name = name(kind, &text);
            let (listener, _first) = full(&name);
            thread::scope(|scope| {
                let (starts, start) = mpsc::channel();
                let name = &name;
                let client = scope.spawn(move || {
                    let path = fs::read_link("/proc/thread-self").unwrap();
                    starts.send(path.to_str().unwrap().to_owned()).unwrap();
                    connect(name, mode)
                });
                until_asleep(&start.recv().unwrap());
                drop(listener);
                let error = client.join().unwrap().unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");
            });
        }
    }
}

#[test]
fn a_server_that_is_not_there_is_not_waited_for() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let stale = directory.name("stale");
    drop(std::os::unix::net::UnixListener::bind(directory.path("stale")).unwrap());
    for mode in MODES {
        let [(_, path), (_, abstract_name)] = both_kinds(&directory);
        let kind = |name: &Name| connect(name, mode).unwrap_err().kind();
        assert_eq!(kind(&name("path", path)), ErrorKind::NotFound);
        assert_eq!(kind(&name("abstract", abstract_name)), ErrorKind::ConnectionRefused);
        assert_eq!(kind(&stale), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn an_error_says_which_name_it_is_about_and_what_the_system_said() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let name = name(kind, text);
        for mode in MODES {
            let error = connect(&name, mode).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{name}: ")), "{error}");
            let source = error.source().unwrap().downcast_ref::<std::io::Error>().unwrap();
            let number = if kind == "path" { Errno::NOENT } else { Errno::CONNREFUSED };
            assert_eq!((source.kind(), Errno::from_io_error(source)), (error.kind(), Some(number)));
        }
    }
}

#[test]
fn a_stream_waits_or_not_as_asked_and_the_wait_leaves_nothing_behind() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let name = directory.name("socket");
    let _listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    for mode in MODES {
        for nonblocking in [false, true] {
            let options = ConnectOptions::new(name.clone()).wait_mode(mode).nonblocking_stream(nonblocking);
            let stream = options.connect_sync().unwrap();
            assert_eq!(fcntl_getfl(&stream).unwrap().contains(OFlags::NONBLOCK), nonblocking, "{options:?}");
            assert_eq!(socket_timeout(&stream, Timeout::Send).unwrap(), None, "{options:?}");
            if nonblocking {
                assert_eq!((&stream).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
            }
        }
    }
}
