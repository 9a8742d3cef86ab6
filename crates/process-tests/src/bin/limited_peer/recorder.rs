//! The other end of a connection that keeps all it gets: every byte that comes over the sockets, and the whole segment.
//!
//! It stands between the process that it watches and an end of its own, and passes everything on, descriptors too.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{fs::FileExt, net::UnixStream},
    },
    sync::{Arc, Mutex},
    thread::{JoinHandle, spawn},
};

use ipc_queue::Element;
use process_tests::{secret::find, socket_of_peer};

use crate::secrets::{Talk, exchange, open, options};

/// Connects to the process that it watches as `kind`, with the schema that is given to it.
pub(crate) struct Recorder<'a> {
    pub(crate) kind: &'a str,
    pub(crate) capacity: usize,
}

/// What the process that is watched gave away.
#[derive(Default)]
struct Record {
    bytes: Vec<u8>,
    segment: Option<File>,
    links: Vec<JoinHandle<()>>,
}

impl Talk for Recorder<'_> {
    fn run<T: Element + Copy>(self) {
        let record = Arc::new(Mutex::new(Record::default()));
        let (near, inner) = UnixStream::pair().unwrap();
        link(&record, socket_of_peer(), inner);
        // The process's own copy.
        nix::unistd::dup2_stdin(File::open("/dev/null").unwrap()).unwrap();
        if let Ok(ends) = open::<T>(self.kind, near, &options(self.capacity).schema("a")) {
            exchange(ends, 0x22, |_| {});
        }
        wait_for_links(&record);
        report(&record.lock().unwrap());
    }
}

/// Passes on what comes from either, until both have ended. What `watched` sends is kept.
fn link(record: &Arc<Mutex<Record>>, watched: UnixStream, other: UnixStream) {
    for (from, to, keep) in [(&watched, &other, true), (&other, &watched, false)] {
        let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
        let all = Arc::clone(record);
        let link = spawn(move || pass_on(&all, &from, &to, keep));
        record.lock().unwrap().links.push(link);
    }
}

fn pass_on(record: &Arc<Mutex<Record>>, from: &UnixStream, to: &UnixStream, keep: bool) {
    let mut buffer = [0; 4096];
    while let Ok(received) = fdpass::recv_fds(from, &mut buffer, 2) {
        let bytes = &buffer[..received.len];
        let mut fds = received.fds;
        if keep {
            let mut record = record.lock().unwrap();
            record.bytes.extend(bytes);
            if let Some(segment) = fds.first() {
                record.segment = Some(segment.try_clone().unwrap().into());
            }
        }
        if let Some(second) = fds.get_mut(1) {
            between(record, second, keep);
        }
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        if fdpass::send_fds(to, bytes, &fds).is_err() {
            break;
        }
    }
    // Whoever is still there learns of it.
    let _ = to.shutdown(std::net::Shutdown::Both);
    let _ = from.shutdown(std::net::Shutdown::Both);
}

/// Puts a link into the way of a socket that is passed on.
fn between(record: &Arc<Mutex<Record>>, socket: &mut OwnedFd, from_watched: bool) {
    let (inner, handed_on) = UnixStream::pair().unwrap();
    let kept = UnixStream::from(std::mem::replace(socket, handed_on.into()));
    kept.set_nonblocking(false).unwrap();
    let (watched, other) = if from_watched { (kept, inner) } else { (inner, kept) };
    link(record, watched, other);
}

fn wait_for_links(record: &Mutex<Record>) {
    loop {
        let Some(link) = record.lock().unwrap().links.pop() else { return };
        link.join().unwrap();
    }
}

/// Says how much there is, and where in it a piece of the secret is.
fn report(record: &Record) {
    let mut segment = Vec::new();
    if let Some(file) = &record.segment {
        segment.resize(file.metadata().unwrap().len() as usize, 0);
        file.read_exact_at(&mut segment, 0).unwrap();
    }
    println!("{} bytes of segment", segment.len());
    println!("{} bytes over the sockets", record.bytes.len());
    println!("{:?}", find(&segment));
    println!("{:?}", find(&record.bytes));
}
