//! The socket of one ring: bells, control messages, and the news that the peer is gone.
//!
//! Every call is `MSG_DONTWAIT`: the socket may have come from the peer, who shares its O_NONBLOCK flag.

use std::{
    io::ErrorKind,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Weak},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
    net::{AddressFamily, Shutdown, SocketAddrAny, SocketType, sockopt},
    thread::{NanosleepRelativeResult, nanosleep},
};

use crate::{Corrupt, Error};

/// Bytes of a message on the control channel: kind, tail, head.
const MESSAGE: usize = 24;
/// Messages taken by one read, and reads in one go: a peer that floods does not hold us up.
const MESSAGES_A_READ: usize = 32;
const READS: usize = 8;

/// The kinds of messages. `docs/protocol.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Bell {
    Data = 1,
    Room = 2,
    Finished = 3,
    Control = 4,
}

/// A message of the peer's own making: where it was when it sent this.
///
/// Positions are free-running counters. They are hints, since they say what was, and nothing is decided by them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlMessage {
    /// The peer's write position: the tail of the ring that it fills.
    pub write_position: u64,
    /// The peer's read position: the head of the ring that it empties.
    pub read_position: u64,
}

/// How the sending of a bell went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rung {
    /// It is out.
    Sent,
    /// The socket is full: the peer has unread bells, and wakes.
    Crowded,
    /// The system had no memory for it: it is owed.
    Owed,
    /// The peer is gone.
    Gone,
    /// This process may not send (a sandbox). The socket has been shut down, which wakes the peer.
    Mute,
}

/// What a look at the socket saw.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// There is something to read, or the end.
    pub(crate) readable: bool,
    /// The end is there, or may be: perhaps behind something to read.
    pub(crate) ending: bool,
    /// The process that did the handshake is dead.
    pub(crate) died: bool,
    /// The descriptor that ends a wait is readable.
    pub(crate) stopped: bool,
}

/// How long a wait lasts that no bell can end.
const BLIND: Timespec = Timespec { tv_sec: 0, tv_nsec: 1_000_000 };

/// Lets a moment pass, `at_most` that long. Where that is denied too, only others that want the processor get it.
#[cold]
pub(crate) fn nap(at_most: Option<Duration>) {
    let time = at_most.and_then(|time| Timespec::try_from(time).ok()).map_or(BLIND, |time| time.min(BLIND));
    // Not by the standard library, which takes it for granted that this can be done.
    if let NanosleepRelativeResult::Err(_) = nanosleep(&time) {
        std::thread::yield_now();
    }
}

/// Where ppoll(2) is denied: by a sandbox, or by an `RLIMIT_NOFILE` below the number of descriptors to be watched. The socket itself
/// tells of bells and of its end when it is read. Nothing tells of a stop descriptor, so that such a wait ends here.
#[cold]
fn wait_blindly(errno: Errno, with_stop: bool, at_most: Option<Duration>) -> Seen {
    nap(at_most);
    // A lack of memory passes.
    Seen { readable: true, ending: true, died: false, stopped: with_stop && errno != Errno::NOMEM }
}

/// The sockets of one ring: the peer rings at `inbox`, this side at `outbox`, or at `inbox` too.
///
/// Reading takes a lock of the socket, and a process that reads the same socket can keep it for as long as it likes, by memory whose
/// page faults it answers itself (userfaultfd(2)): `MSG_DONTWAIT` waits for that lock all the same. So nothing is ever read from
/// a socket that came from the peer; writing takes no such lock.
#[derive(Debug)]
pub(crate) struct Doorbell {
    inbox: Arc<UnixStream>,
    outbox: Option<UnixStream>,
    /// A message of which only the first `sent` bytes went out.
    outgoing: [u8; MESSAGE],
    sent: usize,
    /// A message of which only the first `filled` bytes have come.
    incoming: [u8; MESSAGE],
    filled: usize,
    control: Option<ControlMessage>,
    hung_up: bool,
}

impl Doorbell {
    /// For a stream whose two ends are the two processes' own.
    pub(crate) fn over(stream: UnixStream) -> Self {
        Self::new(stream, None)
    }

    /// `inbox` is the end of a pair that this side made and kept, `outbox` one that the peer made and gave.
    pub(crate) fn between(inbox: UnixStream, outbox: UnixStream) -> Self {
        Self::new(inbox, Some(outbox))
    }

    fn new(inbox: UnixStream, outbox: Option<UnixStream>) -> Self {
        Self {
            inbox: Arc::new(inbox),
            outbox,
            outgoing: [0; MESSAGE],
            sent: MESSAGE,
            incoming: [0; MESSAGE],
            filled: 0,
            control: None,
            hung_up: false,
        }
    }

    /// Readable when the peer has rung.
    pub(crate) fn inbox(&self) -> BorrowedFd<'_> {
        self.inbox.as_fd()
    }

    /// For whoever has to end a sleep from elsewhere.
    pub(crate) fn downgrade(&self) -> Weak<UnixStream> {
        Arc::downgrade(&self.inbox)
    }

    fn outbox(&self) -> BorrowedFd<'_> {
        self.outbox.as_ref().map_or(self.inbox.as_fd(), AsFd::as_fd)
    }

    /// Sends one message, behind the rest of one that went out in part.
    pub(crate) fn ring(&mut self, bell: Bell, tail: u64, head: u64) -> Rung {
        match self.send_rest() {
            Rung::Sent => {}
            other => return other,
        }
        for (field, value) in self.outgoing.chunks_exact_mut(8).zip([bell as u64, tail, head]) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
        self.sent = 0;
        match self.send_rest() {
            // A part of it is out, which wakes as well as all of it, and the rest goes before anything else.
            Rung::Crowded | Rung::Owed if self.sent > 0 => Rung::Sent,
            rung => {
                self.sent = MESSAGE;
                rung
            }
        }
    }

    fn send_rest(&mut self) -> Rung {
        while self.sent < MESSAGE {
            match fdpass::try_send_fds(self.outbox(), &self.outgoing[self.sent..], &[]) {
                Ok(sent) => self.sent += sent,
                Err(fdpass::Error::WouldBlock) => return Rung::Crowded,
                Err(error) => {
                    let error = std::io::Error::from(error);
                    return match error.raw_os_error().map(Errno::from_raw_os_error) {
                        Some(Errno::NOBUFS | Errno::NOMEM) => Rung::Owed,
                        Some(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN) => Rung::Gone,
                        _ => {
                            self.shut_down();
                            Rung::Mute
                        }
                    };
                }
            }
        }
        Rung::Sent
    }

    /// This process may not talk over the socket. A peer that is asleep would never learn of it, nor of what is published: the end of the
    /// socket is news that needs no message.
    fn shut_down(&self) {
        // Where that is denied too, the peer learns of it when this half is dropped.
        for socket in [self.inbox(), self.outbox()] {
            let _ = rustix::net::shutdown(socket, Shutdown::Both);
        }
    }

    /// Waits for news on the socket, of the peer's death, or on `stop`, and returns at the latest after `at_most`, or at any
    /// signal.
    pub(crate) fn wait(
        &self,
        pidfd: Option<BorrowedFd<'_>>,
        stop: Option<BorrowedFd<'_>>,
        at_most: Option<Duration>,
    ) -> Seen {
        let timeout = at_most.and_then(|time| Timespec::try_from(time).ok());
        let socket = self.inbox();
        // What is not there stands as the socket with no events asked for, and its hang-up is not taken for another's; at the end of the
        // list it is left out, since each costs time at every sleep.
        let watch = |fd: Option<BorrowedFd<'_>>| fd.map_or(PollFlags::empty(), |_| PollFlags::IN);
        let count = if stop.is_some() { 3 } else { 1 + usize::from(pidfd.is_some()) };
        let mut fds = [
            PollFd::from_borrowed_fd(socket, PollFlags::IN | PollFlags::RDHUP),
            PollFd::from_borrowed_fd(pidfd.unwrap_or(socket), watch(pidfd)),
            PollFd::from_borrowed_fd(stop.unwrap_or(socket), watch(stop)),
        ];
        match poll(&mut fds[..count], timeout.as_ref()) {
            Ok(_) => {}
            // A reason to look, as any other.
            Err(Errno::INTR) => return Seen::default(),
            Err(errno) => return wait_blindly(errno, stop.is_some(), at_most),
        }
        let ending = !(fds[0].revents() - PollFlags::IN).is_empty();
        let [readable, died, stopped] = fds.map(|fd| !fd.revents().is_empty());
        Seen { readable, ending, died: died && pidfd.is_some(), stopped: stopped && stop.is_some() }
    }

    /// Takes what lies in the socket, up to a bound. Unless it may be `ending`, a read that leaves room has taken everything, and no other
    /// is made to hear so.
    pub(crate) fn take(&mut self, ending: bool) -> Result<(), Corrupt> {
        let mut buffer = [0; MESSAGE * MESSAGES_A_READ];
        for _ in 0..READS {
            // None is wanted: whatever comes with a bell is closed.
            match fdpass::try_recv_fds(&self.inbox, &mut buffer, 0) {
                Ok(received) => {
                    self.parse(&buffer[..received.len])?;
                    if !ending && received.len < buffer.len() {
                        return Ok(());
                    }
                }
                Err(fdpass::Error::WouldBlock) => return Ok(()),
                // JUDGE control: a bell carries no descriptors.
                Err(fdpass::Error::Surplus { .. }) => return Err(Corrupt::Descriptors),
                Err(error) => {
                    // The end, or ECONNRESET where the peer left bells unread.
                    let ended = matches!(error, fdpass::Error::EndOfFile)
                        || std::io::Error::from(error).kind() == ErrorKind::ConnectionReset;
                    if !ended {
                        self.shut_down();
                    }
                    self.hung_up = true;
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn parse(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        for &byte in bytes {
            self.incoming[self.filled] = byte;
            self.filled += 1;
            if self.filled == MESSAGE {
                self.filled = 0;
                self.accept_message()?;
            }
        }
        Ok(())
    }

    fn accept_message(&mut self) -> Result<(), Corrupt> {
        let field = |at: usize| u64::from_ne_bytes(self.incoming[at..at + 8].try_into().expect("eight bytes"));
        let (kind, tail, head) = (field(0), field(8), field(16));
        const CONTROL: u64 = Bell::Control as u64;
        match kind {
            CONTROL => self.control = Some(ControlMessage { write_position: tail, read_position: head }),
            kind if (Bell::Data as u64..=Bell::Finished as u64).contains(&kind) => {}
            // JUDGE control: no other kinds exist.
            kind => return Err(Corrupt::ControlKind { kind }),
        }
        Ok(())
    }

    /// The newest control message that was taken, once.
    pub(crate) fn take_control(&mut self) -> Option<ControlMessage> {
        self.control.take()
    }

    /// Tells the peer that nobody listens any more, whoever else may have copies of these sockets.
    pub(crate) fn hang_up(&self) {
        if let Some(outbox) = &self.outbox {
            let _ = rustix::net::shutdown(outbox, Shutdown::Both);
        }
        fdpass::hang_up(&self.inbox);
    }

    /// Whether the socket has ended.
    pub(crate) fn hung_up(&self) -> bool {
        self.hung_up
    }
}

/// A Unix stream socket whose other end has no name: a service has one, and would take bells for a message of this process.
pub(crate) fn check_end_of_pair(socket: impl AsFd) -> Result<(), Error> {
    match peer_address(socket)? {
        // An address without a name is its family, unix(7).
        Some(address) if address.addr_len() as usize != size_of::<AddressFamily>() => Err(Error::NotAUnixStream),
        _ => Ok(()),
    }
}

/// The name at the other end of a connected Unix stream socket, whatever type the descriptor was given as.
pub(crate) fn peer_address(stream: impl AsFd) -> Result<Option<SocketAddrAny>, Error> {
    let stream = stream.as_fd();
    let is_stream = sockopt::socket_domain(stream) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(stream) == Ok(SocketType::STREAM);
    if !is_stream {
        return Err(Error::NotAUnixStream);
    }
    rustix::net::getpeername(stream).map_err(|_| Error::NotAUnixStream)
}
