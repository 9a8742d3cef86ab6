//! How long calls wait: not at all, for some time, under signals, and as copies do.

use std::{
    io::ErrorKind,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use local_socket::{Error, Socket};

use crate::{
    every_form::{Receiving, at_once, every_form},
    files::{Witness, files},
    rig::{Watchdog, taking},
    signal_storm::under_signals,
};

const TIME: Duration = Duration::from_millis(50);

/// Sends until there is no room, and says how many messages went.
pub(crate) fn fill(socket: &Socket) -> usize {
    socket.set_nonblocking(true).unwrap();
    let sent = (0..).take_while(|_| socket.send_slice(&[b'.'; 4096], &[]).is_ok()).count();
    // The last room there is.
    let sent = sent + (0..).take_while(|_| socket.send_slice(b"", &[]).is_ok()).count();
    socket.set_nonblocking(false).unwrap();
    sent
}

fn timed_out<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::TimedOut))
}

fn would_block<T>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::WouldBlock))
}

#[test]
fn every_form_of_receiving_ends_in_time_also_under_signals() {
    let _watchdog = Watchdog::new();
    let (_here, there) = Socket::pair().unwrap();
    there.set_recv_timeout(Some(TIME)).unwrap();
    for form in every_form() {
        assert!(timed_out(taking(TIME, || at_once(form.receive::<_, Vec<OwnedFd>>(&there, 64)))), "{form:?}");
        let result = under_signals(|| taking(TIME, || at_once(form.receive::<_, Vec<OwnedFd>>(&there, 64))));
        assert!(timed_out(result), "{form:?}");
    }
}

#[test]
fn empty_messages_arrive_under_signals() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    under_signals(|| {
        let until = Instant::now() + 5 * TIME;
        while Instant::now() < until {
            here.send_slice(b"", &[]).unwrap();
            assert_eq!(there.recv_slice::<[_; 0]>(&mut [0]).unwrap().0, 0);
        }
    });
}

#[test]
fn sending_ends_in_time_also_under_signals_and_has_sent_nothing() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    here.set_send_timeout(Some(TIME)).unwrap();
    let sent = fill(&here);
    let (mut witness, fd) = Witness::new();
    assert!(timed_out(taking(TIME, || here.send_slice(b"x", &[fd.as_fd()]))));
    assert!(timed_out(under_signals(|| taking(TIME, || here.send_slice_with_len(b"x", &[fd.as_fd()])))));
    drop(fd);
    assert!(witness.all_closed());
    for _ in 0..sent {
        let bytes = there.recv_vec::<[_; 0]>(4096).unwrap().0;
        assert!(bytes.iter().all(|byte| *byte == b'.'));
    }
    there.set_nonblocking(true).unwrap();
    assert!(would_block(there.recv_vec::<Vec<OwnedFd>>(4096)));
}

#[test]
fn a_call_without_a_timeout_goes_on_after_signals() {
    let _watchdog = Watchdog::new();
    for (timeout, form) in [(None, Receiving::Slice), (None, Receiving::Vec), (Some(Duration::MAX), Receiving::Vec)] {
        let (here, there) = Socket::pair().unwrap();
        here.set_send_timeout(timeout).unwrap();
        here.set_recv_timeout(timeout).unwrap();
        let sent = fill(&here);
        thread::scope(|scope| {
            scope.spawn(|| {
                // Not for something to happen: for signals to come meanwhile.
                thread::sleep(TIME);
                for _ in 0..sent {
                    there.recv_vec::<[_; 0]>(4096).unwrap();
                }
                assert_eq!(there.recv_vec::<[_; 0]>(64).unwrap().0, b"there is room");
                thread::sleep(TIME);
                there.send_slice(b"answer", &[]).unwrap();
            });
            under_signals(|| {
                here.send_slice(b"there is room", &[]).unwrap();
                assert_eq!(at_once(form.receive::<_, [_; 0]>(&here, 64)).unwrap().0, b"answer");
            });
        });
    }
}

#[test]
fn what_is_there_needs_no_time() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    for timeout in [Duration::from_nanos(1), TIME, Duration::MAX] {
        here.set_send_timeout(Some(timeout)).unwrap();
        there.set_recv_timeout(Some(timeout)).unwrap();
        here.send_slice(b"x", &[files(1)[0].as_fd()]).unwrap();
        let (bytes, [_]) = there.recv_vec::<[_; 1]>(1).unwrap();
        assert_eq!(bytes, b"x");
    }
}

#[test]
fn a_nonblocking_socket_waits_for_nothing_whatever_its_timeouts_and_no_timeout_is_left_over() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    for timeout in [None, Some(Duration::MAX)] {
        for socket in [&here, &there] {
            socket.set_recv_timeout(timeout).unwrap();
            socket.set_send_timeout(timeout).unwrap();
        }
        there.set_nonblocking(true).unwrap();
        for form in every_form() {
            assert!(would_block(at_once(form.receive::<_, Vec<OwnedFd>>(&there, 64))), "{form:?}");
        }
        let sent = fill(&here);
        here.set_nonblocking(true).unwrap();
        assert!(would_block(here.send_slice(b"", &[])));
        assert!(would_block(here.send_slice(b"x", &[files(1)[0].as_fd()])));
        (0..sent).for_each(|_| drop(there.recv_vec::<[_; 0]>(4096).unwrap()));
    }
    for socket in [&here, &there] {
        socket.set_nonblocking(false).unwrap();
        socket.set_recv_timeout(None).unwrap();
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            // Longer than any timeout that was set could be taken for.
            thread::sleep(TIME);
            here.send_slice(b"late", &[]).unwrap();
        });
        assert_eq!(there.recv_vec::<[_; 0]>(64).unwrap().0, b"late");
    });
}

#[test]
fn a_copy_takes_the_timeouts_over_and_then_has_its_own() {
    let _watchdog = Watchdog::new();
    let (here, _there) = Socket::pair().unwrap();
    here.set_recv_timeout(Some(TIME)).unwrap();
    here.set_send_timeout(Some(TIME)).unwrap();
    fill(&here);
    let copy = here.try_clone().unwrap();
    assert!(timed_out(taking(TIME, || copy.recv_vec::<[_; 0]>(64))));
    assert!(timed_out(taking(TIME, || copy.send_slice(b"x", &[]))));
    copy.set_recv_timeout(Some(2 * TIME)).unwrap();
    here.set_send_timeout(Some(2 * TIME)).unwrap();
    assert!(timed_out(taking(2 * TIME, || copy.recv_vec::<[_; 0]>(64))));
    assert!(timed_out(taking(TIME, || here.recv_vec::<[_; 0]>(64))));
    assert!(timed_out(taking(2 * TIME, || here.send_slice(b"x", &[]))));
    assert!(timed_out(taking(TIME, || copy.send_slice(b"x", &[]))));
}

#[test]
fn a_timeout_of_zero_is_refused_and_changes_nothing() {
    let _watchdog = Watchdog::new();
    let (here, _there) = Socket::pair().unwrap();
    here.set_recv_timeout(Some(TIME)).unwrap();
    here.set_send_timeout(Some(TIME)).unwrap();
    for error in [here.set_recv_timeout(Some(Duration::ZERO)), here.set_send_timeout(Some(Duration::ZERO))] {
        assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert!(timed_out(taking(TIME, || here.recv_vec::<[_; 0]>(64))));
    fill(&here);
    assert!(timed_out(taking(TIME, || here.send_slice(b"x", &[]))));
}
