//! The server and the client's subcommands, as processes.

mod rig;

use std::{fs, os::unix::net::UnixStream, path::Path, process::Command};

use memenpsf::{Listener, Options, RecvError};
use memenpsf_examples::{
    connect::{connect, leave},
    message::{ECHO, Message},
};
use nix::sys::signal::Signal;
use rig::{Directory, Program, client, listening, run, server};

fn at(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = client(arguments);
    command.arg("--socket").arg(socket);
    command
}

#[test]
fn each_subcommand_does_its_work_and_the_server_tells_of_it() {
    let directory = Directory::new();
    let mut server = listening(&directory.socket());
    let file = env!("CARGO_BIN_EXE_ipc-server");
    for arguments in [
        &["ping", "--seconds", "0.1"][..],
        &["stream", "--seconds", "0.1"],
        &["bridge", "--seconds", "0.1"],
        &["send", file],
    ] {
        let said = run(&mut at(&directory.socket(), arguments)).went_well();
        assert!(!said.is_empty(), "{arguments:?}");
        server.line_with(&["process ", arguments[0], " joined"]);
        server.line_with(&[" left after ", "it has finished"]);
    }
}

#[test]
fn clients_are_served_at_the_same_time_whoever_is_silent() {
    let directory = Directory::new();
    let mut server = listening(&directory.socket());
    let _silent = UnixStream::connect(directory.socket()).expect("the server listens");
    let mut clients = ["first", "second"].map(|name| connect(&directory.socket(), name).expect("a handshake"));
    for number in 0..1000 {
        for client in &mut clients {
            client.xmit(Message::new(ECHO, number)).expect("room");
        }
        for client in &mut clients {
            client.recv_blocking().expect("an answer").must_be(number).expect("the right one");
        }
    }
    clients.into_iter().for_each(|client| leave(client).expect("the server finishes too"));
    let (mut joined, mut left) = (0, 0);
    while (joined, left) != (2, 2) {
        let line = server.line();
        joined += u32::from(line.ends_with(" joined"));
        left += u32::from(line.ends_with("left after 1000 messages: it has finished"));
    }
}

#[test]
fn a_signal_ends_the_server_and_removes_its_path() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let directory = Directory::new();
        let mut server = listening(&directory.socket());
        let mut client = connect(&directory.socket(), "stays").expect("a handshake");
        server.line_with(&["joined"]);
        server.signal(signal);
        let lines = server.end().went_well();
        assert_eq!(lines, [format!("ended by {signal}, clients still connected: 1")]);
        assert!(directory.is_empty());
        assert_eq!(client.recv_blocking().err(), Some(RecvError::Disconnected));
    }
}

#[test]
fn a_killed_client_is_told_from_one_that_finished() {
    let directory = Directory::new();
    let mut server = listening(&directory.socket());
    let client = Program::start(&mut at(&directory.socket(), &["ping", "--seconds", "1000"]));
    server.line_with(&["joined"]);
    client.signal(Signal::SIGKILL);
    server.line_with(&["left after ", "it is gone without a word"]);
}

#[test]
fn a_client_whose_server_is_killed_says_so() {
    let directory = Directory::new();
    let mut server = listening(&directory.socket());
    for name in ["ping", "stream", "bridge"] {
        let client = Program::start(&mut at(&directory.socket(), &[name, "--seconds", "1000"]));
        server.line_with(&["joined"]);
        server.signal(Signal::SIGKILL);
        client.end().failed(1, &["ipc-client: "]);
        drop(server);
        server = listening(&directory.socket());
    }
}

#[test]
fn a_missing_server_gets_one_sentence() {
    let directory = Directory::new();
    let file = env!("CARGO_BIN_EXE_ipc-server");
    for arguments in [&["ping"][..], &["stream"], &["bridge"], &["send", file]] {
        run(&mut at(&directory.socket(), arguments)).failed(1, &["no server listens at", "ipc-server -- --socket"]);
    }
    for mut command in [at(Path::new("bare"), &["ping"]), server(Path::new("bare"))] {
        run(command.env("XDG_RUNTIME_DIR", "nowhere")).failed(1, &["bare", "XDG_RUNTIME_DIR is not an absolute path"]);
    }
}

#[test]
fn a_file_in_the_socket_s_place_is_called_one() {
    let directory = Directory::new();
    std::fs::write(directory.socket(), "no socket").expect("a file");
    run(&mut at(&directory.socket(), &["ping"])).failed(1, &["is no socket"]);
}

#[test]
fn a_refused_handshake_gets_one_sentence_with_the_reason() {
    let directory = Directory::new();
    let listener = Listener::bind(directory.socket()).expect("a free path");
    let client = Program::start(&mut at(&directory.socket(), &["ping"]));
    let refused = listener.accept().expect("a client").open::<u64>(&Options::new());
    assert!(refused.is_err());
    client.end().failed(1, &["no handshake with the server at", "element size: 64 here, 8 there"]);
}

#[test]
fn an_unreadable_file_gets_one_sentence() {
    let directory = Directory::new();
    let _server = listening(&directory.socket());
    let missing = directory.path().join("missing");
    for file in [missing.to_str().expect("text"), "/proc"] {
        run(&mut at(&directory.socket(), &["send", file])).failed(1, &["cannot read ", file]);
    }
}

#[test]
fn a_path_that_is_taken_is_left_alone() {
    let directory = Directory::new();
    let _server = listening(&directory.socket());
    run(&mut server(&directory.socket())).failed(1, &["cannot serve at", "another process listens"]);
    run(&mut at(&directory.socket(), &["ping", "--seconds", "0"])).went_well();

    let file = directory.path().join("file");
    fs::write(&file, "kept").expect("a file");
    run(&mut server(&file)).failed(1, &["cannot serve at", "not a socket"]);
    assert_eq!(fs::read_to_string(&file).expect("the file"), "kept");
}
