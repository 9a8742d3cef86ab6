//! Traffic between two processes: what each end does, for the tests and for the long command.
//!
//! The near end is the process that asks for the traffic and judges it; the far end is another process of the program that is
//! named, whose `main` calls [`play`].

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    str::FromStr,
};

use ipc_queue::Options;

use crate::Peer;

pub mod bells;
pub mod cells;
pub mod hot;
pub mod idle;
pub mod litmus;
pub mod parked;
pub mod soak;

/// The first argument of a process that is a far end.
pub const FAR_END: &str = "far-end";

/// A program whose `main` calls [`play`] when its first argument is [`FAR_END`].
#[derive(Clone, Copy, Debug)]
pub struct Program<'a>(pub &'a str);

impl Program<'_> {
    /// Starts the far end of `part` and returns it with the near end's stream to it.
    pub fn start(self, part: &str, args: &[String]) -> (Peer, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        (self.start_with(part, args, theirs.into()), ours)
    }

    /// Starts the far end of `part` with `stdin` as its standard input.
    pub fn start_with(self, part: &str, args: &[String], stdin: OwnedFd) -> Peer {
        let args: Vec<&str> = [FAR_END, part].into_iter().chain(args.iter().map(String::as_str)).collect();
        Peer::start_with(self.0, &args, stdin)
    }
}

/// Plays the far end that the arguments behind [`FAR_END`] name. What it finds wrong is a panic, and so its exit code.
pub fn play(args: impl IntoIterator<Item = String>) {
    let mut args = args.into_iter();
    let part = args.next().expect("the name of a part");
    let mut args = Args(args);
    match part.as_str() {
        "bells" => bells::far(&mut args),
        "cell" => cells::far(&mut args),
        "hot" => hot::far(&mut args),
        "hot pair" => hot::pair(&mut args),
        "fruitless" => hot::fruitless(&mut args),
        "idle receiver" => idle::far_receiver(),
        "idle run" => idle::far_run(),
        "litmus" => litmus::far(&mut args),
        "one" => hot::far_one(&mut args),
        "ping-pong" => parked::far_ping_pong(&mut args),
        "sleepy consumer" => parked::far_consumer(&mut args),
        "sleepy producer" => parked::far_producer(&mut args),
        "soak" => soak::far(&mut args),
        "split" => parked::far_split(&mut args),
        part => panic!("no such part: {part}"),
    }
}

/// The arguments of a part, one after the other.
pub(crate) struct Args<I>(I);

impl<I: Iterator<Item = String>> Args<I> {
    pub(crate) fn next<V: FromStr>(&mut self) -> V {
        let text = self.0.next().expect("one more argument");
        text.parse().unwrap_or_else(|_| panic!("an argument that does not parse: {text}"))
    }
}

/// Both sides use either a fence at each publish or the sleeper's `membarrier`, however they wait.
pub(crate) fn with_fence(options: Options, fence: bool) -> Options {
    if fence { options.force_fence() } else { options.force_membarrier() }
}
