//! Processes that do not know each other meet under a name, and then talk in values:
//! `cargo run -p local-socket --features serde --example typed_server`
#![allow(clippy::print_stdout, reason = "a program")]

use local_socket::{Listener, ListenerOptions, Name, Receiver, Sender, Stream, deserialize, duplex, serialize};
use serde::{Deserialize, Serialize};
use std::{env, io, os::fd::AsFd, process};

#[derive(Debug, Serialize, Deserialize)]
enum Request {
    Add(Vec<i64>),
    Count(String),
}

/// What a server has of a connection, and a client the other way round.
type Ends<S, R> = (Sender<S>, Receiver<R>);

/// Opens channels for a client, and gives it its ends by the stream over which it came.
fn give_ends<S, R>(stream: Stream) -> io::Result<Ends<S, R>> {
    let (ours, theirs) = duplex()?;
    let (bytes, fds) = serialize(theirs)?;
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    fdpass::send_fds(&stream, &bytes, &fds)?;
    Ok(ours)
}

/// The ends that a server gives.
fn take_ends<S, R>(stream: Stream) -> io::Result<Ends<S, R>> {
    let mut bytes = [0; 64];
    let received = fdpass::recv_fds(&stream, &mut bytes, 2)?;
    Ok(deserialize(&bytes[..received.len], received.fds)?)
}

fn serve(listener: &Listener, clients: usize) -> io::Result<()> {
    for _ in 0..clients {
        let (answers, requests) = give_ends::<i64, Request>(listener.accept()?)?;
        while let Ok(request) = requests.recv() {
            answers.send(match request {
                Request::Add(numbers) => numbers.iter().sum(),
                Request::Count(text) => text.chars().count() as i64,
            })?;
        }
    }
    Ok(())
}

fn ask(name: Name) -> io::Result<()> {
    let (requests, answers) = take_ends::<Request, i64>(Stream::connect(name)?)?;
    for request in [Request::Add(vec![23, 42]), Request::Count("good day".to_owned())] {
        print!("{}: {request:?} is ", process::id());
        requests.send(request)?;
        println!("{}", answers.recv()?);
    }
    Ok(())
}

fn main() -> io::Result<()> {
    if let Some(name) = env::args().nth(1) {
        return ask(Name::namespaced(name)?);
    }
    let name = format!("typed-server.{}", process::id());
    let listener = ListenerOptions::new(Name::namespaced(name.as_str())?).create_sync()?;
    let client = || process::Command::new(env::current_exe()?).arg(&name).spawn();
    let mut clients = [client()?, client()?];
    serve(&listener, clients.len())?;
    for client in &mut clients {
        assert!(client.wait()?.success());
    }
    Ok(())
}
