//! What the hostile peer says and sends first: correct, until a case changes it.

use std::os::{fd::OwnedFd, unix::net::UnixStream};

use crate::{
    frames::{HELLO, Hello, ORDER, VERSION, accept},
    kind::Kind,
    segment::{BARE, SLOTS, Segment, TAIL, WAKE_HEAD},
    wire,
};

/// A Hello with everything that belongs to it.
#[derive(Debug)]
pub struct Offer {
    /// The honest end that it is for.
    pub kind: Kind,
    /// What it says.
    pub hello: Hello,
    /// What goes with it.
    pub fds: Vec<OwnedFd>,
    /// Sent in the Hello's place.
    pub instead: Option<Vec<u8>>,
    /// Sent right behind it.
    pub behind: Vec<u8>,
    /// The mapping behind the first descriptor, as it was made at first.
    pub segment: Segment,
    /// Where the honest end rings for the second ring.
    pub inbox: Option<UnixStream>,
    /// A copy of the other end of it, that the honest end gets.
    pub shared: Option<UnixStream>,
}

impl Offer {
    /// A correct peer of that end.
    pub fn new(kind: Kind) -> Self {
        let (segment, fd) = Segment::new(kind.peer_size());
        let mut fds = vec![fd];
        let (mut inbox, mut shared) = (None, None);
        if kind.descriptors_due() == 2 {
            let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
            shared = Some(theirs.try_clone().expect("a copy of a socket"));
            inbox = Some(ours);
            fds.push(theirs.into());
        }
        let hello = Hello {
            magic: *b"mnpf",
            order: ORDER,
            kind: HELLO,
            version: VERSION,
            length: None,
            version_min: VERSION,
            version_max: VERSION,
            features: 0,
            role: u8::from(kind.is_client()),
            direction: [0, 2, 1][kind.direction() as usize],
            layout: 1,
            align: 8,
            size: 8,
            slots: if kind.receives() { SLOTS } else { 0 },
            start: 0,
            padding: [0; 6],
            schema: Vec::new(),
            name: b"raw".to_vec(),
            lengths: None,
        };
        Self { kind, hello, fds, instead: None, behind: Vec::new(), segment, inbox, shared }
    }

    /// Its elements have as many words.
    pub fn of_words(mut self, words: usize) -> Self {
        if words != 1 && self.kind.receives() {
            (self.segment, self.fds[0]) = Segment::new(BARE + SLOTS * 8 * words as u64);
        }
        self.segment.words = words;
        self.hello.size = 8 * words as u64;
        self
    }

    /// Both positions of its own ring begin there.
    pub fn start_at(&mut self, start: u64) {
        self.hello.start = start;
        self.segment.set(TAIL, start);
        self.segment.set(WAKE_HEAD, start);
    }

    /// What is sent first.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.instead.clone().unwrap_or_else(|| self.hello.bytes());
        bytes.extend(&self.behind);
        bytes
    }

    /// Sends it at once.
    pub fn send(&self, socket: &UnixStream) -> bool {
        wire::send(socket, &self.bytes(), &self.fds)
    }

    /// Has an Accept follow in the same write.
    pub fn accept_at_once(&mut self) {
        self.behind.extend(accept());
    }
}
