//! Who sent a message.

use std::{
    env, io,
    os::fd::{AsFd, OwnedFd},
    process::id,
};

use local_socket::{Credentials, Error, Socket};
use rustix::process::{getegid, geteuid};

use crate::{
    both::{Form, in_both_forms, pair},
    files::{Witness, assert_same, files},
    pid_namespace,
    rig::{Peer, Watchdog, say, skipped},
};

in_both_forms! {
    each_message_tells_who_sent_it
    a_message_refused_for_its_descriptors_tells_nothing
}

/// The socket that this process was started with.
fn inherited() -> Socket {
    io::stdin().as_fd().try_clone_to_owned().unwrap().try_into().unwrap()
}

/// In a process of its own.
pub(crate) fn sends_its_pid() {
    let socket = inherited();
    let sent = files(1);
    socket.send_slice(id().to_string().as_bytes(), &[sent[0].as_fd()]).unwrap();
}

fn users() -> (u32, u32) {
    (geteuid().as_raw(), getegid().as_raw())
}

async fn each_message_tells_who_sent_it<S: Form>() {
    let (here, there) = Socket::pair().unwrap();
    there.set_pass_credentials(true).unwrap();
    here.send_slice(id().to_string().as_bytes(), &[]).unwrap();
    let peers = [(); 2].map(|()| {
        let fd = OwnedFd::from(here.try_clone().unwrap());
        let peer = Peer::start_with(&env::current_exe().unwrap(), "sends its pid", &[], |command| {
            command.stdin(fd);
        });
        let pid = peer.pid();
        peer.succeeds();
        pid
    });
    here.send_slice(id().to_string().as_bytes(), &[]).unwrap();
    drop(here);
    let there = S::try_from(there).unwrap();
    let us = i32::try_from(id()).unwrap();
    for expected in [us, peers[0], peers[1], us] {
        let (text, (fds, sender)) = there.recv_vec::<(Vec<OwnedFd>, Credentials)>(64).await.unwrap();
        assert_eq!(sender.pid.map(i32::from), Some(expected));
        assert_eq!(String::from_utf8(text).unwrap(), expected.to_string());
        assert_eq!((sender.uid, sender.gid), users());
        assert_eq!(fds.len(), usize::from(expected != us));
    }
    assert!(matches!(there.recv_vec::<(Vec<OwnedFd>, Credentials)>(64).await, Err(Error::EndOfFile)));
}

async fn a_message_refused_for_its_descriptors_tells_nothing<S: Form>() {
    let (here, there) = pair::<S>();
    there.ask_for_credentials();
    let (mut witness, fd) = Witness::new();
    here.send_slice(b"x", &[fd.as_fd(), fd.as_fd()]).await.unwrap();
    drop(fd);
    let error = there.recv_vec::<([_; 1], Credentials)>(1).await.unwrap_err();
    assert!(matches!(error, Error::WrongFds { expected: 1, got: 2 }), "{error:?}");
    assert!(witness.all_closed());
    let sent = files(2);
    here.send_slice(b"x", &[sent[0].as_fd(), sent[1].as_fd()]).await.unwrap();
    let (_, (fds, sender)) = there.recv_vec::<([OwnedFd; 2], Credentials)>(1).await.unwrap();
    assert_same(&fds, &sent);
    assert_eq!(sender.pid.map(i32::from), Some(id().try_into().unwrap()));
}

/// In a pid namespace of its own: says who sent it a message, and sends one.
pub(crate) fn in_another_namespace() {
    let socket = inherited();
    let (_, ([], sender)) = socket.recv_vec::<([_; 0], Credentials)>(64).unwrap();
    say(format!("{:?} {:?}", sender.pid, (sender.uid, sender.gid)));
    socket.send_slice(b"from inside", &[]).unwrap();
}

#[test]
fn a_sender_without_a_pid_here_still_has_a_user() {
    let _watchdog = Watchdog::new();
    let Some(command) = pid_namespace::this_program() else { return skipped(pid_namespace::MISSING) };
    let (here, there) = Socket::pair().unwrap();
    for end in [&here, &there] {
        end.set_pass_credentials(true).unwrap();
    }
    let mut peer = Peer::start_command(command, "in another namespace", &[], |command| {
        command.stdin(OwnedFd::from(there));
    })
    .unwrap();
    here.send_slice(b"from outside", &[]).unwrap();
    // The namespace inside does not see out; the one outside sees in.
    assert_eq!(peer.line(), format!("None {:?}", users()));
    let (_, ([], sender)) = here.recv_vec::<([_; 0], Credentials)>(64).unwrap();
    assert!(sender.pid.is_some_and(|pid| i32::from(pid) != peer.pid()), "{sender:?}");
    assert_eq!((sender.uid, sender.gid), users());
    peer.succeeds();
}
