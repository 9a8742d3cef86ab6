//! Messages of a channel on their way in.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::IoSliceMut,
    mem,
    os::fd::{BorrowedFd, OwnedFd},
    sync::{
        Mutex,
        atomic::{
            AtomicUsize,
            Ordering::{Relaxed, SeqCst},
        },
    },
};

use fdpass::{Credentials, MAX_FDS, Received, discard};

use crate::{
    Error,
    frame::{Header, Kind, LONGEST, Ticket},
    memory, room,
    seqpacket::receive,
    timeout::MayWait,
};

/// What a receiver takes if nobody has said otherwise, in bytes: 64 MiB.
const LIMIT: usize = 64 << 20;

/// Payloads that may wait for their messages. More come only from who sends no messages behind them, or from so many senders at once.
const MOST_AHEAD: usize = 16;

/// The payload of a message: in the datagram, or read from beside it.
pub(crate) type Payload<'a> = Cow<'a, [u8]>;

/// What a receiver keeps from one datagram to the next.
#[derive(Debug)]
pub(crate) struct Inlet {
    limit: AtomicUsize,
    /// Receives that may have a datagram in hand that another one asks for: also those that wait for one.
    under_way: AtomicUsize,
    apart: Mutex<Apart>,
}

/// Payloads that came ahead, and messages that another receive has got before the payload was put here.
#[derive(Debug, Default)]
struct Apart {
    payloads: VecDeque<(Ticket, OwnedFd)>,
    messages: Vec<(Ticket, Message)>,
}

/// What came with a datagram.
#[derive(Debug)]
struct Message {
    length: usize,
    fds: Vec<OwnedFd>,
    credentials: Option<Credentials>,
}

impl Default for Inlet {
    fn default() -> Self {
        Self { limit: LIMIT.into(), under_way: 0.into(), apart: Mutex::default() }
    }
}

impl Inlet {
    pub(crate) fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Relaxed);
    }

    /// Receives one message, and has `take` make of it what it likes.
    ///
    /// The outer error is that there is no message; the inner one is about the message, which is used up.
    pub(crate) fn receive_by<T>(
        &self,
        socket: BorrowedFd<'_>,
        may_wait: MayWait,
        take: impl FnOnce(Payload<'_>, Vec<OwnedFd>, Option<Credentials>) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, fdpass::Error> {
        room::with(LONGEST, |room| self.receive_into(room, socket, may_wait, take))
    }

    fn receive_into<T>(
        &self,
        room: &mut [u8],
        socket: BorrowedFd<'_>,
        may_wait: MayWait,
        take: impl FnOnce(Payload<'_>, Vec<OwnedFd>, Option<Credentials>) -> Result<T, Error>,
    ) -> Result<Result<T, Error>, fdpass::Error> {
        let _under_way = UnderWay::new(&self.under_way);
        let mut pushed_out = 0;
        loop {
            let Received { len, fds, credentials, .. } =
                receive(socket, &mut [IoSliceMut::new(room)], MAX_FDS, may_wait)?;
            let mut message = Message { length: 0, fds, credentials };
            match self.open(&room[..len], &mut message) {
                Ok(Some(payload)) => return Ok(take(payload, message.fds, message.credentials)),
                // Who sends payloads ahead and no messages behind them must not keep a receiver that has little time.
                Ok(None) if pushed_out == MOST_AHEAD => {
                    return Ok(Err(Error::Malformed { why: "payloads come ahead, and no messages behind them" }));
                }
                Ok(None) => pushed_out += usize::from(self.is_full()),
                Err(error) => {
                    discard(message.fds);
                    return Ok(Err(error));
                }
            }
        }
    }

    /// The payload of a message, whose own descriptors are left in `message`; or none, of a datagram that is half of one.
    fn open<'a>(&self, datagram: &'a [u8], message: &mut Message) -> Result<Option<Payload<'a>>, Error> {
        let Some((header, behind)) = datagram.split_first_chunk() else {
            return Err(Error::Malformed { why: "the message is shorter than a header" });
        };
        let Header { kind, fds: own, length } = Header::from_bytes(*header)?;
        let expected = match kind {
            Kind::Inline => length,
            Kind::InMemory => 0,
            Kind::Ahead | Kind::CameAhead => size_of::<Ticket>() as u64,
        };
        if behind.len() as u64 != expected {
            return Err(Error::WrongLength { expected, got: behind.len() as u64 });
        }
        let expected = match kind {
            Kind::Inline | Kind::CameAhead => usize::from(own),
            Kind::InMemory => usize::from(own) + 1,
            Kind::Ahead => 1,
        };
        if message.fds.len() != expected || (kind == Kind::Ahead && own > 0) {
            return Err(Error::WrongFds { expected, got: message.fds.len() });
        }
        let room = self.limit.load(Relaxed);
        message.length = usize::try_from(length).unwrap_or(usize::MAX);
        if message.length > room {
            return Err(Error::TooLong { length: message.length, room });
        }
        match kind {
            Kind::Inline => Ok(Some(behind.into())),
            Kind::InMemory => {
                let payload = memory::read(&message.fds[0], message.length)?;
                message.fds.remove(0);
                Ok(Some(payload.into()))
            }
            Kind::Ahead => {
                memory::must_be_sealed(&message.fds[0], message.length)?;
                self.payload_came(ticket(behind), message)
            }
            Kind::CameAhead => self.message_came(ticket(behind), message),
        }
    }

    /// The next payload that comes ahead pushes out another.
    fn is_full(&self) -> bool {
        self.apart.lock().expect("no panic").payloads.len() == MOST_AHEAD
    }

    /// Keeps a payload for its message, or if another receive has left that here, returns both.
    fn payload_came(&self, ticket: Ticket, message: &mut Message) -> Result<Option<Payload<'static>>, Error> {
        let memory = message.fds.remove(0);
        // Nothing panics with the lock held.
        let mut apart = self.apart.lock().expect("no panic");
        let Some(place) = apart.messages.iter().position(|(left, _)| *left == ticket) else {
            if apart.payloads.len() == MOST_AHEAD {
                apart.payloads.pop_front();
            }
            apart.payloads.push_back((ticket, memory));
            return Ok(None);
        };
        (_, *message) = apart.messages.remove(place);
        drop(apart);
        Ok(Some(memory::read(&memory, message.length)?.into()))
    }

    /// The payload that came ahead. If it is not there, another receive may have it in hand: then the message is left to that one.
    fn message_came(&self, ticket: Ticket, message: &mut Message) -> Result<Option<Payload<'static>>, Error> {
        let mut apart = self.apart.lock().expect("no panic");
        if let Some(place) = apart.payloads.iter().position(|(kept, _)| *kept == ticket) {
            let memory = apart.payloads.remove(place).map(|(_, memory)| memory);
            drop(apart);
            return memory.map(|memory| Ok(memory::read(&memory, message.length)?.into())).transpose();
        }
        let others = self.under_way.load(SeqCst) - 1;
        if others == 0 {
            return Err(Error::Malformed {
                why: "the payload of the message has not come ahead, or too many others have come since",
            });
        }
        if apart.messages.len() >= others {
            // The oldest waits for nobody any more.
            discard(apart.messages.remove(0).1.fds);
        }
        let fds = mem::take(&mut message.fds);
        apart.messages.push((ticket, Message { fds, ..*message }));
        Ok(None)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        discard(self.messages.drain(..).flat_map(|(_, message)| message.fds));
    }
}

/// A receive from before it takes a datagram from the socket until that is where others find it.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, SeqCst);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

/// What is behind the header of a datagram that has one, which was seen to be as long.
fn ticket(behind: &[u8]) -> Ticket {
    behind.try_into().expect("as long as a ticket")
}

#[cfg(test)]
mod tests {
    use std::{io::IoSlice, os::fd::AsFd};

    use fdpass::try_send_message;

    use super::*;
    use crate::{RawReceiver, seqpacket::pair};

    #[test]
    fn who_does_not_wait_is_not_kept_by_payloads_that_come_ahead_for_ever() {
        let (near, far) = pair().expect("two sockets");
        let receiver = RawReceiver::try_from(far).expect("a receiver");
        let memory = memory::sealed(b"ahead").expect("memory");
        let header = Header { kind: Kind::Ahead, fds: 0, length: 5 }.to_bytes();
        for number in 0..2 * MOST_AHEAD as u64 {
            let ticket = number.to_le_bytes();
            let pieces = [IoSlice::new(&header), IoSlice::new(&ticket)];
            try_send_message(&near, &pieces, &[memory.as_fd()]).expect("room");
        }
        assert!(matches!(receiver.try_recv(), Err(Error::Malformed { .. })));
        // The rest are few enough to be followed by their messages.
        assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    }
}
