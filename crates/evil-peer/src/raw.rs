//! The hostile side of a connection: before it is open, and after.

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::atomic::{Ordering::SeqCst, fence},
};

use crate::{
    frames::{self, ACCEPT, DATA, HELLO, ROOM, bell},
    kind::Kind,
    offer::Offer,
    segment::{HEAD, ReadOnly, Segment, TAIL, WAKE_HEAD, WAKE_TAIL},
    wire::{self, Came, read_frame},
};

/// The hostile peer before anything was said.
#[derive(Debug)]
pub struct Evil {
    /// What it meets.
    pub kind: Kind,
    /// The socket.
    pub stream: UnixStream,
    /// Words of an element.
    pub words: usize,
}

/// How a piece is sent.
pub type SendWith = fn(&UnixStream, &[u8], &[OwnedFd]) -> bool;

impl Evil {
    /// What a correct peer says first.
    pub fn offer(&self) -> Offer {
        Offer::new(self.kind).of_words(self.words)
    }

    /// A handshake as it should be.
    pub fn open(self) -> Raw {
        let offer = self.offer();
        self.open_with(offer, wire::send)
    }

    /// A handshake with that offer, every frame sent in that way.
    pub fn open_with(self, offer: Offer, send: SendWith) -> Raw {
        let raw = self.meet(offer, send);
        assert!(send(&raw.stream, &frames::accept(), &[]), "the honest end hung up");
        raw
    }

    /// A handshake but for this side's Accept.
    pub fn meet(self, offer: Offer, send: SendWith) -> Raw {
        let hello = |stream: &UnixStream| {
            let came = read_frame(stream).expect("a Hello");
            assert_eq!(came.kind, HELLO);
            came
        };
        let mut came;
        if self.kind.is_client() {
            came = hello(&self.stream);
            assert!(send(&self.stream, &offer.bytes(), &offer.fds), "the honest end hung up");
        } else {
            assert!(send(&self.stream, &offer.bytes(), &offer.fds), "the honest end hung up");
            came = hello(&self.stream);
        }
        let accept = read_frame(&self.stream).expect("an Accept");
        assert_eq!((accept.kind, accept.body.len(), accept.fds.len()), (ACCEPT, 0, 0));
        Raw::new(self, offer, &mut came)
    }

    /// Reads the Hello of an end that speaks first.
    pub fn hear(&self) {
        if self.kind.is_client() {
            assert_eq!(read_frame(&self.stream).expect("a Hello").kind, HELLO);
        }
    }
}

/// The hostile side of a connection that is open.
#[derive(Debug)]
pub struct Raw {
    /// What it meets.
    pub kind: Kind,
    /// The socket of the client's ring.
    pub stream: UnixStream,
    /// To ring for the server's ring.
    pub second: Option<UnixStream>,
    /// Where the honest end rings for the server's ring.
    pub inbox: Option<UnixStream>,
    /// The very socket at which it does so.
    pub shared: Option<UnixStream>,
    /// This side's segment.
    pub segment: Segment,
    /// The descriptor of this side's segment.
    pub own: Option<OwnedFd>,
    /// The honest end's segment.
    pub theirs: OwnedFd,
    /// The same, mapped.
    pub seen: ReadOnly,
    /// Taken so far, as announced.
    pub head: u64,
    /// Published so far, as announced.
    pub tail: u64,
    /// It rings no bells of its own accord: they would come in between others.
    pub silent: bool,
}

impl Raw {
    fn new(evil: Evil, offer: Offer, came: &mut Came) -> Self {
        let Evil { kind, stream, .. } = evil;
        assert_eq!(came.fds.len() as u64, kind.descriptors_due());
        let Offer { hello, segment, inbox, shared, mut fds, .. } = offer;
        let own = fds.drain(..).next();
        let second = came.fds.drain(1..).next().map(UnixStream::from);
        let theirs = came.fds.pop().expect("a segment");
        let start = came.field(32);
        segment.set(HEAD, start);
        segment.set(WAKE_TAIL, start);
        let seen = ReadOnly::new(&theirs);
        Self {
            kind,
            stream,
            second,
            inbox,
            shared,
            segment,
            own,
            theirs,
            seen,
            head: start,
            tail: hello.start,
            silent: false,
        }
    }

    /// To ring for the ring that the honest end empties.
    pub fn to_consumer(&self) -> &UnixStream {
        match (self.kind, &self.second) {
            (Kind::DuplexClient, Some(second)) => second,
            _ => &self.stream,
        }
    }

    /// To ring for the ring that the honest end fills.
    pub fn to_producer(&self) -> &UnixStream {
        match (self.kind, &self.second) {
            (Kind::DuplexServer, Some(second)) => second,
            _ => &self.stream,
        }
    }

    /// Rings whether or not anybody asked; a socket that is full is left alone.
    pub fn ring(&self) {
        if self.kind.receives() {
            let _ = wire::try_send(self.to_consumer(), &bell(DATA, 0, 0));
        }
        if self.kind.sends() {
            let _ = wire::try_send(self.to_producer(), &bell(ROOM, 0, 0));
        }
    }

    /// Until a live word of the honest end has that value; `false` if it hangs up before.
    pub fn until(&self, word: usize, value: u64) -> bool {
        while self.seen.live(word) != value {
            if wire::is_over(&self.stream) {
                return false;
            }
            std::thread::yield_now();
        }
        true
    }

    /// Until the honest end hangs up.
    pub fn until_over(&self) {
        wire::until_over(&self.stream);
    }

    /// Takes what the honest end published and publishes what it has room for, with a bell if it asked for one. Each element is its
    /// own position, unless `fills` is false.
    pub fn serve_once(&mut self, fills: bool) {
        if self.kind.sends() {
            let tail = self.seen.live(TAIL);
            if tail != self.head {
                let from = std::mem::replace(&mut self.head, tail);
                self.segment.set(HEAD, tail);
                self.ring_if_asked(WAKE_HEAD, from, tail, self.to_producer(), ROOM);
            }
        }
        if self.kind.receives() {
            let tail = self.seen.live(HEAD).wrapping_add(self.segment.slots);
            if tail != self.tail {
                let from = std::mem::replace(&mut self.tail, tail);
                if fills {
                    self.segment.publish(from, tail.wrapping_sub(from));
                }
                self.segment.set(TAIL, tail);
                self.ring_if_asked(WAKE_TAIL, from, tail, self.to_consumer(), DATA);
            }
        }
    }

    fn ring_if_asked(&self, word: usize, from: u64, to: u64, socket: &UnixStream, kind: u64) {
        fence(SeqCst);
        let asked = self.seen.live(word);
        if !self.silent && asked.wrapping_sub(from).wrapping_sub(1) < to.wrapping_sub(from) {
            let _ = wire::try_send(socket, &bell(kind, 0, 0));
        }
    }

    /// Serves as a correct peer does, and does that in between, until the honest end hangs up.
    pub fn serve(mut self, mut between: impl FnMut(&mut Self, u64)) {
        let mut turn = 0;
        while turn % 64 != 0 || !wire::is_over(&self.stream) {
            between(&mut self, turn);
            self.serve_once(true);
            std::thread::yield_now();
            turn += 1;
        }
    }

    /// Serves as a correct peer does until the honest end hangs up.
    pub fn serve_well(self) {
        self.serve(|_, _| {});
    }
}
