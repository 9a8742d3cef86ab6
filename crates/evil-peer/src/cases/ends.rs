//! Deaths and departures: killed in the middle, gone at once, and survived by a child that keeps the sockets open.

use std::{
    os::{fd::AsFd, unix::net::UnixStream},
    process::{Command, Stdio},
};

use nix::sys::signal::{Signal, raise};

use super::Case;
use crate::{
    child::in_a_child,
    expect::{End, Expect, Then, Waits, gives, takes},
    frames::{DATA, bell},
    kind::{ALL, DUPLEX, Kind, RECEIVING, SENDING},
    raw::{Evil, Raw},
    segment::{FINISHED, HEAD, SLOTS, TAIL},
    wire,
};

const GROUP: &str = "ends";

/// The argument with which this program does nothing but hold what it was given until the honest end is gone.
pub const HOLD: &str = "--hold";

/// SIGKILL, from within.
pub(super) fn die() {
    raise(Signal::SIGKILL).expect("nobody is above this signal");
}

/// Whether the kernel tells of the death of a peer whose sockets stay open.
pub(super) fn deaths_are_told() -> Result<(), String> {
    let (socket, _peer) = UnixStream::pair().expect("sockets");
    wire::pass_pidfd(&socket)
}

/// Leaves a child behind that has both sockets.
fn leave_a_child(raw: &Raw) {
    let program = std::env::current_exe().expect("this program");
    let second = raw.second.as_ref().unwrap_or(&raw.stream);
    let copy = |socket: &UnixStream| Stdio::from(socket.as_fd().try_clone_to_owned().expect("a copy"));
    let child = Command::new(program)
        .arg(HOLD)
        .stdin(copy(&raw.stream))
        .stdout(copy(second))
        .stderr(Stdio::null())
        .spawn()
        .expect("a child");
    // Nobody is there to wait for it: it is made to be left behind.
    std::mem::forget(child);
}

/// The child: its standard input is the stream.
pub fn hold() {
    let stream = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().expect("the standard input"));
    wire::until_over(&stream);
}

/// What is done at the end.
type Way = fn(&Raw);

/// How the end comes, after the honest end has taken what there was.
const WAYS: [(&str, bool, Way); 6] = [
    ("killed", true, |_| die()),
    ("killed-with-half-a-bell-written", true, |raw| {
        if raw.kind.receives() {
            wire::send(raw.to_consumer(), &bell(DATA, 0, 0)[..10], &[]);
        }
        if raw.kind.sends() {
            wire::send(raw.to_producer(), &bell(DATA, 0, 0)[..23], &[]);
        }
        die();
    }),
    ("gone", false, |_| {}),
    ("gone-and-survived", false, leave_a_child),
    ("killed-and-survived", true, |raw| {
        leave_a_child(raw);
        die();
    }),
    ("killed-with-half-a-bell-and-survived", true, |raw| {
        leave_a_child(raw);
        wire::send(&raw.stream, &bell(DATA, 0, 0)[..10], &[]);
        die();
    }),
];

pub(super) fn add(cases: &mut Vec<Case>) {
    for (name, dies, way) in WAYS {
        let possible = if name.contains("survived") { deaths_are_told() } else { Ok(()) };
        let all = [
            at_the_end(name, way),
            at_the_end(name, way).map(Case::large),
            at_the_end(name, way).map(|case| case.waiting(Waits::Spinning)),
            at_the_end(name, way).map(|case| case.waiting(Waits::Asleep)),
        ];
        let all = all.into_iter().flatten();
        cases.extend(all.map(|case| Case { dies, ..case.only_if(possible.clone()) }));
    }
    spoke_before(cases);
    one_socket(cases);
    hello_by_another(cases);
    idle(cases);
}

/// Each time at which that end can come.
fn at_the_end(name: &str, way: Way) -> [Case; 4] {
    let waiting = move |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        raw.ring();
        if raw.until(HEAD, 3) {
            way(&raw);
        }
    };
    // Before it looks at what was published.
    let untaken = move |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 5);
        way(&raw);
    };
    let finished = move |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 5);
        raw.segment.set(FINISHED, 1);
        way(&raw);
    };
    let full = move |evil: Evil| {
        let raw = evil.open();
        if raw.until(TAIL, SLOTS) {
            way(&raw);
        }
    };
    let gone = End::Disconnected;
    [
        Case::new(GROUP, format!("{name}-while-it-receives"), RECEIVING, waiting, move |_| takes(3, gone)),
        Case::new(GROUP, format!("{name}-with-five-untaken"), RECEIVING, untaken, move |_| takes(5, gone)),
        Case::new(GROUP, format!("{name}-when-finished"), RECEIVING, finished, |_| takes(5, End::Finished)),
        Case::new(GROUP, format!("{name}-while-it-sends"), SENDING, full, move |_| gives(SLOTS, gone)),
    ]
}

/// A client whose Hello lay there before the server began, and so does not name its process: its death is known all the same.
fn spoke_before(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        leave_a_child(&raw);
        die();
    };
    let servers = &[Kind::Consumer, Kind::DuplexServer];
    let case = Case::new(GROUP, "spoke-early-killed-and-survived", servers, deed, |_| takes(3, End::Disconnected));
    cases.push(Case { dies: true, ..case.with(|honest| honest.late = true).only_if(deaths_are_told()) });
}

/// One ring's socket ends; the other ring goes on.
fn one_socket(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let mut raw = evil.open();
        drop(raw.second.take());
        raw.until_over();
    };
    let expect = |kind: Kind| match kind {
        Kind::DuplexServer => gives(SLOTS, End::Disconnected),
        _ => takes(0, End::Disconnected),
    };
    cases.push(Case::new(GROUP, "one-socket-closed", DUPLEX, deed, expect));
    let deed = |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        raw.until_over();
    };
    let expect = |_| Expect::Opens(Then::Takes { start: 0, n: 3..=3, end: End::Silence });
    cases.push(Case::new(GROUP, "published-without-a-bell", RECEIVING, deed, expect));
}

/// The honest end knows the process that sent the Hello, which need not be the one that serves.
fn hello_by_another(cases: &mut Vec<Case>) {
    const CLIENTS: &[Kind] = &[Kind::Producer, Kind::DuplexClient];
    // Who said Hello is gone: so is the peer, whoever else goes on.
    let exits = |evil: Evil| {
        let offer = evil.offer();
        let raw = evil.open_with(offer, |stream, bytes, fds| {
            let hello = !fds.is_empty();
            if hello {
                in_a_child(|| assert!(wire::send(stream, bytes, fds))).wait()
            } else {
                wire::send(stream, bytes, fds)
            }
        });
        raw.until_over();
    };
    let expect = |_| gives(SLOTS, End::Disconnected);
    let case = Case::new(GROUP, "hello-by-another-that-exits", CLIENTS, exits, expect);
    cases.push(case.only_if(deaths_are_told()));
    // Who said Hello lives on with the sockets: nobody can know that the other is gone.
    let lives = |evil: Evil| {
        let offer = evil.offer();
        let raw = evil.open_with(offer, |stream, bytes, fds| {
            if fds.is_empty() {
                return wire::send(stream, bytes, fds);
            }
            in_a_child(|| {
                wire::send(stream, bytes, fds);
                wire::until_over(stream);
            });
            true
        });
        if raw.until(TAIL, SLOTS) {
            die();
        }
    };
    let case = Case::new(GROUP, "hello-by-another-that-lives-on", CLIENTS, lives, |_| gives(SLOTS, End::Silence));
    cases.push(Case { dies: true, ..case });
}

/// Nothing more comes than what never makes a whole bell: a wait for it costs next to nothing.
fn idle(cases: &mut Vec<Case>) {
    type Says = fn(&UnixStream);
    let says: [(&str, Says); 4] = [
        ("nothing", |_| {}),
        ("half-a-bell", |socket| {
            wire::send(socket, &bell(DATA, 0, 0)[..10], &[]);
        }),
        ("half-a-bell-oob", |socket| {
            wire::send_out_of_band(socket, &bell(DATA, 0, 0)[..10], &[]);
        }),
        ("a-byte-oob", |socket| {
            wire::send_out_of_band(socket, &bell(DATA, 0, 0)[..1], &[]);
        }),
    ];
    for (name, say) in says {
        for waits in [Waits::Adaptive, Waits::Asleep] {
            let deed = move |evil: Evil| {
                let raw = evil.open();
                [&raw.stream].into_iter().chain(&raw.second).for_each(say);
                raw.until_over();
            };
            let case = Case::new(GROUP, format!("idle-after-{name}"), ALL, deed, |_| Expect::Opens(Then::Idles));
            cases.push(case.waiting(waits));
        }
    }
}
