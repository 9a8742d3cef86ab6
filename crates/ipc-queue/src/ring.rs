//! The ring's positions: what one end knows, how it learns more, and how it tells the other.
//!
//! The two ends of a ring are the same machine. Each owns a position and may move it up to a limit that the other's position
//! sets: the consumer's `head` may go up to the producer's `tail`, the producer's `tail` up to `head + count`. With `slack` 0 for
//! the consumer and `count` for the producer, both read
//!
//! ```text
//! limit = theirs + slack          position <= limit <= position + count
//! ```
//!
//! All arithmetic wraps: positions are free-running 64-bit counters and may start anywhere.

use core::marker::PhantomData;

use crate::{
    barrier::Barrier,
    layout::Word,
    sync::{
        AtomicU64,
        Ordering::{Relaxed, Release},
        acquire,
    },
};

/// Where the live words of both sides are.
pub(crate) trait Memory {
    /// A word that this side writes.
    fn own(&self, word: Word) -> &AtomicU64;
    /// A word that the peer writes: its value can be anything at any time.
    fn peer(&self, word: Word) -> &AtomicU64;
}

/// Which end of a ring.
pub(crate) trait Side {
    /// The word with this end's position.
    const MINE: Word;
    /// The peer's word with the other end's position.
    const THEIRS: Word;
    /// The word in which this end asks to be woken.
    const MY_WAKE: Word;
    /// The peer's word in which the other end asks to be woken.
    const THEIR_WAKE: Word;
    /// What is added to the other end's position to give this end's limit.
    fn slack(count: u64) -> u64;
}

/// The end that fills slots.
#[derive(Debug)]
pub(crate) struct Sending;
/// The end that empties slots.
#[derive(Debug)]
pub(crate) struct Receiving;

impl Side for Sending {
    const MINE: Word = Word::Tail;
    const THEIRS: Word = Word::Head;
    const MY_WAKE: Word = Word::WakeHead;
    const THEIR_WAKE: Word = Word::WakeTail;
    #[inline(always)]
    fn slack(count: u64) -> u64 {
        count
    }
}

impl Side for Receiving {
    const MINE: Word = Word::Head;
    const THEIRS: Word = Word::Tail;
    const MY_WAKE: Word = Word::WakeTail;
    const THEIR_WAKE: Word = Word::WakeHead;
    #[inline(always)]
    fn slack(_: u64) -> u64 {
        0
    }
}

/// The other end announced a position that no correct peer can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfRange {
    pub(crate) theirs: u64,
    pub(crate) mine: u64,
}

/// One end of a ring.
///
/// # Invariants
///
/// E1. `limit - position <= count`: `limit` is `position`, or `theirs + slack` where `theirs` has passed the judge; `position` never
///     passes `theirs + slack`.
/// E2. `position - debt` is what the other end was last told, bell included. While `debt` is not 0, `limit` is `position`: who has slots
///     to work on owes nothing.
#[derive(Debug)]
pub(crate) struct End<M, S> {
    memory: M,
    barrier: Barrier,
    count: u64,
    position: u64,
    limit: u64,
    theirs: u64,
    debt: u64,
    closed: bool,
    side: PhantomData<S>,
}

impl<M: Memory, S: Side> End<M, S> {
    /// An end of a ring of `count` slots whose two positions both are `start`.
    pub(crate) fn new(memory: M, barrier: Barrier, count: u64, start: u64) -> Self {
        let limit = start.wrapping_add(S::slack(count));
        Self {
            memory,
            barrier,
            count,
            position: start,
            limit,
            theirs: start,
            debt: 0,
            closed: false,
            side: PhantomData,
        }
    }

    pub(crate) fn memory(&self) -> &M {
        &self.memory
    }

    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// This end's position, announced or not.
    #[inline(always)]
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The other end's position as last judged.
    pub(crate) fn theirs(&self) -> u64 {
        self.theirs
    }

    /// Slots that this end may work on now: at most `count` (E1).
    #[inline(always)]
    pub(crate) fn available(&self) -> u64 {
        self.limit.wrapping_sub(self.position)
    }

    /// Looks at the other end's position, once. Returns the slots that this end may work on now.
    #[inline(always)]
    pub(crate) fn look(&mut self) -> Result<u64, OutOfRange> {
        let word = self.memory.peer(S::THEIRS);
        let theirs = word.load(Relaxed);
        let moved = theirs.wrapping_sub(self.theirs);
        if moved != 0 {
            // The judge: up to where this end's whole ring would be available, and never back (which shows as a huge `moved`).
            let furthest = self.position.wrapping_add(self.count).wrapping_sub(S::slack(self.count));
            // JUDGE position: no correct peer can be there.
            if moved > furthest.wrapping_sub(self.theirs) {
                return Err(OutOfRange { theirs, mine: self.position });
            }
            // PAIR publish: what the other end did to these slots before `publish` happened before what this end does next.
            acquire(word);
            self.theirs = theirs;
            self.reopen();
        }
        Ok(self.available())
    }

    /// Moves over `n` slots and tells the other end. `true`: it asked to be woken for this.
    #[inline(always)]
    #[must_use = "a sleeper that is not rung sleeps on"]
    pub(crate) fn publish(&mut self, n: u64) -> bool {
        debug_assert!(n <= self.available(), "moved over more slots than there are");
        debug_assert!(n == 0 || self.debt == 0, "slots to work on, and a debt");
        let new = self.position.wrapping_add(n);
        self.position = new;
        self.tell(new, n)
    }

    /// Tells the other end about the `n` slots before `new`. `true`: it asked to be woken for one of these.
    #[inline(always)]
    fn tell(&self, new: u64, n: u64) -> bool {
        // PAIR publish: what this end did to the slots happens before what the other end does after its `look`.
        self.memory.own(S::MINE).store(new, Release);
        // Two sides, four lines. Here: store the position, barrier, load the wake word. The sleeper (`announce`): store the wake
        // word, barrier, load the position. Whichever barrier comes second, its side sees the other's store: either the bell
        // is rung here, or the sleeper sees the position and does not sleep.
        self.barrier.publisher();
        let asked = self.memory.peer(S::THEIR_WAKE).load(Relaxed);
        // old < asked <= new, in wrapping arithmetic: exactly one publish crosses a given position.
        new.wrapping_sub(asked) < n
    }

    /// Moves over `n` slots without telling the other end. Nothing is available until `pay`.
    #[inline(always)]
    pub(crate) fn withhold(&mut self, n: u64) {
        debug_assert!(
            n <= self.theirs.wrapping_add(S::slack(self.count)).wrapping_sub(self.position),
            "nothing is there"
        );
        self.position = self.position.wrapping_add(n);
        self.owe(n);
    }

    /// The other end was not told of the last `n` slots, or the bell for them could not be rung.
    #[inline(always)]
    pub(crate) fn owe(&mut self, n: u64) {
        self.debt += n;
        self.limit = self.position;
    }

    /// Whether the other end was not told of everything, or not rung for.
    #[inline(always)]
    pub(crate) fn owes(&self) -> bool {
        self.debt != 0
    }

    /// Tells the other end about everything that it was not told. `true`: it asked to be woken for this.
    #[must_use = "a sleeper that is not rung sleeps on"]
    pub(crate) fn pay(&mut self) -> bool {
        let debt = std::mem::take(&mut self.debt);
        self.reopen();
        self.tell(self.position, debt)
    }

    /// Asks to be woken when `n` slots are available. After this the caller must look once more before it sleeps. `false`: the
    /// other end may not learn of it, so the sleep must be short.
    pub(crate) fn announce(&mut self, n: u64) -> bool {
        let wake = self.position.wrapping_add(n).wrapping_sub(S::slack(self.count));
        // PAIR wake: see `tell`. Never cleared: once passed, it cannot match again.
        self.memory.own(S::MY_WAKE).store(wake, Relaxed);
        self.barrier.sleeper()
    }

    /// Nothing is available any more, whatever the other end does, until `open`.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.limit = self.position;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Takes `close` back.
    pub(crate) fn open(&mut self) {
        self.closed = false;
        self.reopen();
    }

    /// What the other end's position allows is available, unless this end is closed or owes something.
    #[inline(always)]
    fn reopen(&mut self) {
        if !self.closed && self.debt == 0 {
            self.limit = self.theirs.wrapping_add(S::slack(self.count));
        }
    }
}

impl<M: Memory> End<M, Sending> {
    /// Says that no more will be published. The caller rings whether or not anybody asked, so there is no barrier here.
    pub(crate) fn finish(&mut self) {
        // PAIR finish: the last tail happens before this, for a consumer that sees it and then looks.
        self.memory.own(Word::Finished).store(1, Release);
    }
}

impl<M: Memory> End<M, Receiving> {
    /// The peer's word that says "no more": 0, 1, or a lie. The caller looks once more after a 1.
    #[inline]
    pub(crate) fn finished_word(&self) -> u64 {
        let word = self.memory.peer(Word::Finished);
        let finished = word.load(Relaxed);
        if finished != 0 {
            // PAIR finish: the look that follows sees the last tail.
            acquire(word);
        }
        finished
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Live words in plain memory: a line for this side's, a line for the peer's.
    #[derive(Debug, Default)]
    struct Words([[AtomicU64; 5]; 2]);

    fn index(word: Word) -> usize {
        let words = [Word::Tail, Word::Head, Word::WakeTail, Word::WakeHead, Word::Finished];
        words.iter().position(|other| *other == word).expect("a word of the ring")
    }

    impl Memory for Words {
        fn own(&self, word: Word) -> &AtomicU64 {
            &self.0[0][index(word)]
        }
        fn peer(&self, word: Word) -> &AtomicU64 {
            &self.0[1][index(word)]
        }
    }

    /// Where the counters break, and nearby.
    fn boundaries() -> impl Iterator<Item = u64> {
        [0, 1 << 31, 1 << 32, 1 << 62, 1 << 63]
            .into_iter()
            .flat_map(|base: u64| (0..11).map(move |n| base.wrapping_add(n).wrapping_sub(5)))
    }

    const COUNTS: [u64; 3] = [1, 2, 4];

    /// An end that moved `mine` slots on, while the other end's position was last seen `theirs` slots from the start.
    fn end_at<S: Side>(count: u64, start: u64, mine: u64, theirs: u64) -> End<Words, S> {
        let mut end = End::new(Words::default(), Barrier::Membarrier, count, start);
        let seen = |end: &mut End<Words, S>, theirs: u64| {
            end.memory.peer(S::THEIRS).store(start.wrapping_add(theirs), Relaxed);
            end.look().expect("a correct position")
        };
        for n in 0..mine {
            // The least that the other end must have done.
            seen(&mut end, (n + 1).saturating_sub(S::slack(count)));
            let _ = end.publish(1);
        }
        seen(&mut end, theirs);
        end
    }

    /// A state that a correct peer can bring about within two rounds: `mine` and `theirs` slots from the start.
    #[derive(Clone, Copy, Debug)]
    struct State {
        count: u64,
        start: u64,
        mine: u64,
        theirs: u64,
        /// How far a correct peer can be.
        furthest: u64,
    }

    fn states<S: Side>(count: u64) -> impl Iterator<Item = State> {
        let at = move |(start, mine): (u64, u64)| {
            let furthest = mine + count - S::slack(count);
            let nearest = mine.saturating_sub(S::slack(count));
            (nearest..=furthest).map(move |theirs| State { count, start, mine, theirs, furthest })
        };
        boundaries().flat_map(move |start| (0..=2 * count).map(move |mine| (start, mine))).flat_map(at)
    }

    /// One look at `candidate` in the peer's word. Returns whether it was accepted.
    fn judge<S: Side>(state: State, candidate: u64) -> bool {
        let State { count, start, mine, theirs, furthest } = state;
        let mut end = end_at::<S>(count, start, mine, theirs);
        let before = end.available();
        end.memory.peer(S::THEIRS).store(candidate, Relaxed);
        let correct = (theirs..=furthest).find(|n| start.wrapping_add(*n) == candidate);
        match (end.look(), correct) {
            (Ok(available), Some(n)) => {
                assert_eq!(available, before + n - theirs, "{candidate:#x} in {state:?}");
                assert!(available <= count);
            }
            (Err(seen), None) => {
                assert_eq!(seen, OutOfRange { theirs: candidate, mine: start.wrapping_add(mine) });
                assert_eq!((end.available(), end.theirs()), (before, start.wrapping_add(theirs)), "nothing changes");
            }
            (judged, correct) => panic!("{judged:?}, but {correct:?}: {candidate:#x} in {state:?}"),
        }
        correct.is_some()
    }

    fn judge_everything<S: Side>(count: u64) {
        let (mut accepted, mut refused) = (0, 0);
        for state in states::<S>(count) {
            let nearby = (0..12 * count).map(|n| state.start.wrapping_add(n).wrapping_sub(4 * count));
            for candidate in boundaries().chain(nearby) {
                *if judge::<S>(state, candidate) { &mut accepted } else { &mut refused } += 1;
            }
        }
        assert!(accepted > 500 && refused > 10_000, "ring of {count}: {accepted} accepted, {refused} refused");
    }

    #[test]
    fn a_position_is_accepted_exactly_where_a_correct_peer_can_be() {
        for count in COUNTS {
            judge_everything::<Receiving>(count);
            judge_everything::<Sending>(count);
        }
    }

    #[test]
    fn a_publish_rings_exactly_when_it_passes_the_position_that_was_asked_for() {
        for (start, asked) in boundaries().flat_map(|start| boundaries().map(move |asked| (start, asked))) {
            for n in 0..=4 {
                let passed = (1..=n).any(|step| start.wrapping_add(step) == asked);
                // Told at once, or later and all together: what matters is what the other end was told last.
                let at_once = |end: &mut End<Words, Sending>| end.publish(n);
                let later = |end: &mut End<Words, Sending>| {
                    (0..n).for_each(|_| end.withhold(1));
                    end.pay()
                };
                for tell in [&at_once as &dyn Fn(&mut _) -> bool, &later] {
                    let mut end = End::<Words, Sending>::new(Words::default(), Barrier::Membarrier, 4, start);
                    end.memory.peer(Word::WakeTail).store(asked, Relaxed);
                    assert_eq!(tell(&mut end), passed, "{asked:#x} from {start:#x} by {n}");
                    assert_eq!((end.available(), end.owes()), (4 - n, false));
                    assert!(!end.publish(0) && !end.pay(), "rung twice for {asked:#x}");
                }
            }
        }
    }

    #[test]
    fn nothing_is_available_to_an_end_that_owes_or_is_closed() {
        let mut end = end_at::<Receiving>(4, 7, 1, 3);
        assert_eq!(end.available(), 2);
        end.owe(4);
        end.memory.peer(Word::Tail).store(7 + 5, Relaxed);
        assert_eq!((end.look(), end.owes()), (Ok(0), true));
        assert!(!end.pay());
        assert_eq!((end.available(), end.owes()), (4, false));
        end.close();
        end.memory.peer(Word::Tail).store(7 + 5, Relaxed);
        assert_eq!(end.look(), Ok(0));
        end.open();
        assert_eq!(end.available(), 4);
    }
}
