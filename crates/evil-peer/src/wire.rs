//! Sending and receiving over the socket, frame by frame.

use std::{
    io::Write,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::frames::{ORDER, REJECT};

/// Sends it all, the descriptors with the first byte. `false`: the honest end no longer listens.
pub fn send(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> bool {
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    match fdpass::send_fds(socket, bytes, &fds) {
        Ok(sent) => (&*socket).write_all(&bytes[sent..]).is_ok(),
        Err(_) => false,
    }
}

/// Sends byte by byte, the descriptors with the first.
pub fn send_in_pieces(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) -> bool {
    bytes.iter().enumerate().all(|(n, byte)| send(socket, &[*byte], if n == 0 { fds } else { &[] }))
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

/// The next frame; `None` when the honest end has hung up.
pub fn read_frame(socket: &UnixStream) -> Option<Came> {
    let mut fds = Vec::new();
    let mut bytes = Vec::new();
    let mut fill = |length: usize| {
        while bytes.len() < length {
            let mut buffer = vec![0; length - bytes.len()];
            let received = fdpass::recv_fds(socket, &mut buffer, fdpass::MAX_FDS).ok()?;
            bytes.extend(&buffer[..received.len]);
            fds.extend(received.fds);
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
