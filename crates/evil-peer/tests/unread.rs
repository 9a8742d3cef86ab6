//! What a stranger has sent and nobody reads holds up nobody who closes the socket in which it lies.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{
    io::Read,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::{Duration, Instant},
};

use evil_peer::{
    kind::{ALL, Kind},
    offer::Offer,
    things, wire,
};
use ipc_queue::{Consumer, Error, Options, Producer, Reason};
use memenpsf::{Interface, Listener, Role};
use process_tests::Watchdog;

/// Pieces that bring a descriptor each, also out of band. All copies but those in the socket are closed.
fn leave_lingering(socket: &UnixStream) {
    (0..2).for_each(|_| assert!(wire::send(socket, b"x", &[things::lingering()])));
    if let Err(why) = wire::out_of_band_is_known() {
        return process_tests::skipped(&why);
    }
    // A receive drops the first of several, and stops in front of one that is not the first byte.
    (0..2).for_each(|_| assert!(wire::send_out_of_band(socket, b"x", &[things::lingering()])));
    assert!(wire::send(socket, b"x", &[things::lingering()]));
}

/// It does not take as long as such a descriptor can hold whoever closes it.
fn promptly(what: impl std::fmt::Debug, work: impl FnOnce()) {
    let start = Instant::now();
    work();
    assert!(start.elapsed() < things::HELD / 2, "{what:?} took {:?}", start.elapsed());
}

fn meet(kind: Kind, stream: UnixStream) -> Result<(), Error> {
    let options = Options::new();
    match kind {
        Kind::Consumer => Consumer::<u64>::new(stream, &options).map(drop),
        Kind::Producer => Producer::<u64>::new(stream, &options).map(drop),
        Kind::DuplexServer => Interface::<u64>::with_options(stream, Role::Server, &options).map(drop),
        Kind::DuplexClient => Interface::<u64>::with_options(stream, Role::Client, &options).map(drop),
    }
}

#[test]
fn behind_a_hello_that_is_refused() {
    let _watchdog = Watchdog::new("behind a Hello", Duration::from_secs(60));
    for &kind in ALL {
        let (evil, honest) = UnixStream::pair().unwrap();
        let mut offer = Offer::new(kind);
        offer.hello.layout = 9;
        assert!(offer.send(&evil));
        leave_lingering(&evil);
        promptly(kind, || match meet(kind, honest) {
            Err(Error::Refused(refused)) => assert_eq!(refused.reason(), Reason::Layout, "{kind:?}"),
            other => panic!("{kind:?}: {other:?}"),
        });
        // The refusal is still there to be read.
        assert_eq!(wire::told(&evil), Some((8, 1, 9)), "{kind:?}");
    }
}

/// A path of its own, removed with its directory.
struct Path(PathBuf);

impl Path {
    fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("memenpsf-unread.{}.{name}", std::process::id()));
        std::fs::create_dir(&directory).unwrap();
        Self(directory.join("socket"))
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.parent().unwrap());
    }
}

#[test]
fn of_a_client_that_is_turned_away() {
    let _watchdog = Watchdog::new("turned away", Duration::from_secs(60));
    let path = Path::new("turned-away");
    let listener = Listener::bind(&path.0).unwrap();
    let mut evil = UnixStream::connect(&path.0).unwrap();
    let pending = listener.accept().unwrap();
    leave_lingering(&evil);
    promptly("a client that is turned away", || drop(pending));
    assert_eq!(evil.read(&mut [0]).unwrap(), 0, "it is told");
}

#[test]
fn of_clients_that_nobody_accepts() {
    let _watchdog = Watchdog::new("not accepted", Duration::from_secs(60));
    let path = Path::new("not-accepted");
    let listener = Listener::bind(&path.0).unwrap();
    let mut strangers: Vec<_> = (0..5).map(|_| UnixStream::connect(&path.0).unwrap()).collect();
    strangers.iter().for_each(leave_lingering);
    promptly("a listener", || drop(listener));
    for stranger in &mut strangers {
        assert_eq!(stranger.read(&mut [0]).unwrap(), 0, "each is told");
    }
}
