//! Connections made again and again under a limit, and what is left behind.

use std::{
    os::{
        fd::AsFd,
        unix::net::{UnixListener, UnixStream},
    },
    path::Path,
    time::{Duration, Instant},
};

use ipc_queue::Consumer;
use memenpsf::{Interface, Listener, Options, RecvError};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use process_tests::{Holdings, socket_of_peer};

use crate::{
    end::{End, open},
    limit::{Limit, fill_the_heap},
};

fn options() -> Options {
    Options::new().capacity(8).wait(ipc_queue::Wait::Sleep)
}

/// Connects once without the limit, `times` times under it and once without it, and says each time how it went.
///
/// Both processes of a test run this, each with its own kind and limit. The one that listens comes first.
pub(crate) fn run(kind: &str, path: &str, limit: &str, value: &str, times: u32) {
    let mut meeting = Meeting::new(kind, path.as_ref());
    let limited = || (limit != "none").then(|| Limit::new(limit, value.parse().unwrap()));
    // Makes what is made once.
    println!("{}", meeting.connect(|| None));
    let before = Holdings::now();
    for _ in 0..times {
        println!("{}", meeting.connect(limited));
        assert_eq!(Holdings::now(), before, "left behind");
    }
    println!("{}", meeting.connect(|| None));
    assert_eq!(Holdings::now(), before, "left behind");
}

/// How the two processes find each other.
enum Meeting {
    /// The streams are there before the limit is.
    Calls {
        kind: String,
        path: String,
    },
    Waits {
        kind: String,
        listener: UnixListener,
    },
    /// The library makes the streams, too.
    CallsItself {
        path: String,
    },
    WaitsItself {
        listener: Listener,
    },
}

impl Meeting {
    fn new(kind: &str, path: &Path) -> Self {
        let text = path.to_str().unwrap().to_owned();
        let meeting = match kind {
            "connect" => Self::CallsItself { path: text },
            "accept" => Self::WaitsItself { listener: Listener::bind(path).unwrap() },
            "client" | "producer" => Self::Calls { kind: kind.to_owned(), path: text },
            _ => Self::Waits { kind: kind.to_owned(), listener: UnixListener::bind(path).unwrap() },
        };
        if matches!(kind, "accept" | "server" | "consumer") {
            println!("listening");
        }
        meeting
    }

    /// Makes one connection, sends a message each way, and says how it went.
    fn connect(&mut self, limit: impl FnOnce() -> Option<Limit>) -> String {
        fill_the_heap();
        match self {
            Self::Calls { kind, path } => {
                let stream = UnixStream::connect(path).unwrap();
                let _limit = limit();
                told(open(kind, stream, &options()))
            }
            Self::Waits { kind, listener } => {
                let (stream, _) = listener.accept().unwrap();
                let _limit = limit();
                told(open(kind, stream, &options()))
            }
            Self::CallsItself { path } => {
                let limit = limit();
                let end = Interface::<u64>::connect(&*path, &options());
                let text = told_interface(end, true);
                drop(limit);
                if text.starts_with("connecting") {
                    // Nobody has called yet, and the other process waits for a call.
                    drop(UnixStream::connect(path).unwrap());
                }
                text
            }
            Self::WaitsItself { listener } => {
                let limit = limit();
                match listener.accept() {
                    Ok(pending) => told_interface(pending.open(&options()), false),
                    Err(error) => {
                        drop(limit);
                        // The client is still in the queue.
                        let end = listener.accept().unwrap().open(&options());
                        format!("{error}; then {}", told_interface(end, false))
                    }
                }
            }
        }
    }
}

fn told(end: Result<End, memenpsf::Error>) -> String {
    match end.map(|mut end| end.exchange(1)) {
        Ok(Ok(())) => "connected".into(),
        Ok(Err(error)) => error,
        Err(error) => error.to_string(),
    }
}

fn told_interface(end: Result<Interface<u64>, memenpsf::Error>, first: bool) -> String {
    let mut end = match end {
        Ok(end) => end,
        Err(error) => return error.to_string(),
    };
    if first {
        end.xmit_blocking(7).unwrap();
    }
    assert_eq!(end.recv_blocking(), Ok(7));
    if !first {
        end.xmit_blocking(7).unwrap();
        assert!(end.recv_blocking().is_err(), "the client ends it");
    }
    "connected".into()
}

/// A user who has as many descriptors in flight as `RLIMIT_NOFILE` allows can send none: `ETOOMANYREFS`, unix(7).
pub(crate) fn in_flight(kind: &str) {
    const LIMIT: u64 = 64;
    let stream = socket_of_peer();
    let (keep, full) = UnixStream::pair().unwrap();
    let before = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, LIMIT, before.1).unwrap();
    // The limit binds those without CAP_SYS_RESOURCE and CAP_SYS_ADMIN.
    let nobody = nix::unistd::Uid::from_raw(65534);
    nix::unistd::setresuid(nobody, nobody, nobody).unwrap();
    let again = stream.as_fd();
    while fdpass::send_fds(&full, b"x", &[again; 16]).is_ok() {}
    println!("{}", told(open(kind, stream, &options())));
    drop(keep);
}

/// Receives when no descriptor, not even one that is open, may be asked about any more: ppoll(2) fails.
pub(crate) fn none_left() {
    let mut consumer = Consumer::<u64>::new(socket_of_peer(), &options()).unwrap();
    let (stop, _writer) = std::io::pipe().unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, 0, 0).unwrap();
    println!("ready");
    let (start, short) = (Instant::now(), Duration::from_millis(20));
    assert_eq!(consumer.pop_timeout(short), Err(RecvError::TimedOut));
    assert!(start.elapsed() >= short, "not earlier");
    assert_eq!(consumer.wait_unless(stop.as_fd()), Err(RecvError::Stopped), "it would not see its descriptor");
    println!("waiting");
    let cpu = process_tests::cpu_time();
    let mut received = 0;
    let end = loop {
        match consumer.pop_blocking() {
            Ok(number) => assert_eq!(number, received),
            Err(end) => break end,
        }
        received += 1;
    };
    let (cpu, time) = (process_tests::cpu_time() - cpu, start.elapsed());
    assert!(cpu * 2 < time, "it spins: {cpu:?} of {time:?}");
    println!("{received}, {end}");
}
