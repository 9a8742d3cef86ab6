//! Hot loops of `xmit` and `recv` that never wait, and how many times they may ask the socket whether the peer is there.

#![allow(clippy::print_stdout, reason = "a far end reports on its standard output")]

use std::os::unix::process::parent_id;

use memenpsf::{Interface, Options, Role};

use super::{Args, FAR_END, Program};
use crate::socket_of_peer;

/// Fruitless looks in a row after which the socket is asked once whether the peer is there.
const LOOKS_A_QUESTION: u64 = 1000;
/// Elements in a ring.
const CAPACITY: usize = 1024;
/// Elements in a row in one direction.
const BURST: usize = 32;

/// Counts fruitless looks of one half, and the questions that they allow.
#[derive(Default)]
struct Fruitless {
    in_a_row: u64,
    questions: u64,
}

impl Fruitless {
    fn one_more(&mut self) {
        self.in_a_row += 1;
        self.questions += u64::from(self.in_a_row.is_multiple_of(LOOKS_A_QUESTION));
    }
}

/// Sends `count` numbers and receives as many, in order. Returns how many times the socket may have been asked. With `gives_way`
/// the processor is given to others after a burst that moved nothing.
fn exchange(interface: &mut Interface<u64>, count: u64, gives_way: bool) -> u64 {
    let (mut sent, mut received) = (0, 0);
    let (mut full, mut empty) = (Fruitless::default(), Fruitless::default());
    while sent < count || received < count {
        let before = sent + received;
        for _ in 0..BURST {
            if sent == count {
                break;
            }
            match interface.xmit(sent) {
                Ok(()) => {
                    sent += 1;
                    full.in_a_row = 0;
                }
                Err(error) => {
                    assert!(error.is_full(), "{:?}", error.kind);
                    full.one_more();
                    break;
                }
            }
        }
        for _ in 0..BURST {
            if received == count {
                break;
            }
            match interface.recv() {
                Some(number) => {
                    assert_eq!(number, received);
                    received += 1;
                    empty.in_a_row = 0;
                }
                None => {
                    empty.one_more();
                    break;
                }
            }
        }
        if gives_way && sent + received == before {
            std::thread::yield_now();
        }
    }
    full.questions + empty.questions
}

/// Sends a number, waits for it to come back, and so on, or the other way round. Returns as `exchange`.
fn rally(interface: &mut Interface<u64>, count: u64, serve: bool) -> u64 {
    let mut empty = Fruitless::default();
    for number in 0..count {
        if serve {
            interface.xmit(number).expect("room");
        }
        empty.in_a_row = 0;
        let back = loop {
            match interface.recv() {
                Some(back) => break back,
                None => empty.one_more(),
            }
        };
        assert_eq!(back, number);
        if !serve {
            interface.xmit(number).expect("room");
        }
    }
    empty.questions
}

fn connect(stream: std::os::unix::net::UnixStream, role: Role) -> Interface<u64> {
    Interface::with_options(stream, role, &Options::new().capacity(CAPACITY)).expect("a connection")
}

/// `count` numbers each way at once by `xmit` and `recv`, between this process and a far end.
pub fn run_one(program: Program<'_>, count: u64) {
    let (mut peer, stream) = program.start("one", &[count.to_string()]);
    exchange(&mut connect(stream, Role::Client), count, true);
    assert!(peer.wait().success(), "the far end found a fault");
}

pub(super) fn far_one<I: Iterator<Item = String>>(args: &mut Args<I>) {
    exchange(&mut connect(socket_of_peer(), Role::Server), args.next(), true);
}

/// The arguments of a process that starts a second one and has hot traffic of `kind` with it, each between two calls of
/// `getppid`, to be traced. It prints a line for each: pid, questions allowed.
pub fn pair_args(kind: &str, count: u64) -> [String; 4] {
    [FAR_END.into(), "hot pair".into(), kind.into(), count.to_string()]
}

pub(super) fn pair<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (kind, count): (String, u64) = (args.next(), args.next());
    let this = std::env::current_exe().expect("the path of this program");
    let this = this.to_str().expect("a path in UTF-8");
    let (mut peer, stream) = Program(this).start("hot", &[kind.clone(), count.to_string()]);
    hot(&mut connect(stream, Role::Client), &kind, count);
    println!("{}", peer.line());
    assert!(peer.wait().success(), "the far end found a fault");
}

pub(super) fn far<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (kind, count): (String, u64) = (args.next(), args.next());
    hot(&mut connect(socket_of_peer(), Role::Server), &kind, count);
}

/// A system call that nothing else here makes, to be found in a trace.
fn mark() {
    let _ = parent_id();
}

fn hot(interface: &mut Interface<u64>, kind: &str, count: u64) {
    let serve = interface.role() == Role::Client;
    mark();
    let questions = match kind {
        "exchange" => exchange(interface, count, false),
        "rally" => rally(interface, count, serve),
        kind => panic!("no such traffic: {kind}"),
    };
    mark();
    println!("{} {questions}", std::process::id());
}

/// The arguments of a process that looks `count` times at an empty ring, between two calls of `getppid`.
pub fn fruitless_args(count: u64) -> [String; 3] {
    [FAR_END.into(), "fruitless".into(), count.to_string()]
}

pub(super) fn fruitless<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (mut interface, _peer) = Interface::<u64>::pair(&Options::new()).expect("both ends");
    let count: u64 = args.next();
    mark();
    for _ in 0..count {
        assert_eq!(interface.recv(), None);
    }
    mark();
    println!("{} {}", std::process::id(), count / LOOKS_A_QUESTION);
}
