//! Descriptors of every kind, and what is known of each.

use std::{
    fs::{File, OpenOptions},
    io::{self, IoSlice, Write},
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::{
            fs::OpenOptionsExt,
            net::{UnixDatagram, UnixStream},
        },
    },
    time::Duration,
};

use fdpass::{discard, send_message};
use rustix::{
    event::{EventfdFlags, eventfd},
    fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create},
    io::Errno,
    net::{
        AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with, socketpair,
        sockopt::{set_socket_linger, set_socket_recv_buffer_size, set_socket_send_buffer_size},
    },
};

use super::plan::Kind;

/// A descriptor on its way.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) fd: OwnedFd,
    pub(crate) nature: Nature,
}

/// What the rules must know of a descriptor.
#[derive(Clone, Debug)]
pub(crate) enum Nature {
    Other,
    Memory { sealed: bool, readable: bool, size: u64, bytes: Vec<u8> },
}

/// Of the file behind a descriptor: device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(fd: impl AsFd) -> Identity {
    let file = fstat(fd).expect("an open descriptor");
    (file.st_dev, file.st_ino)
}

/// Longer than anything here takes.
const LINGERS: Duration = Duration::from_secs(6);

/// Where descriptors come from.
pub(crate) struct Maker<'a> {
    pub(crate) sender: BorrowedFd<'a>,
    pub(crate) receiver: BorrowedFd<'a>,
    /// How many more may be sent: what is on its way counts against a user's limit.
    pub(crate) budget: usize,
    /// What must stay open until all was received.
    pub(crate) kept: Vec<OwnedFd>,
    /// Those who must not be waited for.
    pub(crate) lingering: usize,
}

pub(crate) fn seqpackets() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

pub(crate) fn borrowed(made: &[Made]) -> Vec<BorrowedFd<'_>> {
    made.iter().map(|made| made.fd.as_fd()).collect()
}

impl Maker<'_> {
    /// So many of each kind, as far as the budget goes and one message holds.
    pub(crate) fn all(&mut self, kinds: &[(Kind, u8)]) -> io::Result<Vec<Made>> {
        let mut all: Vec<Made> = Vec::new();
        for (kind, times) in kinds {
            // Mostly a few: many take a while to make.
            let times = if *times < 250 { *times % 8 } else { *times };
            for _ in 0..usize::from(times).min(self.budget).min(fdpass::MAX_FDS - all.len()) {
                let made = match (kind, all.last()) {
                    (Kind::Again, Some(last)) => Made { fd: last.fd.try_clone()?, nature: last.nature.clone() },
                    _ => self.one(*kind)?,
                };
                self.budget -= 1;
                all.push(made);
            }
        }
        Ok(all)
    }

    pub(crate) fn one(&mut self, kind: Kind) -> io::Result<Made> {
        let fd = match kind {
            Kind::PipeToRead | Kind::Again => io::pipe()?.0.into(),
            Kind::PipeToWrite => io::pipe()?.1.into(),
            Kind::Null => File::open("/dev/null")?.into(),
            Kind::Directory => File::open("/")?.into(),
            Kind::Path => {
                OpenOptions::new().read(true).custom_flags(OFlags::PATH.bits().cast_signed()).open("/")?.into()
            }
            Kind::Event => eventfd(0, EventfdFlags::CLOEXEC)?,
            Kind::Stream => UnixStream::pair()?.0.into(),
            Kind::Datagrams => UnixDatagram::pair()?.0.into(),
            Kind::OwnSender => self.sender.try_clone_to_owned()?,
            Kind::OwnReceiver => self.receiver.try_clone_to_owned()?,
            Kind::Seqpacket => seqpackets()?.0,
            Kind::Loaded => {
                let (near, far) = seqpackets()?;
                let load = [self.one(Kind::PipeToRead)?, self.one(Kind::Null)?];
                send_message(&near, &[IoSlice::new(b"load")], &borrowed(&load)).map_err(io::Error::other)?;
                far
            }
            Kind::Sealed => return memory(b"sealed", 6, SEALS, Access::Both),
            Kind::Unsealed => return memory(b"open", 4, SealFlags::empty(), Access::Both),
            Kind::Listening => {
                let socket = seqpacket()?;
                bind(&socket, &SocketAddrUnix::new_unnamed())?;
                listen(&socket, 1)?;
                socket
            }
            Kind::Lingering => self.lingering()?,
        };
        Ok(Made { fd, nature: Nature::Other })
    }

    /// A TCP connection whose other end takes no more.
    fn lingering(&mut self) -> io::Result<OwnedFd> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        set_socket_recv_buffer_size(&listener, 1)?;
        let mut stream = TcpStream::connect(listener.local_addr()?)?;
        set_socket_send_buffer_size(&stream, 1 << 15)?;
        set_socket_linger(&stream, Some(LINGERS))?;
        stream.set_nonblocking(true)?;
        while stream.write(&[0; 1 << 16]).is_ok() {}
        self.kept.push(listener.into());
        self.lingering += 1;
        Ok(stream.into())
    }
}

/// Closes what could not be sent, and waits for none.
pub(crate) fn give_up(all: Vec<Made>) {
    discard(all.into_iter().map(|made| made.fd));
}

fn seqpacket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}

pub(crate) const SEALS: SealFlags =
    SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

#[derive(Clone, Copy)]
pub(crate) enum Access {
    Both,
    Read,
    Write,
}

/// A memfd of this size that begins with these bytes.
pub(crate) fn memory(bytes: &[u8], size: u64, seals: SealFlags, access: Access) -> io::Result<Made> {
    let mut file = File::from(memfd_create(c"fuzzed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    let size = size.min(1 << 40);
    file.write_all(&bytes[..bytes.len().min(size as usize)])?;
    ftruncate(&file, size)?;
    // A page that the kernel has in hand just now cannot be sealed.
    while fcntl_add_seals(&file, seals).is_err_and(|errno| errno == Errno::BUSY) {}
    let reopened = format!("/proc/self/fd/{}", file.as_raw_fd());
    let fd = match access {
        Access::Both => file,
        Access::Read => File::open(reopened)?,
        Access::Write => OpenOptions::new().write(true).open(reopened)?,
    };
    let nature = Nature::Memory {
        sealed: seals == SEALS,
        readable: !matches!(access, Access::Write),
        size,
        bytes: bytes[..bytes.len().min(size as usize)].to_vec(),
    };
    Ok(Made { fd: fd.into(), nature })
}
