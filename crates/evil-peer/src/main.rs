//! Plays one case of the hostile peer: `evil-peer CASE KIND`, with its standard input as the socket. `evil-peer --list` lists them.

use std::{
    io::{Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    process::ExitCode,
};

use nix::sys::signal::Signal;

use evil_peer::{
    cases::{self, ends},
    kind::Kind,
    raw::Evil,
};

fn main() -> ExitCode {
    // Nothing is left behind by a test that is aborted. Who is made to outlive its parent asks for no such thing.
    if std::env::args().nth(1).as_deref() != Some(ends::HOLD) {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).expect("a signal at the parent's death");
    }
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--list"] => list(),
        [ends::HOLD] => ends::hold(),
        ["--half-open", path, clients] => half_open(path, clients.parse().expect("a number")),
        [case, kind] => return play(case, kind),
        _ => return usage("one case, and the kind of end that it meets"),
    }
    ExitCode::SUCCESS
}

fn usage(what: &str) -> ExitCode {
    let _ = writeln!(
        std::io::stderr(),
        "{what}; usage: evil-peer CASE consumer|producer|server|client, or evil-peer --list"
    );
    ExitCode::from(2)
}

fn list() {
    let mut out = std::io::stdout();
    for case in cases::all() {
        let kinds: Vec<&str> = case.kinds.iter().map(|kind| kind.name()).collect();
        let lacks = case.lacks.as_ref().map(|why| format!("\tnot here: {why}")).unwrap_or_default();
        // A reader that has seen enough is no error.
        let _ = writeln!(out, "{}\t{}{lacks}", case.name, kinds.join(" "));
    }
}

/// So many clients that say a part of a Hello, until the standard input says that they may go.
fn half_open(path: &str, clients: usize) {
    let connect = |_| {
        let mut client = UnixStream::connect(path).expect("a listener");
        client.write_all(b"mnpf").expect("room for four bytes");
        client
    };
    let clients: Vec<UnixStream> = (0..clients).map(connect).collect();
    let _ = std::io::stdin().read(&mut [0]);
    drop(clients);
}

fn play(name: &str, kind: &str) -> ExitCode {
    let Some(case) = cases::all().into_iter().find(|case| case.name == name) else { return usage("no such case") };
    let Some(kind) = Kind::named(kind) else { return usage("no such kind") };
    let stream = std::io::stdin().as_fd().try_clone_to_owned().expect("the standard input");
    // The standard input itself stays open beside it: the socket ends with this process.
    case.play(Evil { kind, stream: UnixStream::from(stream), words: case.honest.words });
    ExitCode::SUCCESS
}
