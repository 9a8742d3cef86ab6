//! Futures of tokio's socket that are dropped, and sockets that come from the other form, go back to it, and have no runtime.

use std::{
    io::{ErrorKind, IoSlice},
    os::fd::{AsFd, OwnedFd},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use local_socket::{Error, tokio::Socket};
use rustix::fs::{OFlags, fcntl_getfl};
use tokio::{
    runtime::Builder,
    task::{coop::consume_budget, unconstrained, yield_now},
    time::timeout,
};

use crate::{
    both::run,
    every_form::{Receiving, every_form},
    files::{Witness, assert_same, files},
    rig::{HANG, Watchdog, taking},
};

const TIME: Duration = Duration::from_millis(50);
/// More than a task may do before it lets others run.
const BUDGET: usize = 200;

/// Polls once, and drops the future.
fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

/// Lets the runtime see everything that has happened.
async fn settle() {
    for _ in 0..10 {
        yield_now().await;
    }
}

/// Sends until there is no room, and says how many messages went.
pub(crate) async fn fill(socket: &Socket) -> usize {
    let mut sent = 0;
    settle().await;
    // Without room for the least either.
    for length in [4096, 0] {
        while let Some(result) = poll_and_drop(unconstrained(socket.send_slice(&[b'.'; 4096][..length], &[]))) {
            result.unwrap();
            sent += 1;
        }
    }
    sent
}

#[test]
fn a_dropped_receive_has_received_nothing() {
    run(async {
        let (here, there) = Socket::pair().unwrap();
        let sent = files(1);
        for form in every_form() {
            for _ in 0..3 {
                assert!(poll_and_drop(form.receive::<_, Vec<OwnedFd>>(&there, 16)).is_none());
                settle().await;
            }
            form.send(&here, b"eleven long", &[sent[0].as_fd()]).await.unwrap();
            let (bytes, fds) = form.receive::<_, [OwnedFd; 1]>(&there, 16).await.unwrap();
            assert_eq!(bytes, b"eleven long", "{form:?}");
            assert_same(&fds, &sent);
        }
    });
}

#[test]
fn a_dropped_send_has_sent_nothing() {
    run(async {
        let (here, there) = Socket::pair().unwrap();
        let (mut witness, fd) = Witness::new();
        let sent = fill(&here).await;
        for _ in 0..3 {
            let fds = [fd.as_fd()];
            assert!(poll_and_drop(here.send_slice(b"dropped", &fds)).is_none());
            assert!(poll_and_drop(here.send_slice_with_len(b"dropped", &fds)).is_none());
            assert!(poll_and_drop(here.send_iovec(&[IoSlice::new(b"dropped")], &fds)).is_none());
            assert!(poll_and_drop(here.send_struct(b"dropped", &fds)).is_none());
            settle().await;
        }
        drop(fd);
        assert!(witness.all_closed());
        for _ in 0..sent {
            let bytes = there.recv_vec::<[_; 0]>(4096).await.unwrap().0;
            assert!(bytes.iter().all(|byte| *byte == b'.'));
        }
        here.send_slice(b"next", &[]).await.unwrap();
        assert_eq!(there.recv_vec::<[_; 0]>(64).await.unwrap().0, b"next");
    });
}

/// A task that has done much is made to wait at every point where it can be, also where the message is there.
#[test]
fn wherever_a_future_is_dropped_all_is_done_or_nothing() {
    run(async {
        let (here, there) = Socket::pair().unwrap();
        let sent = files(1);
        let fds = [sent[0].as_fd()];
        for form in every_form() {
            let (mut done, mut dropped) = (0, 0);
            for spent in 0..BUDGET {
                form.send(&here, b"eleven long", &fds).await.unwrap();
                settle().await;
                for _ in 0..spent {
                    // Which may be the last.
                    let _ = poll_and_drop(consume_budget());
                }
                let received = match poll_and_drop(form.receive::<_, [OwnedFd; 1]>(&there, 16)) {
                    Some(received) => {
                        done += 1;
                        received
                    }
                    None => {
                        dropped += 1;
                        settle().await;
                        form.receive(&there, 16).await
                    }
                };
                let (bytes, received) = received.unwrap();
                assert_eq!(bytes, b"eleven long", "{form:?}");
                assert_same(&received, &sent);
                // There was one.
                assert!(poll_and_drop(form.receive::<_, Vec<OwnedFd>>(&there, 16)).is_none());

                settle().await;
                for _ in 0..spent {
                    let _ = poll_and_drop(consume_budget());
                }
                let went = match poll_and_drop(form.send(&here, b"eleven long", &fds)) {
                    Some(result) => {
                        result.unwrap();
                        done += 1;
                        1
                    }
                    None => {
                        dropped += 1;
                        0
                    }
                };
                settle().await;
                for _ in 0..went {
                    form.receive::<_, [OwnedFd; 1]>(&there, 16).await.unwrap();
                }
                assert!(poll_and_drop(form.receive::<_, Vec<OwnedFd>>(&there, 16)).is_none());
            }
            assert!(done > 10 && dropped > 10, "{form:?}: {done} {dropped}");
        }
    });
}

#[test]
fn every_wait_ends_with_the_timeout_around_it() {
    run(async {
        let (here, there) = Socket::pair().unwrap();
        let start = std::time::Instant::now();
        assert!(timeout(TIME, there.recv_vec::<[_; 0]>(64)).await.is_err());
        fill(&here).await;
        assert!(timeout(TIME, here.send_slice(b"x", &[])).await.is_err());
        let took = start.elapsed();
        assert!(took >= 2 * TIME && took < 2 * HANG * TIME, "{took:?}");
    });
}

#[test]
fn a_socket_goes_to_the_runtime_and_back_and_its_copies_never_turn_nonblocking() {
    run(async {
        let (here, there) = local_socket::Socket::pair().unwrap();
        here.set_recv_timeout(Some(TIME)).unwrap();
        let copy = here.try_clone().unwrap();
        there.send_slice(b"before", &[]).unwrap();
        let here = Socket::try_from(here).unwrap();
        assert_eq!(here.recv_vec::<[_; 0]>(64).await.unwrap().0, b"before");
        // The timeout is forgotten.
        assert!(timeout(2 * TIME, here.recv_vec::<[_; 0]>(64)).await.is_err());
        assert!(!fcntl_getfl(&copy).unwrap().contains(OFlags::NONBLOCK));
        assert!(matches!(taking(TIME, || copy.recv_vec::<[_; 0]>(64)), Err(Error::TimedOut)));
        there.send_slice(b"after", &[]).unwrap();
        let here = local_socket::Socket::try_from(here).unwrap();
        assert!(!fcntl_getfl(&here).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(here.recv_vec::<[_; 0]>(64).unwrap().0, b"after");
        here.set_recv_timeout(Some(TIME)).unwrap();
        assert!(matches!(taking(TIME, || here.recv_vec::<[_; 0]>(64)), Err(Error::TimedOut)));
        // One that is nonblocking stays so, and is waited for all the same.
        here.set_nonblocking(true).unwrap();
        let here = Socket::try_from(here).unwrap();
        assert!(timeout(TIME, here.recv_vec::<[_; 0]>(64)).await.is_err());
        let here = local_socket::Socket::try_from(here).unwrap();
        assert!(matches!(here.recv_vec::<[_; 0]>(64), Err(Error::WouldBlock)));
    });
}

#[test]
fn outside_of_a_runtime_there_is_an_error_and_after_its_end_too() {
    let _watchdog = Watchdog::new();
    let before = crate::rig::descriptors();
    assert_eq!(Socket::pair().unwrap_err().kind(), ErrorKind::Other);
    let (one, _other) = local_socket::Socket::pair().unwrap();
    assert_eq!(Socket::try_from(one).unwrap_err().kind(), ErrorKind::Other);
    drop(_other);
    assert_eq!(crate::rig::descriptors(), before);

    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let (here, there) = runtime.block_on(async { Socket::pair().unwrap() });
    drop(runtime);
    let late = Builder::new_current_thread().enable_all().build().unwrap();
    late.block_on(async {
        assert!(matches!(there.recv_vec::<[_; 0]>(64).await, Err(Error::Io(_))));
        assert!(matches!(here.send_slice(b"x", &[]).await, Err(Error::Io(_))));
    });
    // What was taken back works without one.
    let (here, there) = (local_socket::Socket::try_from(here).unwrap(), local_socket::Socket::try_from(there).unwrap());
    here.send_slice(b"x", &[]).unwrap();
    let (bytes, []) = at_once(there);
    assert_eq!(bytes, b"x");
}

fn at_once(there: local_socket::Socket) -> (Vec<u8>, [OwnedFd; 0]) {
    crate::every_form::at_once(Receiving::Vec.receive(&there, 1)).unwrap()
}
