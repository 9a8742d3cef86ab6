//! Descriptors: as many after 2 000 of anything as before.

use std::{
    fs,
    io::{Read, Write},
    os::{
        fd::OwnedFd,
        unix::net::{UnixListener, UnixStream},
    },
    time::Duration,
};

use local_socket::{ConnectOptions, ConnectWaitMode, Listener, ListenerOptions, Name, Stream};

use crate::{
    connecting::full,
    rig::{Directory, Watchdog, both_kinds, descriptors, name, unique},
};

const TIMES: u32 = 2000;

fn assert_flat(what: &str, times: u32, mut act: impl FnMut()) {
    act();
    let before = descriptors();
    for _ in 0..times {
        act();
    }
    assert_eq!(descriptors(), before, "{what}");
}

#[test]
fn two_thousand_connections_leave_no_descriptor() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let name = name(kind, &text);
        let listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
        assert_flat("connections", TIMES, || {
            let mut client = Stream::connect(name.clone()).unwrap();
            let (mut recv, send) = listener.accept().unwrap().split();
            client.write_all(b"x").unwrap();
            recv.read_exact(&mut [0]).unwrap();
            drop(Stream::reunite(recv, send).unwrap());
        });
    }
}

#[test]
fn no_error_leaves_a_descriptor_either() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let connect = |name: &Name, mode| ConnectOptions::new(name.clone()).wait_mode(mode).connect_sync().unwrap_err();
    let abstract_name = Name::namespaced(unique()).unwrap();
    assert_flat("nobody there", TIMES, || {
        for mode in [ConnectWaitMode::Unbounded, ConnectWaitMode::Deferred, ConnectWaitMode::Timeout(Duration::MAX)] {
            connect(&directory.name("none"), mode);
            connect(&abstract_name, mode);
        }
    });
    let name = Name::namespaced(unique()).unwrap();
    let (listener, _first) = full(&name);
    assert_flat("a full backlog", TIMES, || drop(connect(&name, ConnectWaitMode::Deferred)));
    assert_flat("a wait in vain", 5, || drop(connect(&name, ConnectWaitMode::Timeout(Duration::ZERO))));
    listener.accept().unwrap();
    assert_flat("nobody came", TIMES, || drop(listener.accept_timeout(Duration::ZERO).unwrap_err()));

    let _live = ListenerOptions::new(directory.name("live")).backlog(0).create_sync().unwrap();
    fs::write(directory.path("file"), "").unwrap();
    let refused = |options: ListenerOptions| drop(options.create_sync().unwrap_err());
    assert_flat("names that cannot be had", TIMES, || {
        refused(ListenerOptions::new(name.clone()));
        refused(ListenerOptions::new(name.clone()).mode(0o600));
        refused(ListenerOptions::new(directory.name("live")));
        refused(ListenerOptions::new(directory.name("file")).mode(0o666));
        refused(ListenerOptions::new(directory.name("no/folder")));
    });
    assert_flat("descriptors of another kind", TIMES, || {
        Listener::try_from(OwnedFd::from(UnixStream::pair().unwrap().0)).unwrap_err();
        Listener::try_from(OwnedFd::from(fs::File::open("/dev/null").unwrap())).unwrap_err();
    });
    assert_eq!(directory.names(), ["file", "live"]);
}

#[test]
fn listeners_that_come_and_go_leave_nothing() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    assert_flat("listeners", TIMES / 4, || {
        drop(UnixListener::bind(&path).unwrap());
        let first = ListenerOptions::new(directory.name("socket")).mode(0o606).create_sync().unwrap();
        let second = ListenerOptions::new(directory.name("socket")).try_overwrite(true).create_sync().unwrap();
        let _waiting = Stream::connect(directory.name("socket")).unwrap();
        drop((first, second));
    });
    assert_eq!(directory.names(), [""; 0]);
}
