//! A victim and its survivor, connected, with the ring in the state that is wanted.

use ipc_queue::{Options, RecvError, Wait, XmitErrorKind};

use super::{
    VICTIM,
    acts::{Act, batch},
    ends::End,
    survivor::Survivor,
};
use crate::{
    progress::Progress,
    traced::{Still, Traced},
};

/// How the victim finds the ring, and its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Situation {
    /// There is room to send, there are elements to take.
    Ready,
    /// As above, and the survivor has announced that it sleeps.
    Asleep,
    /// There is no room to send, there is nothing to take.
    Starved,
}

/// One operation of one victim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Which end the victim is.
    pub end: End,
    /// Words of an element.
    pub words: usize,
    /// Of the rings.
    pub capacity: usize,
    /// What it is stopped in.
    pub act: Act,
    /// What it finds.
    pub situation: Situation,
}

/// The capacities of rings.
pub const CAPACITIES: [usize; 3] = [1, 4, 64];

impl Cell {
    /// Every cell there is.
    pub fn all() -> Vec<Self> {
        let mut cells = Vec::new();
        for act in Act::SENDING.into_iter().chain(Act::RECEIVING).chain(Act::ENDING) {
            for situation in [Situation::Ready, Situation::Asleep, Situation::Starved] {
                for end in End::ALL {
                    for words in super::SIZES {
                        let cell = |capacity| Self { end, words, capacity, act, situation };
                        cells.extend(CAPACITIES.map(cell).into_iter().filter(Self::makes_sense));
                    }
                }
            }
        }
        cells
    }

    fn makes_sense(&self) -> bool {
        let has_half = if self.act.sends() { self.end.sends() } else { self.end.receives() };
        // What ends a ring finds neither room nor elements wanting.
        let starved_end = self.situation == Situation::Starved && Act::ENDING.contains(&self.act);
        // Who is to sleep must have filled the ring.
        let endless = self.situation == Situation::Asleep && self.is_endless_when_full();
        has_half && !starved_end && !endless
    }

    /// One instruction a byte, for a whole ring.
    pub fn is_endless_when_full(&self) -> bool {
        self.act.takes_all() && self.capacity * self.words > 512
    }

    /// What leads there: the last one is the one that counts.
    fn acts(&self) -> Vec<Act> {
        match (self.situation, self.act) {
            (_, Act::Finish | Act::CloseSender) => vec![Act::Push, self.act],
            (_, Act::CloseReceiver) => vec![Act::Pop, self.act],
            (Situation::Starved, act) if act.sends() => vec![Act::Fill, act],
            (Situation::Starved, act) => vec![Act::PopAll, act],
            (_, act) => vec![act, act, act],
        }
    }
}

/// A victim that stands before the operation that counts, and its survivor.
#[derive(Debug)]
pub struct Scene<const WORDS: usize> {
    /// The victim.
    pub victim: Traced,
    /// The other end.
    pub survivor: Survivor<WORDS>,
}

impl<const WORDS: usize> Scene<WORDS> {
    /// Sets the scene.
    pub fn set(program: &str, cell: &Cell, progress: &Progress) -> Self {
        let acts = cell.acts();
        let mut scene = Self::start(program, cell, progress, "once", &acts);
        for _ in &acts[1..] {
            scene.prepare(cell, Situation::Ready);
            scene.victim.to_mark();
        }
        scene.prepare(cell, cell.situation);
        scene
    }

    /// Connected, and at the first mark; or running without a mark for ever.
    pub fn start(program: &str, cell: &Cell, progress: &Progress, times: &str, acts: &[Act]) -> Self {
        progress.reset();
        let (end, words) = (format!("{:?}", cell.end), WORDS.to_string());
        let (capacity, name) = (cell.capacity.to_string(), progress.name());
        let acts: Vec<String> = acts.iter().map(|act| format!("{act:?}")).collect();
        let mut args = vec![VICTIM, "act", &end, &words, &capacity, &name, times];
        args.extend(acts.iter().map(String::as_str));
        let (mut victim, stream) = Traced::start(program, &args);
        let options = Options::new().capacity(cell.capacity).wait(Wait::Sleep).force_membarrier();
        let survivor = Survivor::connect(cell.end.opposite(), stream, &options).expect("a victim that connects");
        victim.first_mark();
        Self { victim, survivor }
    }

    /// Gives the victim what it needs for an operation on that half, or keeps it.
    fn prepare(&mut self, cell: &Cell, situation: Situation) {
        let fills_ring = cell.situation == Situation::Starved && cell.act.sends();
        if let (Some(_), false) = (&self.survivor.halves.consumer, fills_ring) {
            assert_eq!(self.survivor.take_all(0), RecvError::Empty);
        }
        // One who was starved of elements at last takes those of before.
        if self.survivor.halves.producer.is_some() && situation != Situation::Starved {
            let most = if situation == Situation::Asleep { u64::MAX } else { batch::<WORDS>() as u64 };
            let filled = self.survivor.fill_up_to(most);
            assert!(matches!(filled, Ok(()) | Err(XmitErrorKind::Full)), "{filled:?}");
        }
        if situation == Situation::Asleep {
            assert!(self.survivor.fall_asleep(), "a full ring to send, an empty one to receive");
        }
    }

    /// One more instruction, or system call.
    pub fn advance(&mut self, by: By) -> Still {
        advance(&mut self.victim, by)
    }

    /// So many of them, unless the operation ends or sleeps before.
    pub fn reach(&mut self, by: By, point: usize) {
        reach(&mut self.victim, by, point);
    }
}

fn advance(victim: &mut Traced, by: By) -> Still {
    match by {
        By::Instruction => victim.step(),
        By::Call => victim.call(),
    }
}

/// Brings a victim that stands at a mark to a point behind it.
pub(super) fn reach(victim: &mut Traced, by: By, point: usize) {
    for _ in 0..point {
        match advance(victim, by) {
            Still::Step | Still::Call => {}
            Still::Mark | Still::Asleep => return,
            Still::Dead(code) => panic!("the victim ended with {code}"),
        }
    }
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// Instructions.
    Instruction,
    /// Entries into system calls and returns from them.
    Call,
}
