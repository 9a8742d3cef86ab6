//! The handshake over a socket: what `handshake.rs` asks for is done here, step by step and without waiting. Only the loop around
//! it waits.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

use crate::{
    Credentials, Error, Options, Reason, Refused, Role,
    barrier::{self, Barrier},
    connection::{About, Connection},
    doorbell::{self, Doorbell, check_end_of_pair, peer_address},
    frames::{
        Direction, FEATURE_MEMBARRIER, Frame, FrameHeader, HEADER, Hello, LONGEST_BODY, VERSION_MAX, VERSION_MIN,
    },
    guard::Guard,
    handshake::{Action, Handshake},
    layout::LAYOUT_VERSION,
    offer::Offer,
    segment::Segment,
};

/// How long the peer's next frame is looked for before this side sleeps.
const LOOKING: Duration = Duration::from_micros(200);
/// Descriptors that a Hello can carry.
const MOST_DESCRIPTORS: usize = 2;

/// A connection that is open, with what the halves are made from.
#[derive(Debug)]
pub(crate) struct Met {
    pub(crate) connection: Connection,
    pub(crate) barrier: Barrier,
    /// For the ring of the client, or the only one.
    pub(crate) first: Doorbell,
    /// For the ring of the server, where there are two.
    pub(crate) second: Option<Doorbell>,
    pub(crate) ours: Hello,
    pub(crate) theirs: Hello,
}

/// Does the handshake, waiting for the peer.
pub(crate) fn meet<T>(stream: UnixStream, role: Role, direction: Direction, options: &Options) -> Result<Met, Error> {
    // Before the clock runs: the first time it takes 10 to 20 ms in a process with threads.
    let membarrier = options.barrier() == Barrier::Membarrier && barrier::register();
    let mut meeting = Meeting::new::<T>(stream, role, direction, membarrier, options)?;
    let deadline = Instant::now().checked_add(options.handshake_timeout);
    match meeting.run(deadline, options.handshake_timeout) {
        Ok(()) => meeting.finish(),
        Err(error) => {
            meeting.hang_up();
            Err(error)
        }
    }
}

/// What a meeting waits for, if anything.
pub(crate) enum Step {
    Wait(PollFlags),
    Done,
}

/// One side's handshake, over its socket.
pub(crate) struct Meeting {
    stream: UnixStream,
    handshake: Handshake,
    ours: Hello,
    guard: Guard,
    peer_credentials: Credentials,
    /// The rest of a frame that is on its way out.
    outgoing: Vec<u8>,
    /// What goes with its first byte.
    attached: Vec<OwnedFd>,
    incoming: Vec<u8>,
    arrived: Strangers,
    /// Made before it is due where there was time.
    offer: Option<Offer>,
    /// Whether that was tried. What was in the way then may be out of it when it is due.
    tried: bool,
    peer: Option<Segment>,
    /// One end of the peer's pair, to ring there.
    outbox: Option<UnixStream>,
    pidfd: Option<OwnedFd>,
    /// Reported only if the peer has not said why.
    broken: Option<Error>,
}

impl Meeting {
    pub(crate) fn new<T>(
        stream: UnixStream,
        role: Role,
        direction: Direction,
        membarrier: bool,
        options: &Options,
    ) -> Result<Self, Error> {
        options.check_texts()?;
        // A consumer has no slots of its own.
        let slots = if direction == Direction::Consume { 0 } else { options.slot_count(size_of::<T>())? };
        peer_address(&stream)?;
        let guard = Guard::new()?;
        let peer_credentials = fdpass::peer_credentials(&stream).map_err(Error::io("asking who the peer is"))?;
        stream.set_nonblocking(true).map_err(Error::io("making the stream nonblocking"))?;
        fdpass::keep_out_of_band_inline(&stream);
        // Without it (before Linux 6.5) a death shows by the sockets alone.
        let _ = fdpass::set_pass_pidfd(&stream, true);
        let ours = Hello {
            version_min: VERSION_MIN,
            version_max: VERSION_MAX,
            features: if membarrier { FEATURE_MEMBARRIER } else { 0 },
            role: role as u8,
            direction: direction as u8,
            layout: LAYOUT_VERSION,
            element_align: align_of::<T>() as u32,
            element_size: size_of::<T>() as u64,
            slot_count: slots,
            start: options.start,
            schema: options.schema.clone(),
            name: options.name.clone(),
        };
        Ok(Self {
            handshake: Handshake::new(role, ours.clone(), options.max_segment),
            stream,
            ours,
            guard,
            peer_credentials,
            outgoing: Vec::new(),
            attached: Vec::new(),
            incoming: Vec::new(),
            arrived: Strangers(Vec::new()),
            offer: None,
            tried: false,
            peer: None,
            outbox: None,
            pidfd: None,
            broken: None,
        })
    }

    fn run(&mut self, deadline: Option<Instant>, after: Duration) -> Result<(), Error> {
        // A peer that is at it answers sooner than a sleeper wakes. Its Hello is looked for once, and what follows: who drips buys no more.
        let mut looked_for = None;
        let mut looks_until = Instant::now();
        loop {
            let knows_the_peer = Some(self.handshake.peer().is_some());
            match self.step()? {
                Step::Wait(_) if Instant::now() < looks_until => std::thread::yield_now(),
                Step::Wait(_) if looked_for != knows_the_peer => {
                    looked_for = knows_the_peer;
                    let until = Instant::now() + LOOKING;
                    looks_until = deadline.map_or(until, |deadline| deadline.min(until));
                }
                Step::Wait(interest) => self.wait(interest, deadline, after)?,
                Step::Done => return Ok(()),
            }
        }
    }

    /// What the peer has sent and nobody will read is given up without waiting for it.
    pub(crate) fn hang_up(&self) {
        let inbox = self.offer.as_ref().and_then(|offer| offer.inbox.as_ref());
        [Some(&self.stream), inbox].into_iter().flatten().for_each(fdpass::hang_up);
    }

    /// Goes on until it has to wait.
    pub(crate) fn step(&mut self) -> Result<Step, Error> {
        loop {
            if !self.outgoing.is_empty() && !self.send()? {
                return Ok(Step::Wait(PollFlags::OUT));
            }
            match self.handshake.action() {
                Action::Send(frame) if self.broken.is_none() => self.prepare(&frame)?,
                // Nobody hears us any more; but what the peer said before may be the reason.
                Action::Send(_) | Action::Receive => {
                    if !self.receive()? && !self.use_the_time() {
                        return Ok(Step::Wait(PollFlags::IN));
                    }
                }
                Action::Adopt => self.adopt(),
                Action::Open => return Ok(Step::Done),
                Action::Refuse(refused) => return Err(Error::Refused(refused)),
            }
        }
    }

    fn wait(&mut self, interest: PollFlags, deadline: Option<Instant>, after: Duration) -> Result<(), Error> {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            return Err(self.broken.take().unwrap_or(Error::TimedOut { after }));
        }
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        match poll(&mut [PollFd::new(&self.stream, interest)], timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            // A sandbox: reading the stream tells the same, only later.
            Err(_) => doorbell::nap(left),
        }
        Ok(())
    }

    /// Does one of the things that need not wait for the peer, while it is at it. `false`: nothing is left to do.
    fn use_the_time(&mut self) -> bool {
        match &mut self.offer {
            Some(offer) => offer.make_present(),
            None if !self.tried && Offer::is_small(&self.ours) => {
                self.tried = true;
                self.offer = Offer::make(&self.ours).ok();
                true
            }
            None => false,
        }
    }

    /// Lays a frame out for sending, a Hello with its descriptors.
    fn prepare(&mut self, frame: &Frame) -> Result<(), Error> {
        match frame {
            Frame::Hello(_) => self.attach()?,
            Frame::Accept => self.start(),
            Frame::Reject(_) => {}
        }
        self.outgoing = frame.encode();
        Ok(())
    }

    fn attach(&mut self) -> Result<(), Error> {
        match self.offer.take().map_or_else(|| Offer::make(&self.ours), Ok) {
            Ok(mut offer) => {
                self.attached = std::mem::take(&mut offer.fds);
                self.offer = Some(offer);
                Ok(())
            }
            Err(error) => {
                // A server's client is waiting for the answer.
                if self.handshake.peer().is_some() {
                    let _ = fdpass::try_send_fds(&self.stream, &trouble(&error).encode(), &[]);
                }
                Err(error)
            }
        }
    }

    fn start(&self) {
        if let (Some(offer), Some(theirs)) = (&self.offer, self.handshake.peer()) {
            offer.start(&self.ours, theirs);
        }
    }

    /// Sends what is laid out. `false`: the socket is full.
    fn send(&mut self) -> Result<bool, Error> {
        while !self.outgoing.is_empty() {
            let fds: Vec<_> = self.attached.iter().map(AsFd::as_fd).collect();
            match fdpass::try_send_fds(&self.stream, &self.outgoing, &fds) {
                Ok(sent) => {
                    self.outgoing.drain(..sent);
                    // Ours are closed as soon as they are sent, or a death of the peer would go unnoticed.
                    self.attached.clear();
                }
                // A peer that reads nothing, or is gone, is not told why.
                Err(_) if self.handshake.is_refusing() => break,
                Err(fdpass::Error::WouldBlock) => return Ok(false),
                Err(error) => match failed("sending to the peer", error) {
                    gone @ Error::Disconnected => {
                        self.outgoing.clear();
                        self.attached.clear();
                        self.broken = Some(gone);
                        return Ok(true);
                    }
                    // The peer is there and waits for what cannot be sent: the end of the stream tells it.
                    refused => return Err(refused),
                },
            }
        }
        self.outgoing.clear();
        self.handshake.sent();
        Ok(true)
    }

    /// Receives one frame, no byte more. `false`: it is not all there yet.
    fn receive(&mut self) -> Result<bool, Error> {
        loop {
            let header = match self.incoming.first_chunk::<HEADER>() {
                Some(header) => match FrameHeader::parse(header) {
                    Ok(header) => Some(header),
                    Err(refused) => return self.refused_input(refused),
                },
                None => None,
            };
            let due = HEADER + header.map_or(0, |header| header.length);
            if let Some(header) = header
                && self.incoming.len() == due
            {
                return self.accept_frame(header).map(|()| true);
            }
            match self.read(due - self.incoming.len()) {
                Ok(()) => {}
                Err(Unread::NotYet) => return Ok(false),
                Err(Unread::Refused(refused)) => return self.refused_input(refused),
                Err(Unread::Failed(error)) => return Err(error),
            }
        }
    }

    fn refused_input(&mut self, refused: Refused) -> Result<bool, Error> {
        self.incoming.clear();
        self.arrived.clear();
        if self.broken.is_some() {
            return Err(Error::Refused(refused));
        }
        self.handshake.refuse(refused);
        Ok(true)
    }

    fn accept_frame(&mut self, header: FrameHeader) -> Result<(), Error> {
        let frame = Frame::parse(header.kind, &self.incoming[HEADER..]);
        self.incoming.clear();
        // Nobody hears us any more. Of what the peer had said, only the reason is still of use; it could go on talking for ever.
        if let Some(broken) = self.broken.take_if(|_| !matches!(frame, Ok(Frame::Reject(_)))) {
            return Err(broken);
        }
        match frame {
            Ok(frame) => {
                self.handshake.received(frame, self.arrived.0.len());
            }
            Err(refused) => self.handshake.refuse(refused),
        }
        if self.handshake.action() != Action::Adopt {
            self.arrived.clear();
        }
        Ok(())
    }

    fn read(&mut self, length: usize) -> Result<(), Unread> {
        let mut buffer = [0; LONGEST_BODY];
        let length = length.min(buffer.len());
        let room = MOST_DESCRIPTORS - self.arrived.0.len();
        match fdpass::try_recv_fds(&self.stream, &mut buffer[..length], room) {
            Ok(received) => {
                self.incoming.extend(&buffer[..received.len]);
                self.arrived.0.extend(received.fds);
                // What a peer sent before this end was ready need not name its sender: then its next frame does.
                if self.pidfd.is_none() && received.pidfd.is_some() {
                    self.pidfd = received.pidfd;
                    let _ = fdpass::set_pass_pidfd(&self.stream, false);
                }
                Ok(())
            }
            Err(fdpass::Error::WouldBlock) => Err(Unread::NotYet),
            Err(fdpass::Error::Surplus { got, .. }) => {
                let got = self.arrived.0.len() + got;
                Err(Unread::Refused(Refused::new(Reason::DescriptorsSurplus, MOST_DESCRIPTORS as u64, got as u64)))
            }
            Err(fdpass::Error::Truncated { .. }) => {
                // The peer has sent them; this process has no room for them, which is how the kernel says it (recvmsg(2)).
                let errno = Errno::MFILE.raw_os_error();
                Err(Unread::Refused(Refused::new(Reason::Trouble, errno as u64, 0u64)))
            }
            Err(error) => {
                Err(Unread::Failed(self.broken.take().unwrap_or_else(|| failed("receiving from the peer", error))))
            }
        }
    }

    /// Judges and maps what came with the peer's Hello.
    fn adopt(&mut self) {
        match self.try_adopt() {
            Ok(()) => self.handshake.adopted(),
            Err(refused) => self.handshake.refuse(refused),
        }
        self.arrived.clear();
    }

    fn try_adopt(&mut self) -> Result<(), Refused> {
        let (Some(hello), Some(segment)) = (self.handshake.peer(), self.arrived.0.first()) else {
            return Err(Refused::new(Reason::DescriptorsMissing, 1u64, 0u64));
        };
        if let Some(outbox) = self.arrived.0.get(1) {
            check_end_of_pair(outbox).map_err(|_| Refused::new(Reason::Socket, 0u64, 0u64))?;
        }
        let peer = Segment::adopt(segment, hello.geometry())
            .map_err(|flaw| Refused::new(flaw.reason, flaw.here, flaw.there))?;
        self.outbox = self.arrived.0.drain(1..).next().map(UnixStream::from);
        self.peer = Some(peer);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Met, Error> {
        // Bells need no proof of who sent them.
        if self.pidfd.is_none() {
            let _ = fdpass::set_pass_pidfd(&self.stream, false);
        }
        let theirs = self.handshake.peer().cloned();
        let (Some(theirs), Some(mut offer), Some(peer)) = (theirs, self.offer, self.peer) else {
            return Err(Error::Disconnected);
        };
        offer.make_present();
        let both = self.ours.features & theirs.features & FEATURE_MEMBARRIER != 0;
        let barrier = if both { Barrier::Membarrier } else { Barrier::Fence };
        let about = About {
            name: self.ours.name.clone(),
            peer_name: theirs.name.clone(),
            peer_credentials: self.peer_credentials,
        };
        let connection = Connection::new(offer.segment, peer, self.guard, self.pidfd, about);
        let first = Doorbell::over(self.stream);
        let second = offer.inbox.zip(self.outbox).map(|(inbox, outbox)| Doorbell::between(inbox, outbox));
        Ok(Met { connection, barrier, first, second, ours: self.ours, theirs })
    }
}

/// Descriptors of the peer, not judged yet. Whatever is left of them is closed without waiting for anything.
struct Strangers(Vec<OwnedFd>);

impl Strangers {
    fn clear(&mut self) {
        fdpass::discard(self.0.drain(..));
    }
}

impl Drop for Strangers {
    fn drop(&mut self) {
        self.clear();
    }
}

/// What the peer is told of an error of this side's own.
fn trouble(error: &Error) -> Frame {
    let errno = match error {
        Error::Io { source, .. } => source.raw_os_error().unwrap_or(0),
        Error::Unsupported { .. } => Errno::NOSYS.raw_os_error(),
        _ => Errno::FBIG.raw_os_error(),
    };
    Frame::Reject(Refused::new(Reason::Trouble, errno as u64, 0u64))
}

enum Unread {
    NotYet,
    Refused(Refused),
    Failed(Error),
}

/// The peer closed the socket, or the system failed.
fn failed(doing: &'static str, error: fdpass::Error) -> Error {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    let error = std::io::Error::from(error);
    match error.kind() {
        BrokenPipe | ConnectionReset | UnexpectedEof => Error::Disconnected,
        _ => Error::io(doing)(error),
    }
}
