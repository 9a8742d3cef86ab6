//! A victim that acts for ever, one instruction at a time, and is looked at while it stands still.

use super::{
    acts::{Act, batch},
    ends::End,
    for_size,
    scene::{Cell, Scene, Situation},
};
use crate::{
    progress::{Progress, Word},
    storm::random::Random,
    traced::Still,
};

/// What was looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    /// How often.
    pub checks: u64,
    /// Instructions of the victims.
    pub steps: u64,
    /// Elements that arrived, at either end.
    pub elements: u64,
    /// How often a victim was found asleep.
    pub asleep: u64,
}

/// Looks at a victim of that end, size and capacity until it was looked at so often, at every instruction or every few.
pub fn look(program: &str, end: End, words: usize, capacity: usize, checks: u64, random: &mut Random) -> Looked {
    for_size!(words, look_of, program, end, capacity, checks, random)
}

/// Instructions between two looks: more where elements are copied in one block, an instruction a byte.
fn stride<const WORDS: usize>(random: &mut Random) -> u64 {
    1 + random.below(if WORDS > 64 { 15 } else { 3 })
}

fn look_of<const WORDS: usize>(program: &str, end: End, capacity: usize, checks: u64, random: &mut Random) -> Looked {
    let acts: Vec<Act> = Act::RECEIVING
        .into_iter()
        .zip(Act::SENDING.into_iter().cycle())
        .flat_map(|(receive, send)| [send, receive])
        .filter(|act| if act.sends() { end.sends() } else { end.receives() })
        .collect();
    let cell = Cell { end, words: WORDS, capacity, act: acts[0], situation: Situation::Ready };
    let progress = Progress::create();
    let mut scene = Scene::<WORDS>::start(program, &cell, &progress, "forever", &acts);
    let mut looked = Looked::default();
    while looked.checks < checks {
        // Now and then it is left alone until its ring is full or empty.
        let alone = if random.below(100) == 0 { random.below(1500) } else { 0 };
        let still = steps(&mut scene, &progress, alone + stride::<WORDS>(random), &mut looked);
        scene.survivor.wake();
        // A whole ring now and then, where to take it is not many steps always.
        let most = if capacity * WORDS <= 64 || random.below(100) == 0 { u64::MAX } else { batch::<WORDS>() as u64 };
        scene.survivor.judge(&progress, random.below(5) as usize, most);
        looked.checks += 1;
        if still == Still::Asleep {
            looked.asleep += 1;
            scene.victim.woken();
        } else if random.below(30) == 0 {
            scene.survivor.fall_asleep();
        }
    }
    looked.elements = scene.survivor.received + scene.survivor.sent;
    looked
}

/// So many instructions inside of operations: what lies between them runs by.
fn steps<const WORDS: usize>(scene: &mut Scene<WORDS>, progress: &Progress, n: u64, looked: &mut Looked) -> Still {
    for _ in 0..n {
        if progress.get(Word::Inside) == 0 {
            scene.victim.to_mark();
            // The return from the mark, and the word that tells.
            while progress.get(Word::Inside) == 0 {
                scene.victim.step();
            }
        }
        looked.steps += 1;
        match scene.victim.step() {
            Still::Step => {}
            Still::Asleep => return Still::Asleep,
            other => panic!("{other:?} of a victim that acts for ever"),
        }
    }
    Still::Step
}
