//! Another implementation at the other end, in another process: Python's `socket` module.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::{
    fs::{self, File},
    io::Read,
    num::NonZero,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::{UnixDatagram, UnixListener},
    },
    process::{Child, Command, Stdio},
};

use fdpass::{Error, peer_credentials, recv_fd, recv_fds, send_fd, send_fds, set_pass_pidfd};
use nix::unistd::{getegid, geteuid, getpid, pipe};
use rig::{SockType, Watchdog, borrowed, pair};

/// Runs a program that has the socket as `s`.
fn python(socket: OwnedFd, program: &str) -> Child {
    let program = format!("import os, socket\ns = socket.socket(fileno=0)\n{program}");
    Command::new("python3").arg("-c").arg(program).stdin(Stdio::from(socket)).spawn().unwrap()
}

fn content(fd: OwnedFd) -> String {
    let mut text = String::new();
    File::from(fd).read_to_string(&mut text).unwrap();
    text
}

#[test]
fn python_takes_descriptors_from_here() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let mut child = python(
        there,
        "data, fds, flags, _ = socket.recv_fds(s, 100, 9)\n\
         assert data == b'two pipes' and len(fds) == 2 and flags & socket.MSG_CTRUNC == 0\n\
         for fd in fds: os.write(fd, b'from python %d' % fds.index(fd))\n",
    );
    let (first, second) = (pipe().unwrap(), pipe().unwrap());
    let writers = [first.1, second.1];
    send_fds(&here, b"two pipes", &borrowed(&writers)).unwrap();
    drop(writers);
    assert_eq!(content(first.0), "from python 0");
    assert_eq!(content(second.0), "from python 1");
    assert!(child.wait().unwrap().success());
}

#[test]
fn python_gives_descriptors_to_here() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let mut child = python(
        there,
        "pipes = [os.pipe() for _ in range(2)]\n\
         for r, w in pipes: os.write(w, b'pipe %d' % pipes.index((r, w)))\n\
         assert socket.send_fds(s, [b'two', b' pipes'], [r for r, w in pipes]) == 9\n",
    );
    let mut buf = [0; 100];
    let received = recv_fds(&here, &mut buf, 2).unwrap();
    assert_eq!(&buf[..received.len], b"two pipes");
    assert!(child.wait().unwrap().success());
    let texts: Vec<_> = received.fds.into_iter().map(content).collect();
    assert_eq!(texts, ["pipe 0", "pipe 1"]);
}

#[test]
fn a_tag_goes_to_python_and_comes_back() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    let mut child = python(
        there,
        "data, fds, _, _ = socket.recv_fds(s, 100, 1)\n\
         assert data == b'ping' and len(fds) == 1\n\
         socket.send_fds(s, [b'p'], fds)\n\
         s.sendall(b'ong')\n",
    );
    let (reader, writer) = pipe().unwrap();
    send_fd(&here, &writer, b"ping").unwrap();
    let back = recv_fd(&here, b"pong").unwrap();
    assert_eq!(rig::identity(&back), rig::identity(&writer));
    assert!(child.wait().unwrap().success());
    drop((reader, writer));
}

#[test]
fn a_pidfd_names_the_process_that_sent_and_not_the_one_that_made_the_socket() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    match set_pass_pidfd(&here, true) {
        Err(Error::Unsupported) => return,
        result => result.unwrap(),
    }
    let mut child = python(there, "s.sendall(b'x')\ns.recv(1)\n");
    let received = recv_fds(&here, &mut [0], 0).unwrap();
    let pidfd = received.pidfd.unwrap();
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", pidfd.as_raw_fd())).unwrap();
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:")).unwrap();
    assert_eq!(pid.trim().parse::<u32>().unwrap(), child.id());
    assert_eq!(peer_credentials(&here).unwrap().pid, NonZero::new(getpid().as_raw()));
    drop(here);
    assert!(child.wait().unwrap().success());
}

#[test]
fn no_pidfd_comes_after_it_was_switched_off() {
    let _watchdog = Watchdog::new();
    let (here, there) = pair(SockType::Stream);
    match set_pass_pidfd(&there, true) {
        Err(Error::Unsupported) => return,
        result => result.unwrap(),
    }
    set_pass_pidfd(&there, false).unwrap();
    send_fds(&here, b"x", &[]).unwrap();
    assert!(recv_fds(&there, &mut [0], 0).unwrap().pidfd.is_none());
}

#[test]
fn credentials_name_the_process_that_connected() {
    let _watchdog = Watchdog::new();
    let path = std::env::temp_dir().join(format!("fdpass-{}", getpid()));
    let listener = UnixListener::bind(&path).unwrap();
    let connect = format!("c = socket.socket(socket.AF_UNIX)\nc.connect({path:?})\nc.recv(1)\n");
    let (_unused, stdin) = pair(SockType::Stream);
    let mut child = python(stdin, &connect);
    let (stream, _) = listener.accept().unwrap();
    fs::remove_file(&path).unwrap();
    let credentials = peer_credentials(&stream).unwrap();
    assert_eq!(credentials.pid, NonZero::new(child.id().try_into().unwrap()));
    assert_eq!(credentials.uid, geteuid().as_raw());
    assert_eq!(credentials.gid, getegid().as_raw());
    drop(stream);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_socket_without_a_peer_has_nobody_behind_it() {
    let lonely = UnixDatagram::unbound().unwrap();
    assert_eq!(peer_credentials(&lonely).unwrap().pid, None);
}
