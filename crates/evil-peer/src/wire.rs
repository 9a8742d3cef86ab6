//! Sending and receiving over the socket, frame by frame.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use nix::libc;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, retry_on_intr},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        recvmsg, sendmsg,
    },
};

use crate::frames::{ORDER, REJECT};

/// As many descriptors as one message can carry.
const MOST: usize = 253;

/// One sendmsg(2) with these flags, the descriptors with its first byte.
fn send_once(socket: &UnixStream, bytes: &[u8], fds: &[BorrowedFd<'_>], flags: SendFlags) -> Result<usize, Errno> {
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(fds.is_empty() || control.push(SendAncillaryMessage::ScmRights(fds)), "too many descriptors");
    retry_on_intr(|| sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags | SendFlags::NOSIGNAL))
}

fn send_all(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd], flags: SendFlags) -> bool {
    let mut fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let mut rest = bytes;
    while !rest.is_empty() {
        match send_once(socket, rest, &fds, flags) {
            Ok(sent) => rest = &rest[sent..],
            Err(_) => return false,
        }
        fds.clear();
    }
    true
}

/// Sends it all, the descriptors with the first byte. `false`: the honest end no longer listens.
pub fn send(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> bool {
    send_all(socket, bytes, fds, SendFlags::empty())
}

/// Sends it all, the last byte out of band. A single byte carries the descriptors itself.
pub fn send_out_of_band(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> bool {
    send_all(socket, bytes, fds, SendFlags::OOB)
}

/// Sends what there is room for now. `None`: there is none, or the honest end no longer listens.
pub fn try_send(socket: &UnixStream, bytes: &[u8]) -> Option<usize> {
    send_once(socket, bytes, &[], SendFlags::DONTWAIT).ok()
}

/// Whether the kernel has bytes out of band on Unix sockets.
///
/// # Errors
///
/// Says that it has not.
pub fn out_of_band_is_known() -> Result<(), String> {
    let (socket, _peer) = UnixStream::pair().expect("sockets");
    let sent = send_once(&socket, b"x", &[], SendFlags::OOB);
    sent.map(drop).map_err(|errno| format!("no MSG_OOB on Unix sockets: {errno}"))
}

/// `SO_PASSPIDFD` of `asm-generic/socket.h`, Linux 6.5.
const SO_PASSPIDFD: libc::c_int = 76;

/// Has the kernel name who sent what is read there.
///
/// # Errors
///
/// The kernel does not know this.
#[allow(unsafe_code, reason = "nobody else has this option")]
pub fn pass_pidfd(socket: &UnixStream) -> Result<(), String> {
    let (on, length) = (1i32, size_of::<i32>() as libc::socklen_t);
    // SAFETY: a pointer to as many bytes, which the kernel only reads.
    let set =
        unsafe { libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_PASSPIDFD, (&raw const on).cast(), length) };
    nix::errno::Errno::result(set).map(drop).map_err(|errno| format!("no SO_PASSPIDFD: {errno}"))
}

/// Sends byte by byte, the descriptors with the first.
pub fn send_in_pieces(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> bool {
    bytes.iter().enumerate().all(|(n, byte)| send(socket, &[*byte], if n == 0 { fds } else { &[] }))
}

/// Sends pieces of that length, the last byte of each out of band, and the descriptors with the first piece.
pub fn send_out_of_band_in_pieces(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd], length: usize) -> bool {
    let mut pieces = bytes.chunks(length).enumerate();
    pieces.all(|(n, piece)| send_out_of_band(socket, piece, if n == 0 { fds } else { &[] }))
}

/// A frame that came, and its descriptors.
#[derive(Debug)]
pub struct Came {
    /// Its kind.
    pub kind: u16,
    /// Its body.
    pub body: Vec<u8>,
    /// What came with it.
    pub fds: Vec<OwnedFd>,
}

impl Came {
    /// Code and numbers of a Reject.
    pub fn reject(&self) -> (u16, u64, u64) {
        assert_eq!(self.kind, REJECT);
        let code = u16::from_ne_bytes([self.body[0], self.body[1]]);
        (code, self.field(8), self.field(16))
    }

    /// Eight bytes of the body as a number.
    pub fn field(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.body[at..at + 8].try_into().expect("eight bytes"))
    }
}

/// One recvmsg(2): what came, and its descriptors. `None` at the end.
fn receive(socket: &UnixStream, at_most: usize) -> Option<(Vec<u8>, Vec<OwnedFd>)> {
    let mut bytes = vec![0; at_most];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MOST))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let came = retry_on_intr(|| recvmsg(socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC)).ok()?;
    let mut fds = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(more) = message {
            fds.extend(more);
        }
    }
    bytes.truncate(came.bytes);
    (came.bytes > 0).then_some((bytes, fds))
}

/// The next frame; `None` when the honest end has hung up.
pub fn read_frame(socket: &UnixStream) -> Option<Came> {
    let mut fds = Vec::new();
    let mut bytes = Vec::new();
    let mut fill = |length: usize| {
        while bytes.len() < length {
            let (more, with_it) = receive(socket, length - bytes.len())?;
            bytes.extend(more);
            fds.extend(with_it);
        }
        Some(bytes.clone())
    };
    let header = fill(16)?;
    assert_eq!(header[..4], *b"mnpf");
    assert_eq!(header[4..8], ORDER.to_ne_bytes());
    let kind = u16::from_ne_bytes([header[8], header[9]]);
    let length = u32::from_ne_bytes([header[12], header[13], header[14], header[15]]) as usize;
    let body = fill(16 + length)?.split_off(16);
    Some(Came { kind, body, fds })
}

/// Reads until a Reject comes; `None` if the honest end hangs up without one.
pub fn told(socket: &UnixStream) -> Option<(u16, u64, u64)> {
    loop {
        let came = read_frame(socket)?;
        if came.kind == REJECT {
            return Some(came.reject());
        }
    }
}

/// Whether the honest end has hung up.
pub fn is_over(socket: &UnixStream) -> bool {
    poll(&mut [PollFd::new(socket, PollFlags::empty())], Some(&Timespec::default())).is_ok_and(|n| n > 0)
}

/// Whether something comes in that time. Nothing is read.
pub fn until_readable(socket: &UnixStream, at_most: Duration) -> bool {
    let timeout = Timespec::try_from(at_most).ok();
    poll(&mut [PollFd::new(socket, PollFlags::IN)], timeout.as_ref()) == Ok(1)
}

/// Until the honest end hangs up. Nothing is read.
pub fn until_over(socket: &UnixStream) {
    while poll(&mut [PollFd::new(socket, PollFlags::empty())], None) != Ok(1) {}
}
