//! The two-way ends meet the hostile program: receiving all at once, the run loop with its stop handle, and a listener.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use ipc_queue::{Corrupt, RecvError};
use memenpsf::{Error, Interface, Listener, Options, Role, RunEnd, crossbeam_channel};
use process_tests::{Holdings, Peer, Watchdog};

const EVIL: &str = env!("CARGO_BIN_EXE_evil-peer");
const SLOTS: usize = 8;
const SOON: Duration = Duration::from_secs(10);
/// Bells without end, and nothing to receive.
const FLOOD: &str = "floods/data-a-hundred-at-once-while-it-waits";
/// The same, and elements without end.
const STREAM: &str = "floods/bells-and-a-ring-that-is-never-empty";
/// Three elements, then a tail that is one too far.
const WRONG: &str = "positions/tail-from-0-by-9";
const BROKEN: Corrupt = Corrupt::TailOutOfRange { tail: 12, head: 3, count: SLOTS as u64 };

fn meet(case: &str, role: Role) -> (Peer, Interface<u64>) {
    let kind = if role == Role::Server { "server" } else { "client" };
    let (peer, stream) = Peer::start(EVIL, &[case, kind]);
    let options = Options::new().capacity(SLOTS).handshake_timeout(SOON);
    (peer, Interface::with_options(stream, role, &options).unwrap())
}

#[test]
fn receiving_all_at_once_is_at_most_a_ring_however_much_comes() {
    let _watchdog = Watchdog::new("recv_vectored", Duration::from_secs(60));
    for role in [Role::Server, Role::Client] {
        let (mut evil, mut interface) = meet(STREAM, role);
        let mut taken = 0;
        while taken < 5000 {
            if let Some(all) = interface.recv_vectored() {
                assert!((1..=SLOTS).contains(&all.len()), "{} at once", all.len());
                taken += all.len();
            }
        }
        drop(interface);
        assert!(evil.wait().success());
    }
}

#[test]
fn receiving_all_at_once_ends_where_a_rule_is_broken() {
    let _watchdog = Watchdog::new("recv_vectored of a liar", Duration::from_secs(60));
    for role in [Role::Server, Role::Client] {
        let (mut evil, mut interface) = meet(WRONG, role);
        let (mut all, until) = (Vec::new(), Instant::now() + SOON);
        // The end shows where there is an error to tell it.
        while interface.is_connected() && Instant::now() < until {
            all.extend(interface.recv_vectored().unwrap_or_default());
        }
        assert_eq!(all, [0, 1, 2]);
        assert_eq!(interface.recv_vectored(), None);
        assert_eq!(interface.try_recv(), Err(RecvError::Corrupt(BROKEN)));
        drop(interface);
        assert!(evil.wait().success());
    }
}

#[test]
fn a_run_loop_is_stopped_under_a_flood() {
    let _watchdog = Watchdog::new("stopping a run loop", Duration::from_secs(60));
    for case in [FLOOD, STREAM] {
        for role in [Role::Server, Role::Client] {
            let before = Holdings::now();
            let (mut evil, interface) = meet(case, role);
            let (to_run, from_here) = crossbeam_channel::unbounded();
            let (to_here, from_run) = crossbeam_channel::bounded(SLOTS);
            let runner = interface.runner(from_here, to_here).unwrap();
            let stop = runner.stop_handle();
            // The transmitting half waits for room that never comes.
            (0..100).for_each(|n| to_run.send(n).unwrap());
            let report = std::thread::scope(|scope| {
                let running = scope.spawn(|| runner.run().unwrap());
                if case == STREAM {
                    (0..1000).for_each(|_| assert!(from_run.recv_timeout(SOON).is_ok()));
                }
                while to_run.len() > 100 - SLOTS {
                    std::thread::yield_now();
                }
                stop.stop();
                running.join().unwrap()
            });
            assert_eq!((report.xmit_end, report.recv_end), (RunEnd::Stopped, RunEnd::Stopped), "{case} {role:?}");
            drop((to_run, from_run, stop));
            assert!(evil.wait().success());
            drop(evil);
            assert_as_before(before);
        }
    }
}

#[test]
fn a_run_loop_ends_where_a_rule_is_broken() {
    let _watchdog = Watchdog::new("a run loop with a liar", Duration::from_secs(60));
    for role in [Role::Server, Role::Client] {
        let before = Holdings::now();
        let (mut evil, interface) = meet(WRONG, role);
        let (to_run, from_here) = crossbeam_channel::unbounded();
        let (to_here, from_run) = crossbeam_channel::unbounded();
        let report = interface.runner(from_here, to_here).unwrap().run().unwrap();
        let broken = RunEnd::Corrupt(BROKEN);
        assert_eq!((report.xmit_end, report.recv_end, report.received), (broken, broken, 3), "{role:?}");
        assert_eq!(from_run.iter().collect::<Vec<_>>(), [0, 1, 2]);
        drop(to_run);
        assert!(evil.wait().success());
        drop((evil, from_run));
        assert_as_before(before);
    }
}

/// Clients that connect, say a part of a Hello and no more; half of them are gone when they are accepted.
#[test]
fn a_listener_survives_two_hundred_half_open_clients() {
    const MANY: usize = 200;
    let _watchdog = Watchdog::new("half-open clients", Duration::from_secs(60));
    let directory = std::env::temp_dir().join(format!("memenpsf-half-open.{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("socket");
    let listener = Listener::bind(&path).unwrap();
    let before = Holdings::now();
    let (mut evil, stays) = UnixStream::pair().unwrap();
    let mut strangers = Peer::start_with(EVIL, &["--half-open", path.to_str().unwrap(), "200"], stays.into());
    let options = Options::new().capacity(SLOTS).handshake_timeout(Duration::from_millis(5));
    let pending: Vec<_> = (0..MANY).map(|_| listener.accept().unwrap()).collect();
    let (first, last) = {
        let mut all = pending;
        let last = all.split_off(MANY / 2);
        (all, last)
    };
    for client in first {
        match client.open::<u64>(&options) {
            Err(Error::TimedOut { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    // The word to go.
    std::io::Write::write_all(&mut evil, b"x").unwrap();
    assert!(strangers.wait().success());
    let patient = options.handshake_timeout(SOON);
    for client in last {
        match client.open::<u64>(&patient) {
            Err(Error::Disconnected) => {}
            other => panic!("{other:?}"),
        }
    }
    std::thread::scope(|scope| {
        let client = scope.spawn(|| Interface::<u64>::connect(&path, &patient).unwrap());
        let mut server = listener.accept().unwrap().open::<u64>(&patient).unwrap();
        let mut client = client.join().unwrap();
        client.xmit(7).unwrap();
        assert_eq!(server.recv_timeout(SOON), Ok(7));
    });
    drop((strangers, evil));
    assert_as_before(before);
    drop(listener);
    std::fs::remove_dir(&directory).unwrap();
}

/// Threads that were joined may be in the list for a moment more.
fn assert_as_before(before: Holdings) {
    let until = Instant::now() + SOON;
    while Holdings::now() != before && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(Holdings::now(), before, "something is left behind");
}
