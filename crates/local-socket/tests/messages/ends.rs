//! The end, empty messages, and peers that are gone before they have received everything.

use std::{
    fs, io,
    os::fd::{AsFd, OwnedFd},
    thread,
    time::Duration,
};

use local_socket::{Credentials, Error, Socket};
use rustix::net::{AddressFamily, SendFlags, Shutdown, SocketFlags, SocketType, send, shutdown, socketpair};

use crate::{
    both::{Form, in_both_forms, pair},
    every_form::{Receiving, STRUCT, at_once, every_form},
    files::files,
    rig::{HANG, Peer, Watchdog, raises_sigpipe},
};

in_both_forms! {
    empty_messages_come_before_the_end
    empty_messages_with_more_behind_them_are_no_end
    the_end_is_the_end_in_every_form
    what_a_foreign_process_sent_before_is_told_from_the_end
    messages_of_a_peer_that_is_gone_come_before_the_end_also_after_a_reset
    a_reset_is_reported_once_and_to_nobody
    no_sending_to_who_is_gone_raises_a_signal
    who_was_shut_down_gets_no_more
}

fn ended<T>(result: &Result<T, Error>) -> bool {
    matches!(result, Err(Error::EndOfFile))
}

/// What an empty message is in this form.
fn is_empty_message(form: Receiving, result: Result<(Vec<u8>, [OwnedFd; 0]), Error>) -> bool {
    match form {
        Receiving::Struct | Receiving::StructRaw => {
            matches!(result, Err(Error::WrongLength { expected, got: 0 }) if expected == STRUCT as u64)
        }
        _ if form.has_prefix() => matches!(result, Err(Error::Malformed { .. })),
        _ => result.is_ok_and(|(bytes, _)| bytes.is_empty()),
    }
}

async fn empty_messages_come_before_the_end<S: Form>() {
    for form in every_form() {
        for (room, asks) in [(0, false), (8, false), (0, true), (8, true)] {
            let (here, there) = pair::<S>();
            if asks {
                there.ask_for_credentials();
            }
            for _ in 0..2 {
                here.send_slice(b"", &[]).await.unwrap();
            }
            for _ in 0..2 {
                assert!(is_empty_message(form, form.receive(&there, room).await), "{form:?}");
            }
            here.send_slice(b"", &[]).await.unwrap();
            drop(here);
            // As documented: without credentials this one looks like the end.
            if asks {
                assert!(is_empty_message(form, form.receive(&there, room).await), "{form:?}");
            }
            assert!(ended(&form.receive::<_, [_; 0]>(&there, room).await), "{form:?}");
        }
    }
    // Descriptors may come with nothing.
    let (here, there) = pair::<S>();
    here.send_slice(b"", &[files(1)[0].as_fd()]).await.unwrap();
    drop(here);
    let (length, [_]) = there.recv_slice::<[_; 1]>(&mut []).await.unwrap();
    assert_eq!(length, 0);
    assert!(ended(&there.recv_slice::<[_; 1]>(&mut []).await));
}

async fn empty_messages_with_more_behind_them_are_no_end<S: Form>() {
    let (here, there) = pair::<S>();
    for message in [b"".as_slice(), b"", b"x", b""] {
        here.send_slice(message, &[]).await.unwrap();
    }
    drop(here);
    for message in [b"".as_slice(), b"", b"x"] {
        assert_eq!(there.recv_vec::<[_; 0]>(1).await.unwrap().0, message);
    }
    assert!(ended(&there.recv_vec::<[_; 0]>(1).await));
}

async fn the_end_is_the_end_in_every_form<S: Form>() {
    let (here, there) = pair::<S>();
    drop(here);
    for form in every_form() {
        for room in [0, 8] {
            for _ in 0..2 {
                assert!(ended(&form.receive::<_, Vec<OwnedFd>>(&there, room).await), "{form:?}");
            }
        }
    }
}

/// In a process of its own.
pub(crate) fn sends_before_it_is_adopted() {
    let socket = io::stdin().as_fd().try_clone_to_owned().unwrap();
    for message in [b"".as_slice(), b"last words", b""] {
        send(&socket, message, SendFlags::empty()).unwrap();
    }
}

async fn what_a_foreign_process_sent_before_is_told_from_the_end<S: Form>() {
    // Neither end asks for credentials.
    let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    Peer::start_with(&std::env::current_exe().unwrap(), "sends before it is adopted", &[], |command| {
        command.stdin(theirs);
    })
    .succeeds();
    let there = S::try_from(Socket::try_from(ours).unwrap()).unwrap();
    there.ask_for_credentials();
    let nobody = fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap().trim().parse().unwrap();
    for message in [b"".as_slice(), b"last words", b""] {
        // Nobody has written down who sent these.
        let (received, ([], sender)) = there.recv_vec::<([_; 0], Credentials)>(64).await.unwrap();
        assert_eq!((received.as_slice(), sender.pid, sender.uid), (message, None, nobody));
    }
    assert!(ended(&there.recv_vec::<[_; 0]>(64).await));
}

async fn messages_of_a_peer_that_is_gone_come_before_the_end_also_after_a_reset<S: Form>() {
    for form in every_form() {
        // Who sends first is told first.
        for sends_first in [false, true] {
            let (here, there) = pair::<S>();
            there.send_slice(b"never received", &[files(1)[0].as_fd()]).await.unwrap();
            for content in [b"one of two.", b"two of two."] {
                here.send_slice(b"", &[]).await.unwrap();
                form.send(&here, content, &[]).await.unwrap();
            }
            drop(here);
            if sends_first {
                assert!(matches!(there.send_slice(b"x", &[]).await, Err(Error::Closed)));
            }
            for content in [b"one of two.", b"two of two."] {
                assert!(is_empty_message(form, form.receive(&there, 16).await), "{form:?}");
                assert_eq!(form.receive::<_, [_; 0]>(&there, 16).await.unwrap().0, content, "{form:?}");
            }
            for _ in 0..2 {
                assert!(ended(&form.receive::<_, [_; 0]>(&there, 16).await), "{form:?}");
                assert!(matches!(there.send_slice(b"x", &[]).await, Err(Error::Closed)));
            }
        }
    }
}

async fn a_reset_is_reported_once_and_to_nobody<S: Form>() {
    for form in every_form() {
        let (here, there) = pair::<S>();
        there.send_slice(b"never received", &[]).await.unwrap();
        drop(here);
        assert!(ended(&form.receive::<_, [_; 0]>(&there, 16).await), "{form:?}");
    }
}

async fn no_sending_to_who_is_gone_raises_a_signal<S: Form>() {
    let (here, there) = pair::<S>();
    drop(there);
    // From here on no call waits, whatever the form.
    assert!(matches!(here.send_slice(b"x", &[]).await, Err(Error::Closed)));
    let sent = files(1);
    let fds = [sent[0].as_fd()];
    let raised = raises_sigpipe(|| {
        for bytes in [b"".as_slice(), b"x"] {
            assert!(matches!(at_once(here.send_slice(bytes, &[])), Err(Error::Closed)));
            assert!(matches!(at_once(here.send_slice(bytes, &fds)), Err(Error::Closed)));
            assert!(matches!(at_once(here.send_slice_with_len(bytes, &fds)), Err(Error::Closed)));
            assert!(matches!(at_once(here.send_struct(bytes, &fds)), Err(Error::Closed)));
        }
    });
    assert!(!raised);
}

async fn who_was_shut_down_gets_no_more<S: Form>() {
    let (here, there) = pair::<S>();
    here.send_slice(b"before", &[]).await.unwrap();
    shutdown(&here, Shutdown::Write).unwrap();
    assert_eq!(there.recv_vec::<[_; 0]>(64).await.unwrap().0, b"before");
    assert!(ended(&there.recv_vec::<[_; 0]>(64).await));
    assert!(matches!(here.send_slice(b"x", &[]).await, Err(Error::Closed)));
    // The other way is open.
    there.send_slice(b"back", &[]).await.unwrap();
    assert_eq!(here.recv_vec::<[_; 0]>(64).await.unwrap().0, b"back");
    shutdown(&here, Shutdown::Read).unwrap();
    assert!(matches!(there.send_slice(b"x", &[]).await, Err(Error::Closed)));
    assert!(ended(&here.recv_vec::<[_; 0]>(64).await));
}

#[test]
fn the_end_and_empty_messages_are_told_apart_by_who_does_not_wait_and_by_who_waits_for_some_time() {
    let _watchdog = Watchdog::new();
    type Wait = fn(&Socket) -> io::Result<()>;
    let not_at_all: Wait = |socket| socket.set_nonblocking(true);
    let some_time: Wait = |socket| socket.set_recv_timeout(Some(Duration::from_millis(1)));
    for (how, nothing) in [(not_at_all, "WouldBlock"), (some_time, "TimedOut")] {
        for form in every_form() {
            let (here, there) = Socket::pair().unwrap();
            there.set_pass_credentials(true).unwrap();
            how(&there).unwrap();
            let receive = || at_once(form.receive::<_, [OwnedFd; 0]>(&there, 16));
            assert_eq!(format!("{:?}", receive().unwrap_err()), nothing, "{form:?}");
            for _ in 0..3 {
                here.send_slice(b"", &[]).unwrap();
            }
            for _ in 0..3 {
                assert!(is_empty_message(form, receive()), "{form:?}");
            }
            assert_eq!(format!("{:?}", receive().unwrap_err()), nothing, "{form:?}");
            // A reset is passed over here too.
            there.send_slice(b"never received", &[]).unwrap();
            here.send_slice(b"", &[]).unwrap();
            drop(here);
            assert!(is_empty_message(form, receive()), "{form:?}");
            assert!(ended(&receive()) && ended(&receive()), "{form:?}");
        }
    }
}

#[test]
fn who_waits_sees_the_end() {
    let _watchdog = Watchdog::new();
    for unread in [false, true] {
        for timeout in [None, Some(Duration::from_secs(1) * HANG)] {
            let (here, there) = Socket::pair().unwrap();
            if unread {
                there.send_slice(b"never received", &[]).unwrap();
            }
            there.set_recv_timeout(timeout).unwrap();
            thread::scope(|scope| {
                let waits = scope.spawn(|| there.recv_vec::<[_; 0]>(64));
                drop(here);
                assert!(ended(&waits.join().unwrap()));
            });
        }
    }
}
