//! What the two halves of one side share: the mappings, the word that guards them, and who the peer is.

use std::{
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use rustix::net::Shutdown;

use crate::{
    Corrupt,
    guard::{Guard, GuardWord, State},
    layout::Word,
    ring::Memory,
    segment::{LivePage, Segment},
    sync::AtomicU64,
};

#[derive(Debug)]
pub(crate) struct Connection {
    /// Both are there until the drop.
    own: Option<Segment>,
    peer: Option<Segment>,
    guard: Guard,
    corrupt: OnceLock<Corrupt>,
    pidfd: Option<OwnedFd>,
    /// What the halves sleep on, while they are there.
    inboxes: Mutex<Vec<Weak<UnixStream>>>,
    pub(crate) about: About,
}

/// What does not change while a connection lives.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) name: String,
    pub(crate) peer_name: String,
    pub(crate) peer_credentials: fdpass::Credentials,
}

impl Connection {
    pub(crate) fn new(own: Segment, peer: Segment, guard: Guard, pidfd: Option<OwnedFd>, about: About) -> Self {
        let (corrupt, inboxes) = (OnceLock::new(), Mutex::new(Vec::new()));
        Self { own: Some(own), peer: Some(peer), guard, corrupt, pidfd, inboxes, about }
    }

    /// A half will sleep on this.
    pub(crate) fn wakes(&self, inbox: Weak<UnixStream>) {
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).push(inbox);
    }

    pub(crate) fn own(&self) -> &Segment {
        self.own.as_ref().expect("there until the drop")
    }

    pub(crate) fn peer(&self) -> &Segment {
        self.peer.as_ref().expect("there until the drop")
    }

    pub(crate) fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    pub(crate) fn state(&self) -> State {
        self.guard.state()
    }

    /// Gives the connection up for both halves. The first rule that was broken stays.
    pub(crate) fn give_up(&self, corrupt: Corrupt) -> Corrupt {
        let first = *self.corrupt.get_or_init(|| corrupt);
        if self.guard.give_up() {
            // The other half may be asleep, and nothing would tell it.
            let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
            for inbox in inboxes.iter().filter_map(Weak::upgrade) {
                let _ = rustix::net::shutdown(&*inbox, Shutdown::Both);
            }
        }
        first
    }

    /// The first rule that was broken, when the guard says that one was. The other half has stored it before it told the guard.
    pub(crate) fn broken_rule(&self) -> Corrupt {
        *self.corrupt.wait()
    }

    #[cfg(feature = "testing")]
    pub(crate) fn corrupt(&self) -> Option<Corrupt> {
        self.corrupt.get().copied()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // A forked child does not have the segments' mappings (MADV_DONTFORK); by now something else may lie there.
        if self.guard.state() == State::Forked {
            [self.own.take(), self.peer.take()].into_iter().flatten().for_each(Segment::abandon);
        }
    }
}

/// The words of both sides, for one half. Keeps the mappings (L1, G1).
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    own: LivePage,
    peer: LivePage,
    guard: GuardWord,
    connection: Arc<Connection>,
}

impl Shared {
    pub(crate) fn new(connection: Arc<Connection>) -> Self {
        let (own, peer) = (connection.own().live(), connection.peer().live());
        Self { own, peer, guard: connection.guard.word(), connection }
    }

    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// The page that this side writes.
    pub(crate) fn own_page(&self) -> &LivePage {
        &self.own
    }

    /// Neither given up nor inherited by a fork.
    #[inline(always)]
    pub(crate) fn is_whole(&self) -> bool {
        self.guard.is_whole()
    }
}

impl Memory for Shared {
    #[inline(always)]
    fn own(&self, word: Word) -> &AtomicU64 {
        self.own.word(word)
    }

    #[inline(always)]
    fn peer(&self, word: Word) -> &AtomicU64 {
        self.peer.word(word)
    }
}
