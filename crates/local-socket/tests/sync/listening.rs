//! Accepting.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, AsRawFd},
    thread,
    time::Duration,
};

use local_socket::{ConnectOptions, ConnectWaitMode, Listener, ListenerNonblockingMode, ListenerOptions, Name, Stream};
use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::{FdFlags, fcntl_getfd},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::rig::{Directory, Peer, Watchdog, both_kinds, name, taking, unique};

const TIME: Duration = Duration::from_millis(100);

fn listener() -> (Listener, Name) {
    let name = Name::namespaced(unique()).unwrap();
    (ListenerOptions::new(name.clone()).create_sync().unwrap(), name)
}

fn is_nonblocking(stream: &Stream) -> bool {
    fcntl_getfl(stream).unwrap().contains(OFlags::NONBLOCK)
}

#[test]
fn an_accept_ends_in_time() {
    let _watchdog = Watchdog::new();
    let (listener, name) = listener();
    let error = taking(TIME, || listener.accept_timeout(TIME)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
    assert_eq!(listener.accept_timeout(Duration::ZERO).unwrap_err().kind(), ErrorKind::TimedOut);
    for time in [Duration::ZERO, TIME, Duration::MAX] {
        let _client = Stream::connect(name.clone()).unwrap();
        listener.accept_timeout(time).unwrap();
    }
}

#[test]
fn two_threads_that_wait_for_one_client_both_end() {
    let _watchdog = Watchdog::new();
    let (listener, name) = listener();
    thread::scope(|scope| {
        let waits: Vec<_> = (0..2).map(|_| scope.spawn(|| listener.accept_timeout(TIME).is_ok())).collect();
        let _client = Stream::connect(name).unwrap();
        let accepted = waits.into_iter().map(|wait| wait.join().unwrap()).filter(|ok| *ok).count();
        assert_eq!(accepted, 1);
    });
}

#[test]
fn each_nonblocking_mode_is_what_its_name_says() {
    let _watchdog = Watchdog::new();
    use ListenerNonblockingMode::{Accept, Both, Neither, Stream as OfStream};
    for built in [true, false] {
        for (mode, accept, stream) in
            [(Neither, false, false), (Accept, true, false), (OfStream, false, true), (Both, true, true)]
        {
            let name = Name::namespaced(unique()).unwrap();
            let options = ListenerOptions::new(name.clone());
            let listener = if built {
                options.nonblocking(mode).create_sync().unwrap()
            } else {
                let listener = options.nonblocking(Both).create_sync().unwrap();
                listener.set_nonblocking(mode);
                listener
            };
            if accept {
                assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
                let error = taking(TIME, || listener.accept_timeout(TIME)).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::TimedOut);
            }
            thread::scope(|scope| {
                let _clients: Vec<_> = if accept {
                    (0..2).map(|_| Stream::connect(name.clone()).unwrap()).collect()
                } else {
                    // Which may come before or after the server waits.
                    scope.spawn(|| drop([(); 2].map(|()| Stream::connect(name.clone()).unwrap())));
                    Vec::new()
                };
                assert_eq!(is_nonblocking(&listener.accept().unwrap()), stream, "{mode:?}");
                assert_eq!(is_nonblocking(&listener.accept_timeout(Duration::MAX).unwrap()), stream, "{mode:?}");
            });
        }
    }
}

#[test]
fn nothing_is_inherited_by_other_programs() {
    let _watchdog = Watchdog::new();
    let (listener, name) = listener();
    let client = Stream::connect(name).unwrap();
    let server = listener.accept().unwrap();
    for fd in [listener.as_fd(), client.as_fd(), server.as_fd(), client.try_clone().unwrap().as_fd()] {
        assert!(fcntl_getfd(fd).unwrap().contains(FdFlags::CLOEXEC));
    }
}

#[test]
fn a_dropped_listener_hangs_up_on_who_waits_whoever_has_copies() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let copy = listener.as_fd().try_clone_to_owned().unwrap();
        let mut client = Stream::connect(name(kind, &text)).unwrap();
        client.write_all(b"unread").unwrap();
        drop(listener);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(copy);
    }
}

#[test]
fn a_client_who_comes_when_there_is_no_descriptor_left_is_not_lost() {
    let _watchdog = Watchdog::new();
    Peer::start("out of descriptors", &[]).succeeds();
}

pub(crate) fn out_of_descriptors() {
    let (listener, name) = listener();
    let mut client = Stream::connect(name.clone()).unwrap();
    client.write_all(b"still here").unwrap();
    client.shutdown(std::net::Shutdown::Write).unwrap();
    let before = use_up_descriptors();
    for _ in 0..3 {
        let connecting = ConnectOptions::new(name.clone());
        let errors = [
            listener.accept().unwrap_err(),
            connecting.connect_sync().unwrap_err(),
            connecting.wait_mode(ConnectWaitMode::Deferred).connect_sync().unwrap_err(),
            ListenerOptions::new(name.clone()).create_sync().unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()), "{error}");
        }
    }
    setrlimit(Resource::Nofile, before).unwrap();
    let mut received = String::new();
    listener.accept().unwrap().read_to_string(&mut received).unwrap();
    assert_eq!(received, "still here");
}

/// Lets this process open nothing any more. Returns the limit from before.
fn use_up_descriptors() -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // The lowest free number is the next to be given out.
    let limit = Some(File::open("/dev/null").unwrap().as_raw_fd() as u64);
    setrlimit(Resource::Nofile, Rlimit { current: limit, maximum: before.maximum }).unwrap();
    before
}

#[test]
fn a_listener_takes_its_path_with_it_also_when_there_is_no_descriptor_left() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    Peer::start("drop without descriptors", &[directory.path("socket").to_str().unwrap()]).succeeds();
    assert_eq!(directory.names(), [""; 0]);
}

pub(crate) fn drop_without_descriptors(path: &str) {
    let name = Name::path(path).unwrap();
    let listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    let mut client = Stream::connect(name).unwrap();
    use_up_descriptors();
    drop(listener);
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset, "nobody accepted it");
}
