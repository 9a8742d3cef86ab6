//! Descriptors: not one more or less than asked for, and as many after 2 000 of anything as before.

use std::{
    fs::File,
    io::IoSlice,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    time::Duration,
};

use fdpass::MAX_FDS;
use local_socket::{Credentials, Error, Socket};
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::{
    both::{Form, in_both_forms, pair, run},
    every_form::every_form,
    files::{Witness, assert_same, borrowed, files},
    rig::{Peer, Watchdog, descriptors},
    waiting::fill,
};

in_both_forms! {
    another_number_of_descriptors_is_an_error_and_all_are_closed
    sent_descriptors_stay_open_here
    the_same_descriptor_can_go_twice
    two_thousand_messages_leave_no_descriptor
    no_error_leaves_a_descriptor_either
}

const TIMES: usize = 2000;

async fn another_number_of_descriptors_is_an_error_and_all_are_closed<S: Form>() {
    let (here, there) = pair::<S>();
    for form in every_form() {
        for number in [0, 1, 3, 4, 64, MAX_FDS] {
            let (mut witness, fd) = Witness::new();
            form.send(&here, b"eleven long", &vec![fd.as_fd(); number]).await.unwrap();
            drop(fd);
            let error = form.receive::<_, [OwnedFd; 2]>(&there, 16).await.unwrap_err();
            let Error::WrongFds { expected: 2, got } = error else { panic!("{form:?} {number}: {error:?}") };
            assert!(if number < 2 { got == number } else { (3..=number).contains(&got) }, "{number}: {got}");
            assert!(witness.all_closed(), "{form:?} {number}");
            form.send(&here, b"eleven long", &[]).await.unwrap();
            assert_eq!(form.receive::<_, [_; 0]>(&there, 16).await.unwrap().0, b"eleven long");
        }
    }
}

async fn sent_descriptors_stay_open_here<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(2);
    for _ in 0..3 {
        here.send_slice(b"x", &borrowed(&sent)).await.unwrap();
        let (_, received) = there.recv_vec::<Vec<OwnedFd>>(1).await.unwrap();
        assert_same(&received, &sent);
    }
}

async fn the_same_descriptor_can_go_twice<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(1);
    let twice = [sent[0].as_fd(), sent[0].as_fd()];
    here.send_slice(b"x", &twice).await.unwrap();
    let (_, received) = there.recv_vec::<[OwnedFd; 2]>(1).await.unwrap();
    assert_same(&received, &twice);
    assert_ne!(received[0].as_raw_fd(), received[1].as_raw_fd());
}

async fn two_thousand_messages_leave_no_descriptor<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(3);
    let before = descriptors();
    for form in every_form().cycle().take(TIMES) {
        form.send(&here, b"eleven long", &borrowed(&sent)).await.unwrap();
        form.receive::<_, [OwnedFd; 3]>(&there, 16).await.unwrap();
        form.send(&here, b"eleven long", &borrowed(&sent)).await.unwrap();
        form.receive::<_, Vec<OwnedFd>>(&there, 16).await.unwrap();
    }
    assert_eq!(descriptors(), before);
}

async fn assert_flat(what: &str, mut act: impl AsyncFnMut()) {
    act().await;
    let before = descriptors();
    for _ in 0..TIMES {
        act().await;
    }
    assert_eq!(descriptors(), before, "{what}");
}

async fn no_error_leaves_a_descriptor_either<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(2);
    let fds = borrowed(&sent);
    let too_many = vec![sent[0].as_fd(); MAX_FDS + 1];
    assert_flat("too many", async || {
        assert!(matches!(here.send_slice(b"x", &too_many).await, Err(Error::TooManyFds { .. })));
    })
    .await;
    let long = vec![0; 1 << 20];
    assert_flat("too long to send", async || {
        assert!(matches!(here.send_slice(&long, &fds).await, Err(Error::TooLong { .. })));
    })
    .await;
    assert_flat("too many pieces", async || {
        assert!(matches!(here.send_iovec(&[IoSlice::new(b"x"); 1025], &fds).await, Err(Error::Io(_))));
    })
    .await;
    let mut forms = every_form().cycle();
    assert_flat("too long to receive, or not as long as announced", async || {
        here.send_slice(b"longer than eleven", &fds).await.unwrap();
        let result = forms.next().unwrap().receive::<_, Vec<OwnedFd>>(&there, 1).await;
        assert!(matches!(result, Err(Error::TooLong { .. } | Error::WrongLength { .. })), "{result:?}");
    })
    .await;
    assert_flat("too short", async || {
        here.send_slice(b"x", &fds).await.unwrap();
        assert!(matches!(there.recv_struct::<u64, [OwnedFd; 2]>().await, Err(Error::WrongLength { .. })));
        here.send_slice(b"x", &fds).await.unwrap();
        assert!(matches!(there.recv_into_buf_with_len::<[OwnedFd; 2]>().await, Err(Error::Malformed { .. })));
    })
    .await;
    assert_flat("more or fewer", async || {
        here.send_slice(b"x", &fds).await.unwrap();
        assert!(matches!(there.recv_vec::<[OwnedFd; 1]>(1).await, Err(Error::WrongFds { .. })));
        here.send_slice(b"x", &fds).await.unwrap();
        assert!(matches!(there.recv_vec::<[OwnedFd; 3]>(1).await, Err(Error::WrongFds { .. })));
    })
    .await;
    #[cfg(feature = "postcard")]
    assert_flat("no value", async || {
        here.send_slice(b"\xff", &fds).await.unwrap();
        assert!(matches!(there.recv_postcard::<bool, [OwnedFd; 2]>().await, Err(Error::Decode(_))));
    })
    .await;
    assert_flat("no credentials", async || {
        here.send_slice(b"x", &fds).await.unwrap();
        assert!(matches!(there.recv_vec::<(Vec<OwnedFd>, Credentials)>(1).await, Err(Error::NoCredentials)));
    })
    .await;
    assert_flat("nobody there, and never received", async || {
        let (here, there) = pair::<S>();
        here.send_slice(b"x", &fds).await.unwrap();
        drop(there);
        assert!(matches!(here.send_slice(b"x", &fds).await, Err(Error::Closed)));
        assert!(matches!(here.recv_vec::<Vec<OwnedFd>>(1).await, Err(Error::EndOfFile)));
    })
    .await;
    assert_flat("no socket", async || {
        Socket::try_from(OwnedFd::from(File::open("/dev/null").unwrap())).unwrap_err();
    })
    .await;
}

#[test]
fn no_wait_that_ends_leaves_a_descriptor() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    let sent = files(2);
    fill(&here);
    let before = descriptors();
    here.set_send_timeout(Some(Duration::from_nanos(1))).unwrap();
    for _ in 0..TIMES {
        assert!(matches!(here.send_slice(b"x", &borrowed(&sent)), Err(Error::TimedOut)));
    }
    here.set_nonblocking(true).unwrap();
    for _ in 0..TIMES {
        assert!(matches!(here.send_slice(b"x", &borrowed(&sent)), Err(Error::WouldBlock)));
        assert!(matches!(here.recv_vec::<Vec<OwnedFd>>(1), Err(Error::WouldBlock)));
    }
    drop(there);
    assert_eq!(descriptors() + 1, before);
}

#[test]
fn who_has_no_descriptor_left_is_told_and_receives_the_next_message() {
    for form in ["sync", "tokio"] {
        let _watchdog = Watchdog::new();
        Peer::start("out of descriptors", &[form]).succeeds();
    }
}

/// In a process of its own.
pub(crate) fn out_of_descriptors(form: &str) {
    match form {
        #[cfg(feature = "tokio")]
        "tokio" => run(is_told_and_receives_the_next::<local_socket::tokio::Socket>()),
        _ => run(is_told_and_receives_the_next::<Socket>()),
    }
}

async fn is_told_and_receives_the_next<S: Form>() {
    let (here, there) = pair::<S>();
    let sent = files(3);
    let before = descriptors();
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.current;
    let mut with_room_for = |free: Option<u64>| {
        // The lowest free number is the next to be given out.
        let next = File::open("/dev/null").map_or(0, |file| file.as_raw_fd() as u64);
        limit.current = free.map_or(most, |free| Some(next + free));
        setrlimit(Resource::Nofile, limit).unwrap();
    };
    for free in 0..3 {
        for form in every_form() {
            let (mut witness, fd) = Witness::new();
            let fds = [sent[0].as_fd(), fd.as_fd(), sent[2].as_fd()];
            for _ in 0..2 {
                form.send(&here, b"eleven long", &fds).await.unwrap();
            }
            drop(fd);
            with_room_for(Some(free));
            let open = form.receive::<_, Vec<OwnedFd>>(&there, 16).await.unwrap_err();
            let fixed = form.receive::<_, [OwnedFd; 3]>(&there, 16).await.unwrap_err();
            with_room_for(None);
            for error in [open, fixed] {
                assert!(matches!(error, Error::FdsLost { got } if got as u64 == free), "{form:?} {free}: {error:?}");
            }
            assert!(witness.all_closed());
            form.send(&here, b"eleven long", &borrowed(&sent)).await.unwrap();
            let (bytes, received) = form.receive::<_, [OwnedFd; 3]>(&there, 16).await.unwrap();
            assert_eq!(bytes, b"eleven long");
            assert_same(&received, &sent);
        }
    }
    assert_eq!(descriptors(), before);
}
