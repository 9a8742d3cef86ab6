//! What the peer sends too much of, or the process has no room for, leaves nothing open.
#![allow(clippy::unwrap_used, reason = "a failure is a failed test")]

mod rig;

use std::{
    fs::File,
    os::fd::{AsFd, OwnedFd},
};

use fdpass::{Error, MAX_FDS, recv_fds, send_fds, set_pass_pidfd};
use nix::{
    errno::Errno,
    fcntl::{FcntlArg, FdFlag, fcntl},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        socket::{setsockopt, sockopt},
    },
    unistd::dup,
};
use rig::{KINDS, SockType, Watchdog, borrowed, files, identities, open_descriptors, pair};

/// What comes with each message besides descriptors.
#[derive(Clone, Copy, Debug)]
struct Options {
    credentials: bool,
    pidfd: bool,
}

const OPTIONS: [Options; 4] = [
    Options { credentials: false, pidfd: false },
    Options { credentials: false, pidfd: true },
    Options { credentials: true, pidfd: false },
    Options { credentials: true, pidfd: true },
];

/// The second end has the options on; `None` if the kernel does not have them.
fn pair_with(kind: SockType, options: Options) -> Option<(OwnedFd, OwnedFd)> {
    let (here, there) = pair(kind);
    setsockopt(&there, sockopt::PassCred, &options.credentials).unwrap();
    match set_pass_pidfd(&there, options.pidfd) {
        Err(Error::Unsupported) if options.pidfd => None,
        Err(Error::Unsupported) => Some((here, there)),
        result => {
            result.unwrap();
            Some((here, there))
        }
    }
}

fn for_each_socket(mut test: impl FnMut(OwnedFd, OwnedFd, Options)) {
    let _watchdog = Watchdog::new();
    for kind in KINDS {
        for options in OPTIONS {
            if let Some((here, there)) = pair_with(kind, options) {
                let before = open_descriptors();
                test(here, there, options);
                assert_eq!(open_descriptors() + 2, before, "{kind:?} {options:?}");
            }
        }
    }
}

/// Leaves the process room for a few more descriptors only, until it is dropped.
struct Scarcity {
    soft: u64,
    hard: u64,
    hogs: Vec<OwnedFd>,
}

impl Scarcity {
    fn leaving(free: usize) -> Self {
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        setrlimit(Resource::RLIMIT_NOFILE, soft.min(512), hard).unwrap();
        let null = File::open("/dev/null").unwrap();
        let mut scarcity = Self { soft, hard, hogs: Vec::with_capacity(512) };
        loop {
            match dup(&null) {
                Ok(hog) => scarcity.hogs.push(hog),
                Err(errno) => {
                    assert_eq!(errno, Errno::EMFILE);
                    break;
                }
            }
        }
        drop(null);
        // The file that was duplicated has left one place too.
        let keep = scarcity.hogs.len() + 1 - free;
        if free == 0 {
            scarcity.hogs.push(dup(scarcity.hogs[0].as_fd()).unwrap());
        } else {
            scarcity.hogs.truncate(keep);
        }
        scarcity
    }
}

impl Drop for Scarcity {
    fn drop(&mut self) {
        setrlimit(Resource::RLIMIT_NOFILE, self.soft, self.hard).unwrap();
    }
}

#[test]
fn exactly_the_allowed_number_arrives_with_every_socket_option() {
    for count in [0, 1, 2, 3, 4, MAX_FDS] {
        let sent = files(count);
        for_each_socket(|here, there, options| {
            send_fds(&here, b"xyz", &borrowed(&sent)).unwrap();
            let received = recv_fds(&there, &mut [0; 3], count).unwrap();
            assert_eq!(received.len, 3);
            assert_eq!(identities(&received.fds), identities(&sent));
            assert_eq!(received.pidfd.is_some(), options.pidfd);
        });
    }
}

#[test]
fn a_descriptor_too_many_is_surplus_and_nothing_stays_open() {
    let sent = files(MAX_FDS);
    for allowed in [0, 1, 2, 3, 8, 9, 14, 15, MAX_FDS - 1] {
        for count in allowed + 1..=(allowed + 20).min(MAX_FDS) {
            for_each_socket(|here, there, options| {
                send_fds(&here, b"x", &borrowed(&sent[..count])).unwrap();
                match recv_fds(&there, &mut [0], allowed) {
                    Err(Error::Surplus { allowed: told, got }) => {
                        assert_eq!(told, allowed);
                        assert!(got > allowed && got <= count);
                    }
                    other => panic!("{allowed} allowed, {count} sent, {options:?}: {other:?}"),
                }
            });
        }
    }
}

#[test]
fn the_message_after_a_surplus_is_not_harmed() {
    for_each_socket(|here, there, _| {
        let sent = files(2);
        send_fds(&here, b"a", &borrowed(&sent)).unwrap();
        send_fds(&here, b"b", &borrowed(&sent[1..])).unwrap();
        assert!(matches!(recv_fds(&there, &mut [0], 1), Err(Error::Surplus { .. })));
        let mut buf = [0];
        let received = recv_fds(&there, &mut buf, 1).unwrap();
        assert_eq!(&buf, b"b");
        assert_eq!(identities(&received.fds), identities(&sent[1..]));
    });
}

#[test]
fn running_out_of_descriptors_is_truncation_and_nothing_stays_open() {
    for free in [0, 1, 2] {
        for_each_socket(|here, there, options| {
            send_fds(&here, b"x", &borrowed(&files(3))).unwrap();
            let result = {
                let _scarcity = Scarcity::leaving(free);
                recv_fds(&there, &mut [0], 3)
            };
            match result {
                Err(Error::Truncated { allowed: 3, got }) => assert_eq!(got, free),
                other => panic!("{free} free, {options:?}: {other:?}"),
            }
        });
    }
}

#[test]
fn a_surplus_is_told_also_when_descriptors_run_out() {
    for allowed in [0, 1, 2] {
        for_each_socket(|here, there, options| {
            send_fds(&here, b"x", &borrowed(&files(allowed + 1))).unwrap();
            let result = {
                let _scarcity = Scarcity::leaving(allowed);
                recv_fds(&there, &mut [0], allowed)
            };
            assert!(matches!(result, Err(Error::Surplus { .. })), "{options:?}: {result:?}");
        });
    }
}

#[test]
fn a_pidfd_without_room_in_the_process_is_none_and_the_message_arrives() {
    for_each_socket(|here, there, _| {
        send_fds(&here, b"x", &[]).unwrap();
        let received = {
            let _scarcity = Scarcity::leaving(0);
            recv_fds(&there, &mut [0], 1).unwrap()
        };
        assert_eq!(received.len, 1);
        assert!(received.pidfd.is_none());
    });
}

#[test]
fn everything_received_is_closed_on_exec() {
    for_each_socket(|here, there, options| {
        send_fds(&here, b"x", &borrowed(&files(2))).unwrap();
        let received = recv_fds(&there, &mut [0], 2).unwrap();
        assert_eq!(received.fds.len() + usize::from(received.pidfd.is_some()), 2 + usize::from(options.pidfd));
        for fd in received.fds.iter().chain(&received.pidfd) {
            let flags = fcntl(fd, FcntlArg::F_GETFD).unwrap();
            assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
        }
    });
}
