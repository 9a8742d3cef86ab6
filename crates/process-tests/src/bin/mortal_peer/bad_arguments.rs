//! Arguments that no connection can be made of, and a system that refuses: each ends in a sentence on the standard output.

use std::fmt::Debug;

use memenpsf::{Error, Interface, Options, Role, crossbeam_channel::unbounded};
use nix::{
    libc,
    sys::resource::{Resource, getrlimit, setrlimit},
};
use process_tests::{
    Holdings,
    seccomp::{Calls, fail},
};

use crate::{foreign_streams, socket_of_peer};

/// More elements of eight bytes than the lowered limits of this file allow, in 8 MiB.
const LARGE: usize = 1 << 20;

/// Prints what `result` is, as a user would show it. What was not refused is as it should not be.
fn say<T: Debug>(result: Result<T, Error>) {
    match result {
        Ok(_) => println!("connected"),
        Err(error) => println!("{error}"),
    }
}

fn client(options: &Options) -> Result<Interface<u64>, Error> {
    Interface::with_options(socket_of_peer(), Role::Client, options)
}

fn server(options: &Options) -> Result<Interface<u64>, Error> {
    Interface::with_options(socket_of_peer(), Role::Server, options)
}

pub(crate) fn run(case: &str) {
    let options = Options::new();
    match case {
        "capacity-0" => say(Interface::<u64>::new("", 0, socket_of_peer(), 0)),
        "capacity-0-run" => {
            let ((sender, _keep), (_keep_too, receiver)) = (unbounded::<u64>(), unbounded());
            say(Interface::run("", 0, 0, socket_of_peer(), receiver, sender));
        }
        "capacity-max" => say(Interface::<u64>::new("", usize::MAX, socket_of_peer(), 0)),
        "capacity-over-limit" => say(Interface::<u64>::new("", (1 << 27) + 1, socket_of_peer(), 0)),
        "capacity-no-limit" => say(client(&options.capacity(usize::MAX).max_segment(u64::MAX))),
        "size-negative" => say(client(&options.capacity(1 << 60).max_segment(u64::MAX))),
        "name-256" => say(Interface::<u64>::new(&"n".repeat(256), 8, socket_of_peer(), 0)),
        "name-255" => say(client(&options.name("n".repeat(255)))),
        "schema-256" => say(client(&options.schema("s".repeat(256)))),
        "file-size-client" => {
            lower(Resource::RLIMIT_FSIZE, 12287);
            say(client(&options.capacity(8)));
        }
        "file-size-server" => {
            lower(Resource::RLIMIT_FSIZE, 12287);
            say(server(&options.capacity(8)));
        }
        "file-size-just-enough" => {
            lower(Resource::RLIMIT_FSIZE, 12288);
            say(client(&options.capacity(8)));
        }
        "no-memory-client" => {
            fail(libc::SYS_pwrite64, Calls::All, libc::ENOSPC);
            say(client(&options));
        }
        "no-memory-server" => {
            fail(libc::SYS_pwrite64, Calls::All, libc::ENOSPC);
            say(server(&options));
        }
        "no-memory-huge" => {
            // Beyond any machine; the filter answers before the kernel would try.
            fail(libc::SYS_pwrite64, Calls::All, libc::ENOMEM);
            say(client(&options.capacity(1 << 50).max_segment(u64::MAX)));
        }
        "no-address-space" => {
            lower(Resource::RLIMIT_AS, address_space() + (LARGE as u64) * 4);
            say(client(&options.capacity(LARGE)));
        }
        "no-address-space-for-the-peers" => {
            lower(Resource::RLIMIT_AS, address_space() + (LARGE as u64) * 4);
            say(server(&options.capacity(8)));
        }
        "no-memfd" => {
            fail(libc::SYS_memfd_create, Calls::All, libc::EPERM);
            say(client(&options));
        }
        "no-noexec-seal" => {
            fail(libc::SYS_memfd_create, Calls::WithBits(libc::MFD_NOEXEC_SEAL), libc::EINVAL);
            say(client(&options));
        }
        "no-future-write-seal" => {
            fail(libc::SYS_fcntl, Calls::WithValue(libc::F_ADD_SEALS as u32), libc::EINVAL);
            say(client(&options));
        }
        "no-dont-fork" => {
            fail(libc::SYS_madvise, Calls::ThirdWithValue(libc::MADV_DONTFORK as u32), libc::EINVAL);
            say(client(&options));
        }
        "no-wipe-on-fork" => {
            fail(libc::SYS_madvise, Calls::ThirdWithValue(libc::MADV_WIPEONFORK as u32), libc::EINVAL);
            say(client(&options));
        }
        "no-membarrier" => {
            fail(libc::SYS_membarrier, Calls::All, libc::ENOSYS);
            say(client(&options));
        }
        "no-pidfd" => {
            const SO_PASSPIDFD: u32 = 76;
            fail(libc::SYS_setsockopt, Calls::ThirdWithValue(SO_PASSPIDFD), libc::ENOPROTOOPT);
            let interface = client(&options).unwrap();
            assert!(interface.peer_pidfd().is_none());
            println!("connected");
        }
        "few-descriptors" => few_descriptors(&options.capacity(8)),
        _ => match case.strip_prefix("stream-") {
            Some(kind) => foreign(kind, &options),
            None => panic!("no case {case}"),
        },
    }
}

fn foreign(kind: &str, options: &Options) {
    for role in [Role::Client, Role::Server] {
        let (stream, kept) = foreign_streams::stream(kind);
        say(Interface::<u64>::with_options(stream, role, options));
        drop(kept);
    }
}

/// Both ends of a connection, with room for no descriptor more, then for one, and so on until it is made.
fn few_descriptors(options: &Options) {
    let (open, most) = (Holdings::now(), getrlimit(Resource::RLIMIT_NOFILE).unwrap());
    for room in 0.. {
        // Descriptors are numbered from below, and this process has left no number out.
        let limit = first_free() + room;
        setrlimit(Resource::RLIMIT_NOFILE, limit, most.1).unwrap();
        let pair = Interface::<u64>::pair(options);
        setrlimit(Resource::RLIMIT_NOFILE, most.0, most.1).unwrap();
        match pair {
            Ok(pair) => {
                drop(pair);
                assert_eq!(Holdings::now().descriptors, open.descriptors);
                println!("connected");
                return;
            }
            Err(error) => println!("{room}: {error}"),
        }
        let now = Holdings::now();
        assert_eq!(
            (now.descriptors, now.mappings),
            (open.descriptors, open.mappings),
            "left behind with room for {room}"
        );
    }
}

/// The number that the next descriptor will have.
fn first_free() -> u64 {
    use std::os::fd::AsRawFd;
    let (reader, _writer) = std::io::pipe().unwrap();
    reader.as_raw_fd() as u64
}

/// Bytes of address space in use.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096
}

fn lower(limit: Resource, to: u64) {
    let (_, most) = getrlimit(limit).unwrap();
    setrlimit(limit, to, most).unwrap();
}
