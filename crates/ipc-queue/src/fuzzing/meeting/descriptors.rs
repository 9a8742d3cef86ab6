//! What the peer sends along, and how it is judged.

use std::{
    io::{PipeReader, PipeWriter, Read},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
    },
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags},
    io::Errno,
};

use crate::{Reason, Refused, doorbell::Rung};

/// A descriptor that the peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Given {
    /// A sound segment of so many bytes.
    Segment(u64),
    /// The same, by a descriptor that allows reading only.
    ReadOnly(u64),
    WriteOnly(u64),
    Unsealed(u64),
    Sparse(u64),
    /// One end of a pair, of which the peer keeps the other.
    Pair,
    /// One end of a pair, of which nobody has the other.
    Orphan,
    /// Connected to a service.
    Service,
    Datagrams,
    /// Of no use to anybody.
    Pipe,
}

impl Given {
    pub(super) fn numbered(number: usize, size: u64) -> Self {
        match number {
            0..8 => Self::Segment(size),
            8 => Self::ReadOnly(size),
            9 => Self::WriteOnly(size),
            10 => Self::Unsealed(size),
            11 => Self::Sparse(size),
            12 => Self::Segment(size + 4096),
            13 => Self::Service,
            14 => Self::Datagrams,
            _ => Self::Pipe,
        }
    }

    pub(super) fn numbered_socket(number: usize) -> Self {
        match number {
            0..8 => Self::Pair,
            8..10 => Self::Orphan,
            10..12 => Self::Service,
            12 => Self::Datagrams,
            13 => Self::Segment(8192),
            _ => Self::Pipe,
        }
    }
}

/// Why what came with a Hello cannot be used, if so: in the order in which it is looked at.
pub(super) fn flaw(given: &[Given], announced: u64) -> Option<Refused> {
    let refuse = |reason, here, there| Some(Refused::new(reason, here, there));
    if given.get(1).is_some_and(|second| !matches!(second, Given::Pair | Given::Orphan)) {
        return refuse(Reason::Socket, 0, 0);
    }
    let errno = |errno: Errno| errno.raw_os_error() as u64;
    match *given.first().expect("counted before") {
        Given::Unsealed(_) => refuse(Reason::SegmentUnsealed, u64::from(seals().bits()), 0),
        Given::Segment(size) | Given::ReadOnly(size) | Given::WriteOnly(size) | Given::Sparse(size)
            if size != announced =>
        {
            refuse(Reason::SegmentSize, announced, size)
        }
        Given::Segment(_) | Given::ReadOnly(_) => None,
        Given::WriteOnly(_) => refuse(Reason::SegmentUnmappable, 0, errno(Errno::ACCESS)),
        Given::Sparse(size) => refuse(Reason::SegmentSparse, size, 0),
        _ => refuse(Reason::SegmentType, 0, errno(Errno::INVAL)),
    }
}

fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// Makes them, and tells whether a copy was kept.
pub(super) struct Stock {
    reader: PipeReader,
    writer: PipeWriter,
    kept: Vec<UnixStream>,
    /// A pair was made of which nobody has the other end.
    orphans: bool,
}

impl Stock {
    pub(super) fn new() -> Self {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        Self { reader, writer, kept: Vec::new(), orphans: false }
    }

    pub(super) fn make(&mut self, given: Given) -> OwnedFd {
        match given {
            Given::Segment(_) | Given::ReadOnly(_) | Given::WriteOnly(_) | Given::Unsealed(_) | Given::Sparse(_) => {
                memfd(given).expect("a memfd")
            }
            Given::Pair => {
                let (kept, given) = UnixStream::pair().expect("a pair of sockets");
                self.kept.push(kept);
                given.into()
            }
            Given::Orphan => {
                self.orphans = true;
                UnixStream::pair().expect("a pair of sockets").1.into()
            }
            Given::Service => service().expect("a service"),
            Given::Datagrams => UnixDatagram::pair().expect("a pair of sockets").1.into(),
            Given::Pipe => self.writer.try_clone().expect("a descriptor").into(),
        }
    }

    /// A bell comes to the peer, if it kept the end where it comes out.
    pub(super) fn must_hear(&self, ring: impl FnOnce() -> Rung) {
        let rung = ring();
        let mut heard = 0;
        for mut kept in &self.kept {
            kept.set_nonblocking(true).expect("a socket");
            heard += kept.read(&mut [0; 64]).unwrap_or(0);
        }
        match rung {
            Rung::Sent => assert_eq!(heard, 24, "a bell"),
            rung => assert_eq!((rung, heard, self.orphans), (Rung::Gone, 0, true)),
        }
    }

    /// Nobody has a copy of what was sent.
    pub(super) fn must_be_alone(self) {
        drop(self.writer);
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut fds: Vec<_> = [self.reader.as_fd()].into_iter().chain(self.kept.iter().map(AsFd::as_fd)).collect();
        let mut fds: Vec<_> = fds.drain(..).map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        poll(&mut fds, Some(&at_once)).expect("poll");
        assert!(fds.iter().all(|fd| fd.revents().contains(PollFlags::HUP)), "a descriptor of the peer is still open");
    }
}

fn memfd(given: Given) -> Result<OwnedFd, Errno> {
    let (size, sealed, allocated, access) = match given {
        Given::ReadOnly(size) => (size, true, true, Some(OFlags::RDONLY)),
        Given::WriteOnly(size) => (size, true, true, Some(OFlags::WRONLY)),
        Given::Unsealed(size) => (size, false, true, None),
        Given::Sparse(size) => (size, true, false, None),
        Given::Segment(size) => (size, true, true, None),
        _ => unreachable!("no memfd"),
    };
    let fd = rustix::fs::memfd_create(c"fuzzed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    rustix::fs::ftruncate(&fd, size)?;
    if allocated {
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, size)?;
    }
    if sealed {
        rustix::fs::fcntl_add_seals(&fd, seals())?;
    }
    let Some(access) = access else { return Ok(fd) };
    rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), access | OFlags::CLOEXEC, Mode::empty())
}

/// A stream that is connected to a name.
fn service() -> std::io::Result<OwnedFd> {
    let name = SocketAddr::from_abstract_name(format!("memenpsf-fuzz-{}", std::process::id()))?;
    let _listener = UnixListener::bind_addr(&name)?;
    Ok(UnixStream::connect_addr(&name)?.into())
}
