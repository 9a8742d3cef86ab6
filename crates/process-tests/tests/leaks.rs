//! Interfaces that are opened and closed leave nothing behind: no descriptor, no mapping, no thread.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::time::Duration;

use memenpsf::{Interface, Options, Role, crossbeam_channel::unbounded};
use process_tests::{Holdings, Peer, Watchdog};

const PEER: &str = env!("CARGO_BIN_EXE_mortal_peer");

const MANY: u64 = 10_000;
/// Rounds after which everything that is made once has been made, the allocator's areas among it.
const WARM: u64 = 200;
/// Mappings by which the allocator may grow or shrink; a leak of one in a thousand would be more.
const SLACK: usize = 8;

/// What this process holds, with the number of all its mappings, whatever they are.
fn holdings() -> (Holdings, usize) {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    (Holdings::now(), maps.lines().count())
}

/// Runs `round` often, and then as often as to see a leak.
fn assert_nothing_is_left(rounds: u64, mut round: impl FnMut(u64)) {
    (0..WARM).for_each(&mut round);
    let (before, mappings_before) = holdings();
    (0..rounds).for_each(&mut round);
    let (after, mappings) = holdings();
    assert_eq!(after, before);
    assert!(mappings.abs_diff(mappings_before) <= SLACK, "{mappings_before} mappings before, {mappings} after");
}

#[test]
fn ten_thousand_pairs_leave_nothing_behind() {
    let _watchdog = Watchdog::new("pairs", Duration::from_secs(180));
    let options = Options::new().capacity(2);
    assert_nothing_is_left(MANY, |round| {
        let (mut client, mut server) = Interface::<u64>::pair(&options).unwrap();
        client.xmit(round).unwrap();
        assert_eq!(server.try_recv(), Ok(round));
        // Every order in which the four halves can go, over the rounds.
        let ((client_xmit, client_recv), (server_xmit, server_recv)) = (client.split(), server.split());
        let mut halves: Vec<Box<dyn std::any::Any>> =
            vec![Box::new(client_xmit), Box::new(client_recv), Box::new(server_xmit), Box::new(server_recv)];
        for left in (1..=4).rev() {
            drop(halves.remove((round / left) as usize % halves.len()));
        }
    });
}

#[test]
fn ten_thousand_connections_to_another_process_leave_nothing_behind_in_either() {
    let _watchdog = Watchdog::new("connections", Duration::from_secs(180));
    let path = std::env::temp_dir().join(format!("memenpsf-leaks.{}", std::process::id()));
    let count = (WARM + MANY).to_string();
    let (mut peer, _stream) = Peer::start(PEER, &["serve", path.to_str().unwrap(), &count]);
    assert_eq!(peer.line(), "listening");
    let options = Options::new().capacity(2);
    assert_nothing_is_left(MANY, |round| {
        let mut server = Interface::<u64>::connect(&path, &options).unwrap();
        server.xmit(round).unwrap();
        assert_eq!(server.recv_blocking(), Ok(round));
    });
    let (before, after) = (peer.line(), peer.line());
    assert_ne!(before, "");
    assert_eq!(before, after, "in the other process");
    assert!(peer.wait().success());
}

#[test]
fn a_thousand_run_loops_leave_nothing_behind() {
    let _watchdog = Watchdog::new("run loops", Duration::from_secs(180));
    let options = Options::new().capacity(2);
    assert_nothing_is_left(1000, |round| {
        let (client, server) = Interface::<u64>::pair(&options).unwrap();
        let (to_server, from_user) = unbounded();
        let (to_user, from_server) = unbounded();
        let client = client.runner(from_user, to_user).unwrap();
        let (back, forth) = unbounded();
        let server = server.runner(forth, back).unwrap();
        // One ends by its user, the other by its stop handle, or both by their users, or one is never run.
        let stop = server.stop_handle();
        to_server.send(round).unwrap();
        drop(to_server);
        let server = match round % 3 {
            2 => {
                drop(server);
                None
            }
            way => {
                let server = std::thread::spawn(move || server.run().unwrap());
                if way == 1 {
                    stop.stop();
                }
                Some(server)
            }
        };
        client.run().unwrap();
        // A thread is gone once it is joined; a scope waits for less.
        if let Some(server) = server {
            server.join().unwrap();
        }
        drop(from_server);
    });
}

#[test]
fn ten_thousand_refusals_leave_nothing_behind() {
    let _watchdog = Watchdog::new("refusals", Duration::from_secs(180));
    let options = Options::new().capacity(2);
    assert_nothing_is_left(MANY, |round| {
        let (client, server) = std::os::unix::net::UnixStream::pair().unwrap();
        std::thread::scope(|scope| {
            // The other side refuses, or is another client, or goes away at once.
            let other = scope.spawn(|| match round % 3 {
                0 => assert!(Interface::<u32>::with_options(server, Role::Server, &options).is_err()),
                1 => assert!(Interface::<u64>::with_options(server, Role::Client, &options).is_err()),
                _ => drop(server),
            });
            assert!(Interface::<u64>::with_options(client, Role::Client, &options).is_err());
            other.join().unwrap();
        });
    });
}
