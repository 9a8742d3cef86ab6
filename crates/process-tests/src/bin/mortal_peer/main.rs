//! The process at the other end that finishes, dies, forks, or is given bad arguments: small commands, one a process. It has one
//! thread, so that it may fork.
#![allow(clippy::print_stdout, reason = "its standard output is how it answers the test")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test that started it")]

mod bad_arguments;
mod foreign_streams;
mod forked;
mod forked_answers;
mod forked_listener;
mod own_pages;
mod script;
mod serve;

use std::{fs::File, os::unix::net::UnixStream};

use nix::sys::signal::Signal;

/// The socket that this process was given, which from then on is open nowhere else in it: a drop closes it.
fn socket_of_peer() -> UnixStream {
    let socket = process_tests::socket_of_peer();
    nix::unistd::dup2_stdin(File::open("/dev/null").unwrap()).unwrap();
    socket
}

fn main() {
    // A test that is aborted leaves nothing running.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["script", end, capacity, steps @ ..] => script::run(end, capacity.parse().unwrap(), steps),
        ["listen", path] => serve::listen(path),
        ["serve", path, count] => serve::echo(path, count.parse().unwrap()),
        ["fork-listener", path] => forked_listener::run(path),
        ["fork-pending", path] => forked_listener::pending(path),
        ["fork", case] => forked::run(case),
        ["bad", case] => bad_arguments::run(case),
        other => panic!("no command {other:?}"),
    }
}
