//! Both directions in one value, and its two halves.

use std::os::{
    fd::{AsFd, BorrowedFd},
    unix::net::UnixStream,
};

use ipc_queue::{Consumer, Producer};

use crate::{
    Credentials, Element, Error, Options, Role, Stats, XmitError,
    methods::{impl_half, impl_recv, impl_xmit},
};

/// Two-way communication with another process: what this side transmits the peer receives, and the other way round.
///
/// `Send`, and used from one thread at a time; [`split`](Self::split) gives each direction to a thread of its own.
#[derive(Debug)]
pub struct Interface<T> {
    pub(crate) xmit: XmitHalf<T>,
    pub(crate) recv: RecvHalf<T>,
    role: Role,
}

/// The transmitting half of an [`Interface`]. Dropping it tells the peer that this side is gone, for this direction.
#[derive(Debug)]
pub struct XmitHalf<T> {
    pub(crate) producer: Producer<T>,
    role: Role,
}

/// The receiving half of an [`Interface`]. Dropping it tells the peer that nobody receives any more.
#[derive(Debug)]
pub struct RecvHalf<T> {
    pub(crate) consumer: Consumer<T>,
}

impl_xmit!(Interface, xmit.producer);
impl_recv!(Interface, recv.consumer);
impl_xmit!(XmitHalf, producer);
impl_recv!(RecvHalf, consumer);
impl_half!(XmitHalf, producer, "free slot");
impl_half!(RecvHalf, consumer, "element");

impl<T> Interface<T> {
    /// **Waits until the peer has answered**, at the other end of `stream`, with the other role: at most 30 s.
    ///
    /// `name` is for people and tools; `cap` is how many elements the outgoing ring holds, rounded up to a power of two. `stream`
    /// must not have been used before and belongs to the interface from then on. The role 0 is the client, any other number the
    /// server.
    ///
    /// # Errors
    ///
    /// See [`Error`]. Nothing is left behind.
    pub fn new(name: &str, cap: usize, stream: UnixStream, role: impl Into<Role>) -> Result<Self, Error>
    where
        T: Element,
    {
        Self::with_options(stream, role, &Options::new().name(name).capacity(cap))
    }

    /// As [`new`](Self::new), with every setting. Waits for the peer up to
    /// [`handshake_timeout`](Options::handshake_timeout).
    ///
    /// # Errors
    ///
    /// See [`Error`]. Nothing is left behind.
    pub fn with_options(stream: UnixStream, role: impl Into<Role>, options: &Options) -> Result<Self, Error>
    where
        T: Element,
    {
        let role = role.into();
        let (producer, consumer) = ipc_queue::duplex(stream, role, options)?;
        Ok(Self { xmit: XmitHalf { producer, role }, recv: RecvHalf { consumer }, role })
    }

    /// Both ends in this process, client and server, for two threads or for a test.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn pair(options: &Options) -> Result<(Self, Self), Error>
    where
        T: Element,
    {
        let (client, server) =
            UnixStream::pair().map_err(|source| Error::Io { doing: "making a pair of sockets", source })?;
        std::thread::scope(|scope| {
            let server = std::thread::Builder::new()
                .spawn_scoped(scope, || Self::with_options(server, Role::Server, options))
                .map_err(|source| Error::Io { doing: "starting a thread", source })?;
            let client = Self::with_options(client, Role::Client, options)?;
            match server.join() {
                Ok(server) => Ok((client, server?)),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// One half for each direction, to be used from two threads.
    pub fn split(self) -> (XmitHalf<T>, RecvHalf<T>) {
        (self.xmit, self.recv)
    }

    /// Puts two halves of one interface together again.
    ///
    /// # Errors
    ///
    /// The halves, if they are not of one interface.
    #[allow(clippy::result_large_err, reason = "the error is the two halves, given back as they were")]
    pub fn reunite(xmit: XmitHalf<T>, recv: RecvHalf<T>) -> Result<Self, (XmitHalf<T>, RecvHalf<T>)> {
        if xmit.producer.is_other_half_of(&recv.consumer) {
            let role = xmit.role;
            Ok(Self { xmit, recv, role })
        } else {
            Err((xmit, recv))
        }
    }

    /// The two halves, lent: for an event loop that wants to `arm` and `disarm` them.
    pub fn halves(&mut self) -> (&mut XmitHalf<T>, &mut RecvHalf<T>) {
        (&mut self.xmit, &mut self.recv)
    }

    /// The descriptor that is readable when there may be room again, after [`XmitHalf::arm`].
    pub fn xmit_fd(&self) -> BorrowedFd<'_> {
        self.xmit.as_fd()
    }

    /// The descriptor that is readable when there may be something to receive, after [`RecvHalf::arm`].
    pub fn recv_fd(&self) -> BorrowedFd<'_> {
        self.recv.as_fd()
    }

    /// The process that did the handshake, where the kernel tells (Linux 6.5): readable when it is dead.
    pub fn peer_pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.recv.peer_pidfd()
    }

    /// Whether the peer is there, in both directions, as far as can be known now. A few system calls.
    pub fn is_connected(&mut self) -> bool {
        self.xmit.is_connected() && self.recv.is_connected()
    }

    /// This side's name.
    pub fn name(&self) -> &str {
        self.xmit.name()
    }

    /// The peer's name, as it says.
    pub fn peer_name(&self) -> &str {
        self.xmit.peer_name()
    }

    /// Which end this is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How many elements the outgoing ring holds.
    pub fn capacity(&self) -> usize {
        self.xmit.capacity()
    }

    /// How many elements the incoming ring holds: the peer's choice.
    pub fn peer_capacity(&self) -> usize {
        self.recv.capacity()
    }

    /// Who was at the other end of the stream when it was connected, unix(7).
    pub fn peer_credentials(&self) -> Credentials {
        self.xmit.peer_credentials()
    }

    /// Counters since the connection was made: of transmitting, and of receiving.
    pub fn stats(&self) -> (Stats, Stats) {
        (self.xmit.stats(), self.recv.stats())
    }
}

impl<T: Element> Interface<T> {
    /// Tells the peer this side's current write and read positions.
    ///
    /// # Errors
    ///
    /// Full while the peer reads none of them, or an end.
    pub fn send_ctrl_msg(&mut self) -> Result<(), XmitError<()>> {
        self.xmit.producer.send_control()
    }
}
