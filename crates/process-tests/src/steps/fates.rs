//! A victim is brought to one point of one operation, and there it meets its fate.

use std::sync::mpsc;

use ipc_queue::{RecvError, XmitErrorKind};
use nix::unistd::gettid;

use super::{
    acts::Act,
    for_size,
    scene::{By, Cell, Scene, Situation},
    survivor::Survivor,
    victim::REST,
};
use crate::{
    numbered::element,
    progress::{Progress, Word},
    traced::{Still, Traced, sleeps},
};

/// What happens to the victim where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// SIGKILL.
    Killed,
    /// SIGSTOP, and after a while SIGCONT.
    Stopped,
    /// It goes on, after what it waits for has come, or its peer has gone to sleep, there or before.
    Overtaken,
}

impl Fate {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Killed, Self::Stopped, Self::Overtaken];

    /// Whether it says anything about that cell.
    pub fn fits(self, cell: &Cell) -> bool {
        match (self, cell.situation) {
            (Self::Overtaken, Situation::Starved) => cell.act.blocks(),
            (Self::Overtaken, _) => cell.act != Act::Abort && !cell.is_endless_when_full(),
            _ => true,
        }
    }
}

/// The same instruction many times over is a copy in one block: the first, the second, one in the midst and the last stand for it.
const REPEATED: usize = 4;

/// Steps to the next mark, whatever comes before it: where the operation is done.
const DONE: usize = usize::MAX;

/// The points at which it is worth to stop: how many steps from the mark before the operation.
pub fn points(program: &str, cell: &Cell, progress: &Progress, by: By) -> Vec<usize> {
    for_size!(cell.words, points_of, program, cell, progress, by)
}

fn points_of<const WORDS: usize>(program: &str, cell: &Cell, progress: &Progress, by: By) -> Vec<usize> {
    let mut scene = Scene::<WORDS>::set(program, cell, progress);
    let mut places: Vec<(u64, Vec<usize>)> = Vec::new();
    for step in 0.. {
        if progress.get(Word::Inside) != 0 {
            // One place is one instruction, or one system call's door.
            let place = if by == By::Call { step as u64 } else { scene.victim.instruction() };
            match places.last_mut() {
                Some((last, steps)) if *last == place => steps.push(step),
                _ => places.push((place, vec![step])),
            }
        } else if !places.is_empty() {
            places.push((0, vec![DONE]));
            break;
        }
        match scene.advance(by) {
            Still::Step | Still::Call => {}
            Still::Mark => {
                places.push((0, vec![DONE]));
                break;
            }
            Still::Asleep => {
                places.push((0, vec![step + 1]));
                break;
            }
            Still::Dead(code) => panic!("{cell:?}: the victim ended with {code}"),
        }
    }
    places.into_iter().flat_map(|(_, steps)| thinned(&steps)).collect()
}

fn thinned(steps: &[usize]) -> Vec<usize> {
    if steps.len() <= REPEATED {
        return steps.to_vec();
    }
    [0, 1, steps.len() / 2, steps.len() - 1].map(|index| steps[index]).to_vec()
}

/// Brings a new victim to that point and judges its fate there. `way` chooses among ways to look.
pub fn meet(program: &str, cell: &Cell, progress: &Progress, by: By, point: usize, fate: Fate, way: usize) {
    for_size!(cell.words, meet_of, program, cell, progress, by, point, fate, way)
}

fn meet_of<const WORDS: usize>(
    program: &str,
    cell: &Cell,
    progress: &Progress,
    by: By,
    point: usize,
    fate: Fate,
    way: usize,
) {
    let mut scene = Scene::<WORDS>::set(program, cell, progress);
    if fate == Fate::Overtaken && cell.situation != Situation::Starved {
        return publish_to_a_sleeper(&mut scene, cell, by, point);
    }
    scene.reach(by, point);
    match fate {
        Fate::Killed => {
            scene.victim.kill();
            scene.survivor.judge_death(progress, way);
        }
        Fate::Stopped => {
            scene.victim.stop();
            scene.survivor.judge_stopped(progress);
            scene.victim.go_on();
            scene.survivor.see_the_rest(progress, REST);
            assert_eq!(scene.victim.end(), 0, "the victim found nothing wrong");
            if scene.survivor.halves.producer.is_some() && progress.get(Word::ClosingReceiver) == 0 {
                assert_eq!(progress.get(Word::Taken), scene.survivor.sent, "taken, and sent");
            }
        }
        Fate::Overtaken => {
            scene.survivor.give_one(cell.act.sends());
            scene.victim.to_mark();
            let (done, begun) = if cell.act.sends() {
                (progress.get(Word::Sent), progress.get(Word::SendingUpTo))
            } else {
                (progress.get(Word::Taken), progress.get(Word::TakingUpTo))
            };
            assert_eq!(done, begun, "what it waited for has come");
        }
    }
}

/// The survivor sleeps, really, before the victim begins the operation that is to wake it, or goes to sleep when the victim is in the
/// midst of it.
fn publish_to_a_sleeper<const WORDS: usize>(scene: &mut Scene<WORDS>, cell: &Cell, by: By, point: usize) {
    let Scene { victim, survivor } = scene;
    if !cell.act.sends() {
        assert_eq!(survivor.fill(), XmitErrorKind::Full, "no room, or there is nothing to wait for");
    }
    if cell.situation == Situation::Ready {
        super::scene::reach(victim, by, point);
    }
    let (tell, sleeper) = mpsc::channel();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            tell.send(gettid()).expect("one who listens");
            survivor.wait_for_one(cell.act);
        });
        let sleeper = sleeper.recv().expect("the id of the sleeper");
        // Where the operation has had its effect there is nothing to sleep for.
        while !waiting.is_finished() && !sleeps(sleeper) {
            std::thread::yield_now();
        }
        if cell.situation == Situation::Asleep {
            super::scene::reach(victim, by, point);
        }
        if victim.is_at_rest() {
            victim.to_mark();
        }
        waiting.join().expect("a survivor that wakes");
    });
}

/// Interrupts the sleep of a victim by signals, so many times, and then gives it what it waits for.
pub fn interrupt_sleeper(program: &str, cell: &Cell, times: usize) {
    for_size!(cell.words, interrupt_sleeper_of, program, cell, times)
}

fn interrupt_sleeper_of<const WORDS: usize>(program: &str, cell: &Cell, times: usize) {
    let progress = Progress::create();
    let mut scene = Scene::<WORDS>::set(program, cell, &progress);
    let until_asleep = |victim: &mut Traced| while victim.call() != Still::Asleep {};
    until_asleep(&mut scene.victim);
    for _ in 0..times {
        scene.victim.disturb();
        until_asleep(&mut scene.victim);
    }
    scene.survivor.give_one(cell.act.sends());
    scene.victim.to_mark();
    let done = progress.get(if cell.act.sends() { Word::Sent } else { Word::Taken });
    let begun = progress.get(if cell.act.sends() { Word::SendingUpTo } else { Word::TakingUpTo });
    assert_eq!(done, begun, "what it waited for has come, and nothing else ended its sleep");
}

impl<const WORDS: usize> Survivor<WORDS> {
    /// What a blocked victim waits for: room, or an element.
    fn give_one(&mut self, room: bool) {
        if room {
            let consumer = self.halves.consumer.as_mut().expect("a receiving half");
            let element = consumer.pop().expect("a full ring");
            self.note(&[element]);
        } else {
            let number = self.next_number();
            self.producer().push(element(number)).expect("an empty ring");
            self.sent += 1;
        }
    }

    /// Waits for what that operation of the victim gives or ends.
    fn wait_for_one(&mut self, act: Act) {
        if act.sends() {
            match (act, self.halves.consumer.as_mut().expect("a receiving half").pop_blocking()) {
                (Act::Finish, Err(RecvError::Finished)) | (Act::CloseSender, Err(RecvError::Disconnected)) => {}
                (_, Ok(element)) => self.note(&[element]),
                (_, Err(end)) => panic!("{end} instead of an element"),
            }
            return;
        }
        let number = self.next_number();
        match (act, self.producer().push_blocking(element(number)).map_err(|error| error.kind)) {
            (Act::CloseReceiver, Err(XmitErrorKind::Disconnected)) => {}
            (_, Ok(())) => self.sent += 1,
            (_, Err(end)) => panic!("{end} instead of room"),
        }
    }
}
