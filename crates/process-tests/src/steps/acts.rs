//! What a victim does: one operation each.

use std::str::FromStr;

use ipc_queue::{RecvError, XmitErrorKind};

use super::ends::Halves;
use crate::{
    numbered::{assert_next, element},
    progress::{Progress, Word},
    traced::mark,
};

/// An operation on one of the two halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `push`.
    Push,
    /// `push_slice`.
    PushSlice,
    /// `reserve`, fill in place, `commit`.
    Commit,
    /// `reserve`, fill in place, and drop.
    Abort,
    /// `push_blocking`.
    PushBlocking,
    /// `push` until the ring is full.
    Fill,
    /// `finish`.
    Finish,
    /// The drop of the sending half.
    CloseSender,
    /// `pop`.
    Pop,
    /// `pop_into`.
    PopInto,
    /// `pop_slice`.
    PopSlice,
    /// `pop_all`.
    PopAll,
    /// `drain`.
    Drain,
    /// `peek`, copy out, `consume`.
    Peek,
    /// `pop_blocking`.
    PopBlocking,
    /// The drop of the receiving half.
    CloseReceiver,
}

impl Act {
    /// All that send, but for those that end it.
    pub const SENDING: [Self; 5] = [Self::Push, Self::PushSlice, Self::Commit, Self::Abort, Self::PushBlocking];
    /// All that receive, but for the one that ends it.
    pub const RECEIVING: [Self; 7] =
        [Self::Pop, Self::PopInto, Self::PopSlice, Self::PopAll, Self::Drain, Self::Peek, Self::PopBlocking];
    /// All that end something.
    pub const ENDING: [Self; 3] = [Self::Finish, Self::CloseSender, Self::CloseReceiver];

    /// Whether it is done with the sending half.
    pub fn sends(self) -> bool {
        Self::SENDING.contains(&self) || [Self::Fill, Self::Finish, Self::CloseSender].contains(&self)
    }

    /// Whether it takes a whole ring.
    pub fn takes_all(self) -> bool {
        [Self::PopAll, Self::Drain, Self::Peek].contains(&self)
    }

    /// Whether it waits.
    pub fn blocks(self) -> bool {
        [Self::PushBlocking, Self::PopBlocking].contains(&self)
    }
}

impl FromStr for Act {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let all = Self::SENDING.into_iter().chain(Self::RECEIVING).chain(Self::ENDING).chain([Self::Fill]);
        all.into_iter().find(|act| format!("{act:?}") == text).ok_or(())
    }
}

/// Bytes of a batch: enough that it is copied in one block.
const BATCH_BYTES: usize = 640;
/// The fewest elements of a batch, where the ring has room for them.
const SMALLEST_BATCH: usize = 2;

/// Who acts: the halves of a victim, and how far it has come.
#[derive(Debug)]
pub struct Actor<'a, const WORDS: usize> {
    /// What it acts on.
    pub halves: Halves<WORDS>,
    /// Where it writes how far it has come.
    pub progress: &'a Progress,
    /// The number of the next element sent and the number of the first.
    pub next: (u64, u64),
    /// The same for elements that are received.
    pub due: (u64, u64),
    /// Whether each operation comes behind a mark.
    pub marks: bool,
    /// Memory for batches that is there already, so that the operation itself allocates nothing.
    pub batch: Vec<[u64; WORDS]>,
}

impl<const WORDS: usize> Actor<'_, WORDS> {
    /// Does one operation, as far as it goes now. What it finds wrong is a panic.
    pub fn act(&mut self, act: Act) {
        match act {
            Act::Finish => {
                self.progress.set(Word::Finishing, 1);
                self.inside(|actor| actor.producer().finish()).expect("a peer that is there");
                self.progress.set(Word::Finishing, 2);
            }
            Act::CloseSender => {
                self.progress.set(Word::ClosingSender, 1);
                self.inside(|actor| actor.halves.producer = None);
            }
            Act::CloseReceiver => {
                self.progress.set(Word::ClosingReceiver, 1);
                self.inside(|actor| actor.halves.consumer = None);
            }
            Act::Fill => self.fill(),
            act if act.sends() => drop(self.send(act)),
            act => self.receive(act),
        }
    }

    /// One operation to those who count marks.
    fn fill(&mut self) {
        let marks = std::mem::replace(&mut self.marks, false);
        if marks {
            mark();
        }
        while self.send(Act::Push) != 0 {}
        self.marks = marks;
    }

    /// Sends and receives until the other end has finished: what comes after it was stopped and let go.
    pub fn rest(&mut self, elements: u64) {
        if self.halves.producer.is_some() && self.progress.get(Word::Finishing) == 0 {
            for _ in 0..elements {
                self.send(Act::PushBlocking);
            }
            self.act(Act::Finish);
        }
        while self.halves.consumer.is_some() {
            self.progress.set(Word::TakingUpTo, self.due.0 - self.due.1 + 1);
            match self.consumer().pop_blocking() {
                Ok(element) => self.took(&[element]),
                Err(RecvError::Finished | RecvError::Disconnected) => return,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Tells where the operation itself begins and ends.
    fn inside<R>(&mut self, operation: impl FnOnce(&mut Self) -> R) -> R {
        if self.marks {
            mark();
        }
        self.progress.set(Word::Inside, 1);
        let result = operation(self);
        self.progress.set(Word::Inside, 0);
        result
    }

    fn producer(&mut self) -> &mut ipc_queue::Producer<[u64; WORDS]> {
        self.halves.producer.as_mut().expect("a sending half")
    }

    fn consumer(&mut self) -> &mut ipc_queue::Consumer<[u64; WORDS]> {
        self.halves.consumer.as_mut().expect("a receiving half")
    }

    fn send(&mut self, act: Act) -> u64 {
        let batch = batch::<WORDS>().min(self.producer().capacity());
        let n = if matches!(act, Act::PushSlice | Act::Commit | Act::Abort) { batch } else { 1 };
        let next = self.next.0;
        self.batch.clear();
        self.batch.extend((next..).take(n).map(element::<WORDS>));
        self.progress.set(Word::SendingUpTo, next - self.next.1 + n as u64);
        let sent = self.inside(|actor| actor.try_send(act));
        self.next.0 += sent;
        self.progress.set(Word::Sent, self.next.0 - self.next.1);
        sent
    }

    fn try_send(&mut self, act: Act) -> u64 {
        let producer = self.halves.producer.as_mut().expect("a sending half");
        let sent = match act {
            Act::PushSlice => producer.push_slice(&self.batch).map_err(|error| error.kind),
            Act::Commit | Act::Abort => match producer.reserve(self.batch.len()) {
                Ok(mut reservation) => {
                    reservation.iter_mut().zip(&self.batch).for_each(|(slot, element)| *slot = *element);
                    let n = if act == Act::Commit { reservation.len() } else { 0 };
                    if act == Act::Commit {
                        reservation.commit(n);
                    }
                    Ok(n)
                }
                Err(error) => Err(error.kind),
            },
            Act::PushBlocking => producer.push_blocking(self.batch[0]).map(|()| 1).map_err(|error| error.kind),
            _ => producer.push(self.batch[0]).map(|()| 1).map_err(|error| error.kind),
        };
        match sent {
            Ok(n) => n as u64,
            Err(XmitErrorKind::Full | XmitErrorKind::Disconnected) => 0,
            Err(kind) => panic!("{kind}"),
        }
    }

    fn receive(&mut self, act: Act) {
        let n = match act {
            Act::PopSlice => batch::<WORDS>(),
            act if act.takes_all() => self.consumer().capacity(),
            _ => 1,
        };
        self.progress.set(Word::TakingUpTo, self.due.0 - self.due.1 + n as u64);
        self.batch.clear();
        let mut batch = std::mem::take(&mut self.batch);
        match self.inside(|actor| actor.try_receive(act, &mut batch)) {
            Ok(()) => self.took(&batch),
            Err(RecvError::Empty | RecvError::Disconnected | RecvError::Finished) => self.took(&[]),
            Err(error) => panic!("{error}"),
        }
        self.batch = batch;
    }

    fn try_receive(&mut self, act: Act, batch: &mut Vec<[u64; WORDS]>) -> Result<(), RecvError> {
        let consumer = self.consumer();
        match act {
            Act::PopInto => {
                let mut element = [0; WORDS];
                consumer.pop_into(&mut element)?;
                batch.push(element);
            }
            Act::PopSlice => {
                batch.resize(self::batch::<WORDS>(), [0; WORDS]);
                let n = consumer.pop_slice(batch).inspect_err(|_| batch.clear())?;
                batch.truncate(n);
            }
            Act::PopAll => drop(consumer.pop_all(batch)?),
            Act::Drain => batch.extend(consumer.drain()?),
            Act::Peek => {
                let peek = consumer.peek()?;
                let n = peek.len();
                batch.extend((0..n).filter_map(|index| peek.get(index)));
                peek.consume(n);
            }
            Act::PopBlocking => batch.push(consumer.pop_blocking()?),
            _ => batch.push(consumer.pop()?),
        }
        Ok(())
    }

    fn took(&mut self, elements: &[[u64; WORDS]]) {
        self.due.0 = assert_next(self.due.0, elements);
        self.progress.set(Word::Taken, self.due.0 - self.due.1);
    }
}

/// How many elements a batch has.
pub(super) fn batch<const WORDS: usize>() -> usize {
    (BATCH_BYTES / (8 * WORDS)).max(SMALLEST_BATCH)
}
