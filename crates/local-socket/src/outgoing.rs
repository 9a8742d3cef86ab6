//! Messages of a channel on their way out.

use std::{
    io::{self, IoSlice},
    iter,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use fdpass::MAX_FDS;
use rustix::io::Errno;

use crate::{
    Error,
    frame::{HEADER, Header, INLINE, Kind, Ticket},
    memory, random,
};

/// A message on its way out: in one datagram, with a memfd where it is too long, and only where it has so many descriptors that there
/// is no place for the memfd in two.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    payload: &'a [u8],
    fds: &'a [BorrowedFd<'a>],
    way: Way,
}

#[derive(Debug)]
enum Way {
    Inline,
    InMemory(OwnedFd),
    Ahead { memory: OwnedFd, ticket: Ticket, has_gone: bool },
}

impl<'a> Outgoing<'a> {
    pub(crate) fn new(payload: &'a [u8], fds: &'a [BorrowedFd<'a>]) -> Result<Self, Error> {
        if fds.len() > MAX_FDS {
            return Err(Error::TooManyFds { requested: fds.len() });
        }
        let mut outgoing = Self { payload, fds, way: Way::Inline };
        if payload.len() > INLINE {
            outgoing.take_to_memory().map_err(Error::Io)?;
        }
        Ok(outgoing)
    }

    /// Sends it by calls of `send`, each of which sends all or nothing. When one would have to wait, this is to be called again.
    pub(crate) fn send_by(
        &mut self,
        mut send: impl FnMut(&[IoSlice<'_>], &[BorrowedFd<'_>]) -> Result<(), fdpass::Error>,
    ) -> Result<(), fdpass::Error> {
        if let Way::Inline = self.way {
            let header = self.header(Kind::Inline);
            match send(&[IoSlice::new(&header), IoSlice::new(self.payload)], self.fds) {
                Err(fdpass::Error::Io(error)) if lacks_room(&error) => {
                    self.take_to_memory().map_err(fdpass::Error::Io)?;
                }
                result => return result,
            }
        }
        let [in_memory, ahead, came_ahead] =
            [Kind::InMemory, Kind::Ahead, Kind::CameAhead].map(|kind| self.header(kind));
        match &mut self.way {
            Way::Inline => unreachable!("it was sent, or taken to memory"),
            Way::InMemory(memory) => {
                let fds: Vec<_> = iter::once(memory.as_fd()).chain(self.fds.iter().copied()).collect();
                send(&[IoSlice::new(&in_memory)], &fds)
            }
            Way::Ahead { memory, ticket, has_gone } => {
                if !*has_gone {
                    send(&[IoSlice::new(&ahead), IoSlice::new(ticket)], &[memory.as_fd()])?;
                    *has_gone = true;
                }
                send(&[IoSlice::new(&came_ahead), IoSlice::new(ticket)], self.fds)
            }
        }
    }

    fn header(&self, kind: Kind) -> [u8; HEADER] {
        let fds = if kind == Kind::Ahead { 0 } else { self.fds.len() as u16 };
        Header { kind, fds, length: self.payload.len() as u64 }.to_bytes()
    }

    fn take_to_memory(&mut self) -> io::Result<()> {
        let memory = memory::sealed(self.payload)?;
        self.way = match self.fds.len() {
            // With the memfd they would be one more than a message carries.
            MAX_FDS => Way::Ahead { memory, ticket: random::bytes()?, has_gone: false },
            _ => Way::InMemory(memory),
        };
        Ok(())
    }
}

/// The socket's buffer is smaller than usual, or the system has no piece of memory that is long enough.
fn lacks_room(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MSGSIZE | Errno::NOBUFS))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_payload_that_has_gone_ahead_does_not_go_once_more_when_its_message_has_to_wait() {
        let pipe = io::pipe().expect("a pipe").0;
        let (payload, fds) = (vec![7; INLINE + 1], [pipe.as_fd(); MAX_FDS]);
        let mut outgoing = Outgoing::new(&payload, &fds).expect("memory");
        let mut sent: Vec<(Vec<u8>, usize)> = Vec::new();
        let waited = outgoing.send_by(|pieces, fds| match sent.len() {
            0 => {
                sent.push((pieces[1].to_vec(), fds.len()));
                Ok(())
            }
            _ => Err(fdpass::Error::WouldBlock),
        });
        assert!(matches!(waited, Err(fdpass::Error::WouldBlock)));
        let again = outgoing.send_by(|pieces, fds| {
            sent.push((pieces[1].to_vec(), fds.len()));
            Ok(())
        });
        assert!(again.is_ok());
        let ticket = sent[0].0.clone();
        assert_eq!(sent, [(ticket.clone(), 1), (ticket, MAX_FDS)]);
    }
}
