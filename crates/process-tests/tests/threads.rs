//! Threads that fork, start programs, and hand each other what they are using: nothing is lost, doubled or inherited.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

use std::{fs::File, thread::spawn, time::Duration};

use ipc_queue::{Consumer, Producer, duplex};
use memenpsf::{Interface, Options, RecvError, RecvHalf, Role, XmitHalf};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use process_tests::{Peer, Watchdog};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

const LIMITED: &str = env!("CARGO_BIN_EXE_limited_peer");
const MORTAL: &str = env!("CARGO_BIN_EXE_mortal_peer");

/// Times that a handle changes hands.
const MOVES: u64 = 1000;
/// Elements sent and received by each hand: more than a ring.
const SOME: u64 = 20;

#[test]
fn a_hundred_forks_beside_full_flow_lose_and_double_nothing() {
    let _watchdog = Watchdog::new("forks beside full flow", Duration::from_secs(100));
    let (mut peer, stream) = Peer::start(LIMITED, &["flow", "100"]);
    let mut echo = Interface::<u64>::with_options(stream, Role::Server, &Options::new().capacity(1 << 14)).unwrap();
    let mut count = 0;
    let end = loop {
        match echo.recv_blocking() {
            Ok(value) => {
                assert_eq!(value, count, "lost or doubled");
                echo.xmit_blocking(value).unwrap();
            }
            Err(end) => break end,
        }
        count += 1;
    };
    assert_eq!(end, RecvError::Finished);
    echo.finish().unwrap();
    assert_eq!(peer.line(), count.to_string());
    // In how many children the transmitting half was free to be tried: in the others the thread that had it is not there.
    let free: u64 = peer.line().parse().unwrap();
    assert!((1..=80).contains(&free), "{free} of {count}");
    assert!(peer.wait().success());
}

#[test]
fn programs_started_while_connections_come_and_go_inherit_none_of_their_descriptors() {
    let _watchdog = Watchdog::new("a race with exec", Duration::from_secs(100));
    let mut peer = Peer::start_with(LIMITED, &["race", "200"], File::open("/dev/null").unwrap().into());
    assert_eq!(peer.line(), "nothing inherited");
    assert!(peer.wait().success());
}

#[test]
fn a_death_shows_by_the_sockets_although_a_program_that_was_started_lives_on() {
    let _watchdog = Watchdog::new("a child that lives on", Duration::from_secs(60));
    for (name, role) in [("client", Role::Server), ("server", Role::Client)] {
        let (mut peer, stream) = Peer::start(LIMITED, &["parent", name]);
        let mut interface = Interface::<u64>::with_options(stream, role, &Options::new().capacity(8)).unwrap();
        assert_eq!(interface.recv_blocking(), Ok(7));
        let child = Pid::from_raw(peer.line().parse().unwrap());
        peer.kill();
        assert_eq!(interface.recv_blocking(), Err(RecvError::Disconnected));
        // Not only by the pidfd: nobody holds the sockets. A death shows at once, so there is nothing to wait for.
        for socket in [interface.recv_fd(), interface.xmit_fd()] {
            let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::empty())];
            poll(&mut fds, Some(&Timespec::default())).unwrap();
            assert!(fds[0].revents().contains(PollFlags::HUP), "the child holds a socket of the {name}");
        }
        assert_eq!(kill(child, None), Ok(()), "it lives");
        kill(child, Signal::SIGKILL).unwrap();
    }
}

/// Sends `SOME` numbers from `*next` on and takes their echoes.
fn whole(interface: &mut Interface<u64>, next: &mut u64) {
    for _ in 0..SOME {
        interface.xmit_blocking(*next).unwrap();
        assert_eq!(interface.recv_blocking(), Ok(*next));
        *next += 1;
    }
}

fn transmit(mut xmit: XmitHalf<u64>, first: u64) -> XmitHalf<u64> {
    (first..first + SOME).for_each(|number| xmit.xmit_blocking(number).unwrap());
    xmit
}

fn receive(mut recv: RecvHalf<u64>, first: u64) -> RecvHalf<u64> {
    (first..first + SOME).for_each(|number| assert_eq!(recv.recv_blocking(), Ok(number)));
    recv
}

#[test]
fn an_interface_that_goes_from_thread_to_thread_split_and_reunited_loses_nothing() {
    let _watchdog = Watchdog::new("moves of an interface", Duration::from_secs(100));
    let (mut peer, stream) = Peer::start(MORTAL, &["script", "server", "8", "echo"]);
    let mut interface = Interface::<u64>::with_options(stream, Role::Client, &Options::new().capacity(8)).unwrap();
    let mut next = 0;
    for round in 0..MOVES {
        interface = if round % 2 == 0 {
            let (moved, reached) = spawn(move || {
                whole(&mut interface, &mut next);
                (interface, next)
            })
            .join()
            .unwrap();
            next = reached;
            moved
        } else {
            let (xmit, recv) = interface.split();
            let (transmitting, receiving) = (spawn(move || transmit(xmit, next)), spawn(move || receive(recv, next)));
            // Put together by a third thread.
            next += SOME;
            spawn(move || Interface::reunite(transmitting.join().unwrap(), receiving.join().unwrap()).unwrap())
                .join()
                .unwrap()
        };
    }
    interface.finish().unwrap();
    assert_eq!(interface.recv_blocking(), Err(RecvError::Finished));
    assert_eq!(next, MOVES * SOME);
    assert!(peer.wait().success());
}

#[test]
fn a_producer_and_a_consumer_that_go_through_channels_lose_nothing() {
    let _watchdog = Watchdog::new("moves through channels", Duration::from_secs(100));
    let (mut peer, stream) = Peer::start(MORTAL, &["script", "server", "8", "echo"]);
    let (producer, consumer) = duplex::<u64>(stream, Role::Client, &Options::new().capacity(8)).unwrap();
    let produce = |producer: &mut Producer<u64>, number| producer.push_blocking(number).unwrap();
    let consume = |consumer: &mut Consumer<u64>, number| assert_eq!(consumer.pop_blocking(), Ok(number));
    let (producing, consuming) = (hand_round(producer, produce), hand_round(consumer, consume));
    let mut producer = producing.join().unwrap();
    let mut consumer = consuming.join().unwrap();
    producer.finish().unwrap();
    assert_eq!(consumer.pop_blocking(), Err(RecvError::Finished));
    assert!(peer.wait().success());
}

/// Two threads hand `half` to each other `MOVES` times; each does `act` with `SOME` numbers when it has it.
fn hand_round<H: Send + 'static>(half: H, act: fn(&mut H, u64)) -> std::thread::JoinHandle<H> {
    let (to_other, from_one) = std::sync::mpsc::channel::<(H, u64)>();
    let (to_one, from_other) = std::sync::mpsc::channel::<(H, u64)>();
    to_one.send((half, 0)).unwrap();
    let turn = move |(mut half, turns): (H, u64)| {
        (turns * SOME..(turns + 1) * SOME).for_each(|number| act(&mut half, number));
        (half, turns + 1)
    };
    spawn(move || {
        while let Ok(had) = from_one.recv() {
            to_one.send(turn(had)).unwrap();
        }
    });
    spawn(move || {
        loop {
            let had = turn(from_other.recv().unwrap());
            if had.1 >= MOVES {
                return had.0;
            }
            to_other.send(had).unwrap();
        }
    })
}

#[test]
fn a_half_dropped_by_another_thread_leaves_the_other_half_as_it_was() {
    const MANY: u64 = 200_000;
    let _watchdog = Watchdog::new("drop of a half", Duration::from_secs(100));
    let many = MANY.to_string();
    let send = format!("send:{many}");
    for round in 0..10 {
        let (mut peer, stream) = Peer::start(MORTAL, &["script", "server", "64", "drain"]);
        let options = Options::new().capacity(64);
        let (mut xmit, recv) = Interface::<u64>::with_options(stream, Role::Client, &options).unwrap().split();
        let dropping = spawn(move || drop(recv));
        (0..MANY / 10).for_each(|number| xmit.xmit_blocking(number).unwrap());
        xmit.finish().unwrap();
        dropping.join().unwrap();
        assert_eq!(peer.line(), format!("drained {} Finished", MANY / 10), "round {round}");

        let (_peer, stream) = Peer::start(MORTAL, &["script", "server", "64", &send, "finish", "flush", "pause"]);
        let (xmit, mut recv) = Interface::<u64>::with_options(stream, Role::Client, &options).unwrap().split();
        let dropping = spawn(move || drop(xmit));
        (0..MANY).for_each(|number| assert_eq!(recv.recv_blocking(), Ok(number)));
        assert_eq!(recv.recv_blocking(), Err(RecvError::Finished));
        dropping.join().unwrap();
    }
}
