//! Signals: they end no call, and lengthen none.

use std::{
    io::{self, ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    time::Duration,
};

use local_socket::{ConnectOptions, ConnectWaitMode, ListenerOptions, Name, Stream};

use crate::{
    connecting::full,
    rig::{Watchdog, taking, unique},
    signal_storm::under_signals,
};

const TIME: Duration = Duration::from_millis(100);

fn assert_ends_in_time<T>(call: impl FnOnce() -> io::Result<T>) {
    let result = under_signals(|| taking(TIME, call));
    assert_eq!(result.map(drop).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn timeouts_are_kept_under_signals() {
    let _watchdog = Watchdog::new();
    let name = Name::namespaced(unique()).unwrap();
    let (full, _first) = full(&name);
    let wait = ConnectWaitMode::Timeout(TIME);
    assert_ends_in_time(|| ConnectOptions::new(name).wait_mode(wait).connect_sync());
    full.accept().unwrap();
    assert_ends_in_time(|| full.accept_timeout(TIME));
    let (one, _other) = UnixStream::pair().unwrap();
    let one = Stream::from(one);
    one.set_recv_timeout(Some(TIME)).unwrap();
    assert_ends_in_time(|| (&one).read(&mut [0]));
    one.set_nonblocking(true).unwrap();
    while (&one).write(&[0; 4096]).is_ok() {}
    while (&one).write(&[0]).is_ok() {}
    one.set_nonblocking(false).unwrap();
    one.set_send_timeout(Some(TIME)).unwrap();
    assert_ends_in_time(|| (&one).write(b"x"));
}

#[test]
fn a_call_without_a_timeout_goes_on_after_signals() {
    let _watchdog = Watchdog::new();
    let name = Name::namespaced(unique()).unwrap();
    let listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Not for something to happen: for signals to come meanwhile.
            std::thread::sleep(TIME);
            let client = Stream::connect(name).unwrap();
            std::thread::sleep(TIME);
            (&client).write_all(b"x").unwrap();
        });
        under_signals(|| {
            let stream = listener.accept().unwrap();
            assert_eq!((&stream).read(&mut [0]).unwrap(), 1);
        });
    });
}
