//! The least that there can be: a message in a line of its own each way, and nothing else. It has no ring, only the
//! message that is there.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::*},
};

use crate::system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words};

pub struct Atomics;

impl System for Atomics {
    const NAME: &'static str = "two atomics";
    const ABILITIES: Abilities =
        Abilities { blocks: false, batches: false, lends: false, notices_death: false, largest: LINE * 8 };
    const ROUND_TRIP_ONLY: bool = true;
}

/// Words of a cache line. The last one of a message is the one that is waited for.
const LINE: usize = 8;
/// What is in a line before the first message: not a number that a message has.
const NOTHING: u64 = u64::MAX / 2;

/// Lines come in pairs.
#[repr(align(128))]
struct Line([AtomicU64; LINE]);

impl BetweenThreads for Atomics {
    fn pair<const N: usize>(_: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        let [there, back] = [(); 2].map(|()| Arc::new(Line([const { AtomicU64::new(NOTHING) }; LINE])));
        let end = |out: &Arc<Line>, back: &Arc<Line>| (Out(out.clone()), In { line: back.clone(), last: NOTHING });
        [end(&there, &back), end(&back, &there)]
    }
}

struct Out(Arc<Line>);

impl<const N: usize> Sender<N> for Out {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        for (word, of_message) in self.0.0.iter().zip(&message[..N - 1]) {
            word.store(*of_message, Relaxed);
        }
        self.0.0[N - 1].store(message[N - 1], Release);
        Ok(true)
    }
}

struct In {
    line: Arc<Line>,
    last: u64,
}

impl<const N: usize> Receiver<N> for In {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let word = self.line.0[N - 1].load(Acquire);
        if word == self.last {
            return Ok(false);
        }
        self.last = word;
        let mut message = [word; N];
        for (index, word) in message[..N - 1].iter_mut().enumerate() {
            *word = self.line.0[index].load(Relaxed);
        }
        read(&message);
        Ok(true)
    }
}
