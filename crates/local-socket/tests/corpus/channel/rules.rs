//! The rules of a channel's messages, written once more: what must be said of each.

use std::{collections::VecDeque, iter};

use local_socket::Error;

use super::descriptors::{Identity, Made, Nature, identity};

/// The longest payload that lies in a message itself.
pub(crate) const INLINE: usize = 192 * 1024 - 16;

/// Payloads that came ahead and wait for their messages.
const MOST_AHEAD: usize = 16;

pub(crate) enum Verdict {
    Good {
        payload: Vec<u8>,
        fds: Vec<Identity>,
    },
    Bad(Error),
    /// It is no message, and nothing is said of it.
    Kept,
}

/// What a receiver must know of what came before.
pub(crate) struct Rules {
    pub(crate) limit: u64,
    /// With what is known of the memory under each ticket.
    kept: VecDeque<([u8; 8], Nature)>,
    /// How many came ahead while as many were kept as can be, since a message was received, or none was there.
    pub(crate) in_a_row: usize,
}

impl Rules {
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, kept: VecDeque::new(), in_a_row: 0 }
    }

    /// What must be said of a message.
    pub(crate) fn judge(&mut self, message: &[u8], fds: &[Made]) -> Verdict {
        let verdict = self.opened(message, fds).unwrap_or_else(Verdict::Bad);
        if !matches!(verdict, Verdict::Kept) {
            self.in_a_row = 0;
            return verdict;
        }
        if self.in_a_row < MOST_AHEAD {
            self.in_a_row += usize::from(self.kept.len() == MOST_AHEAD);
            return verdict;
        }
        self.in_a_row = 0;
        Verdict::Bad(Error::Malformed { why: "payloads come ahead, and no messages behind them" })
    }

    fn opened(&mut self, message: &[u8], fds: &[Made]) -> Result<Verdict, Error> {
        if message.len() > INLINE + 16 {
            return Err(Error::TooLong { length: message.len(), room: INLINE + 16 });
        }
        if message.len() < 16 {
            return malformed("the message is shorter than a header");
        }
        let (header, behind) = message.split_at(16);
        let number = |range: std::ops::Range<usize>| {
            header[range].iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        };
        let (kind, count, length) = (number(4..6), number(6..8), number(8..16));
        if !header.starts_with(b"lsc\x01") {
            return malformed("the message is not of a channel, or of another version");
        }
        let (expected, beside) = match kind {
            0 => (length, 0),
            1 => (0, 1),
            2 => (8, 1),
            3 => (8, 0),
            _ => return malformed("the message is of a kind that this version does not know"),
        };
        if behind.len() as u64 != expected {
            return Err(Error::WrongLength { expected, got: behind.len() as u64 });
        }
        // What comes ahead has no descriptors of its own.
        let expected = if kind == 2 { 1 } else { count + beside };
        if fds.len() as u64 != expected || (kind == 2 && count > 0) {
            return Err(Error::WrongFds { expected: expected as usize, got: fds.len() });
        }
        if length > self.limit {
            return Err(Error::TooLong { length: length as usize, room: self.limit as usize });
        }
        let identities = |fds: &[Made]| fds.iter().map(|made| identity(&made.fd)).collect();
        let ticket = behind.first_chunk().copied();
        Ok(match kind {
            0 => Verdict::Good { payload: behind.to_vec(), fds: identities(fds) },
            1 => Verdict::Good { payload: read(&fds[0].nature, length)?, fds: identities(&fds[1..]) },
            2 => {
                sealed(&fds[0].nature, length)?;
                self.make_room();
                self.kept.push_back((ticket.expect("8 bytes"), fds[0].nature.clone()));
                Verdict::Kept
            }
            _ => {
                let place = self.kept.iter().position(|(kept, _)| Some(*kept) == ticket);
                let Some((_, memory)) = place.and_then(|place| self.kept.remove(place)) else {
                    return malformed(UNKNOWN);
                };
                Verdict::Good { payload: read(&memory, length)?, fds: identities(fds) }
            }
        })
    }

    /// As something that comes ahead needs it. Whether there was none.
    pub(crate) fn make_room(&mut self) -> bool {
        let is_full = self.kept.len() == MOST_AHEAD;
        if is_full {
            self.kept.pop_front();
        }
        is_full
    }

    /// How long the payload is that was kept under this ticket.
    pub(crate) fn length(&self, ticket: [u8; 8]) -> Option<u64> {
        self.kept.iter().find(|(kept, _)| *kept == ticket).map(|(_, memory)| match memory {
            Nature::Memory { size, .. } => *size,
            Nature::Other => 0,
        })
    }

    /// The tickets under which a payload is kept.
    pub(crate) fn tickets(&self) -> impl ExactSizeIterator<Item = [u8; 8]> {
        self.kept.iter().map(|(ticket, _)| *ticket)
    }
}

/// What is said of a ticket under which there is nothing.
pub(crate) const UNKNOWN: &str = "the payload of the message has not come ahead, or too many others have come since";

fn malformed<T>(why: &'static str) -> Result<T, Error> {
    Err(Error::Malformed { why })
}

/// Memory that is as it should be: its bytes, behind which are zeros, and whether it can be read.
fn sealed(nature: &Nature, length: u64) -> Result<(&[u8], bool), Error> {
    match nature {
        Nature::Memory { sealed: true, size, .. } if *size != length => {
            Err(Error::WrongLength { expected: length, got: *size })
        }
        Nature::Memory { sealed: true, bytes, readable, .. } => Ok((bytes, *readable)),
        _ => malformed("the message's payload does not lie in a sealed memfd"),
    }
}

fn read(nature: &Nature, length: u64) -> Result<Vec<u8>, Error> {
    let (bytes, is_readable) = sealed(nature, length)?;
    if length > 0 && !is_readable {
        return malformed("the message's payload lies in a memfd that cannot be read");
    }
    Ok(bytes.iter().copied().chain(iter::repeat(0)).take(length as usize).collect())
}

/// Whether a payload is a list of these numbers of descriptors, each once: as postcard writes a list of `u32`.
pub(crate) fn names_each_once(payload: &[u8], fds: usize) -> bool {
    let mut rest = payload;
    let Some(count) = varint(&mut rest, 64) else { return false };
    if count != fds as u64 {
        return false;
    }
    let mut left: Vec<u64> = (0..count).collect();
    for _ in 0..count {
        let Some(number) = varint(&mut rest, 32) else { return false };
        let Some(place) = left.iter().position(|left| *left == number) else { return false };
        left.swap_remove(place);
    }
    rest.is_empty()
}

/// A number of at most so many bits: seven of them in each byte, and more to come while the eighth is set.
fn varint(rest: &mut &[u8], bits: u32) -> Option<u64> {
    let mut number = 0_u128;
    for shift in (0..bits).step_by(7) {
        let byte = *rest.split_off_first()?;
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return u64::try_from(number).ok().filter(|number| bits == 64 || *number >> bits == 0);
        }
    }
    None
}
