//! Waiting, not waiting, being interrupted, and the end of the connection.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]
#![allow(unsafe_code, reason = "a signal handler is installed by an unsafe call")]

mod rig;

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd},
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    thread,
};

use fdpass::{Error, recv_fd, recv_fds, send_fds, try_recv_fds, try_send_fds};
use nix::{
    libc,
    sys::{
        pthread::{Pthread, pthread_kill, pthread_self},
        signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction},
        socket::{MsgFlags, Shutdown, send, setsockopt, shutdown, sockopt},
        time::{TimeVal, TimeValLike},
    },
    unistd::gettid,
};
use rig::{KINDS, SockType, Watchdog, borrowed, files, fill, identities, nonblocking_pair, open_descriptors, pair};

#[test]
fn try_never_waits_on_a_blocking_socket() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let (here, there) = pair(kind);
        assert!(matches!(try_recv_fds(&there, &mut [0], 1), Err(Error::WouldBlock)));
        fill(&here);
        assert!(matches!(try_send_fds(&here, b"x", &[]), Err(Error::WouldBlock)));
    }
}

#[test]
fn a_nonblocking_socket_says_that_it_would_wait() {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        let (here, there) = nonblocking_pair(kind);
        let error = recv_fds(&there, &mut [0], 1).unwrap_err();
        assert!(matches!(error, Error::WouldBlock));
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::WouldBlock);
        fill(&here);
        let sent = send_fds(&here, b"x", &borrowed(&files(1)));
        assert!(matches!(sent, Err(Error::WouldBlock)));
    }
}

#[test]
fn a_receive_timeout_ends_the_wait_for_a_tag() {
    let _watchdog = Watchdog::new();
    let (_here, there) = pair(SockType::Stream);
    setsockopt(&there, sockopt::ReceiveTimeout, &TimeVal::milliseconds(1)).unwrap();
    assert!(matches!(recv_fd(&there, b"tag"), Err(Error::WouldBlock)));
}

#[test]
fn the_end_of_a_connection_is_told_after_what_was_sent_before_it() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::Stream, SockType::SeqPacket] {
        let (here, there) = pair(kind);
        let sent = files(1);
        send_fds(&here, b"x", &borrowed(&sent)).unwrap();
        drop(here);
        let received = recv_fds(&there, &mut [0; 8], 1).unwrap();
        assert_eq!(identities(&received.fds), identities(&sent));
        for _ in 0..2 {
            let error = recv_fds(&there, &mut [0; 8], 1).unwrap_err();
            assert!(matches!(error, Error::EndOfFile));
            assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
        }
    }
}

#[test]
fn a_peer_that_finished_writing_is_the_end_too() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    shutdown(here.as_raw_fd(), Shutdown::Write).unwrap();
    assert!(matches!(recv_fds(&there, &mut [0], 0), Err(Error::EndOfFile)));
}

#[test]
fn sending_to_a_closed_peer_is_an_error_and_no_signal() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::Stream, SockType::SeqPacket] {
        let (here, there) = pair(kind);
        drop(there);
        // SAFETY: the default action is no function of this program.
        let ignored = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        let error = io::Error::from(send_fds(&here, b"x", &borrowed(&files(1))).unwrap_err());
        // SAFETY: what was there before goes back.
        unsafe { libc::signal(libc::SIGPIPE, ignored) };
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[test]
fn an_empty_datagram_is_a_message_and_not_the_end() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Datagram);
    send(here.as_raw_fd(), b"", MsgFlags::empty()).unwrap();
    let received = recv_fds(&there, &mut [0], 1).unwrap();
    assert_eq!((received.len, received.fds.len()), (0, 0));
}

#[test]
fn a_message_longer_than_the_buffer_is_told_and_its_descriptors_are_closed() {
    let _watchdog = Watchdog::new();
    for kind in [SockType::SeqPacket, SockType::Datagram] {
        let (here, there) = pair(kind);
        let sent = files(2);
        let before = open_descriptors();
        send_fds(&here, b"long", &borrowed(&sent)).unwrap();
        let mut buf = [0; 2];
        let error = recv_fds(&there, &mut buf, 2).unwrap_err();
        assert!(matches!(error, Error::MessageTruncated { room: 2, .. }));
        assert_eq!(&buf, b"lo");
        assert_eq!(open_descriptors(), before);
        assert!(matches!(try_recv_fds(&there, &mut buf, 2), Err(Error::WouldBlock)));
    }
}

#[test]
fn a_stream_longer_than_the_buffer_keeps_the_rest() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let sent = files(1);
    send_fds(&here, b"long", &borrowed(&sent)).unwrap();
    let mut buf = [0; 2];
    assert_eq!(recv_fds(&there, &mut buf, 1).unwrap().fds.len(), 1);
    assert_eq!(&buf, b"lo");
    assert_eq!(recv_fds(&there, &mut buf, 0).unwrap().fds.len(), 0);
    assert_eq!(&buf, b"ng");
}

#[test]
fn a_descriptor_that_is_no_socket_is_an_error() {
    let _watchdog = Watchdog::new();
    let file = &files(1)[0];
    assert!(matches!(send_fds(file, b"x", &[]), Err(Error::Io(_))));
    assert!(matches!(recv_fds(file, &mut [0], 1), Err(Error::Io(_))));
}

static SIGNALS: AtomicUsize = AtomicUsize::new(0);

extern "C" fn count(_: libc::c_int) {
    SIGNALS.fetch_add(1, SeqCst);
}

fn until_asleep(thread: i32) {
    let path = format!("/proc/self/task/{thread}/stat");
    while !fs::read_to_string(&path).unwrap().contains(") S ") {
        thread::yield_now();
    }
}

/// Interrupts the thread three times while it sleeps, then does `wake` while it sleeps again.
fn interrupt(target: Pthread, thread: i32, wake: impl FnOnce()) {
    let before = SIGNALS.load(SeqCst);
    for signals in 1..=3 {
        until_asleep(thread);
        pthread_kill(target, Signal::SIGUSR1).unwrap();
        while SIGNALS.load(SeqCst) < before + signals {
            thread::yield_now();
        }
    }
    until_asleep(thread);
    wake();
}

fn install_handler() {
    let action = SigAction::new(SigHandler::Handler(count), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler adds to an atomic and does nothing else.
    unsafe { sigaction(Signal::SIGUSR1, &action) }.unwrap();
}

#[test]
fn a_signal_does_not_end_a_receive() {
    let _watchdog = Watchdog::new();
    install_handler();
    let (here, there) = pair(SockType::Stream);
    let sent = files(1);
    let (target, thread) = (pthread_self(), gettid().as_raw());
    thread::scope(|scope| {
        scope.spawn(|| {
            interrupt(target, thread, || {
                send_fds(&here, b"x", &borrowed(&sent)).unwrap();
            });
        });
        let received = recv_fds(&there, &mut [0], 1).unwrap();
        assert_eq!(identities(&received.fds), identities(&sent));
    });
}

#[test]
fn a_signal_does_not_end_a_send() {
    let _watchdog = Watchdog::new();
    install_handler();
    let (here, there) = pair(SockType::SeqPacket);
    let queued = fill(&here);
    let (target, thread) = (pthread_self(), gettid().as_raw());
    thread::scope(|scope| {
        scope.spawn(|| {
            interrupt(target, thread, || drain(&there, queued));
        });
        assert_eq!(send_fds(&here, b"x", &[]).unwrap(), 1);
    });
    assert_eq!(recv_fds(&there, &mut [0], 0).unwrap().len, 1);
}

fn drain(socket: impl AsFd, mut bytes: usize) {
    while bytes > 0 {
        bytes -= recv_fds(&socket, &mut [0; 4096], 0).unwrap().len;
    }
}
