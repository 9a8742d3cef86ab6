//! Waiting: look for a while, then announce, look again and sleep. One procedure for both ends, every strategy and the models.

use std::time::{Duration, Instant};

use crate::strategy::{Manner, Strategy};

/// How a side waits in the blocking forms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// Looks for up to about 50 µs, giving the processor to others in between, then sleeps.
    #[default]
    Adaptive,
    /// Looks for ever and never sleeps: the shortest latency, for one whole core.
    Spin,
    /// Sleeps at once: the least CPU. At both ends each publish then has a fence, and falling asleep does not interrupt the peer.
    Sleep,
}

/// How long a sleep may last when it is not sure that a bell will end it.
const UNSURE_SLEEP: Duration = Duration::from_millis(1);
/// A `sched_yield` that takes longer than this has let somebody else run.
const YIELDED: Duration = Duration::from_micros(1);

/// How long it is looked between two questions to the scheduler and the clock: in looks, and as many for a pause as it has PAUSE instructions,
/// each of which takes longer than a look. So what looks with long pauses is no later to see that its time is over.
///
/// Where others want the processor, perhaps the peer, the fewest: on one core an answer then takes 4 µs instead of 105. Where a
/// yield comes back at once, nobody else wants it, and more looks save the system call: with the other core far away an answer
/// takes 0.6 µs instead of 1.1.
#[derive(Debug)]
pub(crate) struct Bursts {
    length: u32,
}

impl Bursts {
    pub(crate) fn new(strategy: &Strategy) -> Self {
        Self { length: strategy.burst.0 }
    }

    fn yield_now(&mut self, now: Instant, strategy: &Strategy) {
        if strategy.yields {
            std::thread::yield_now();
        }
        let (fewest, most) = strategy.burst;
        self.length = if now.elapsed() < YIELDED { (self.length * 2).min(most) } else { fewest };
    }
}

/// What a wait asks of the half that waits.
pub(crate) trait Waiter {
    /// Why there will never be enough.
    type End;
    /// Whether there is enough, after one look.
    fn look(&mut self) -> Result<bool, Self::End>;
    /// What comes between two looks that found too little, while looking; not between the announcement and the sleep. Returns how many PAUSE
    /// instructions that were.
    fn rest(&mut self) -> Result<u32, Self::End>;
    /// Asks to be woken. `false`: the peer may not learn of it, or not be able to.
    fn announce(&mut self) -> bool;
    /// What this half has learnt about giving the processor away.
    fn bursts(&mut self) -> &mut Bursts;
    /// Sleeps until a bell, a death, or the end of the time; then takes the bells.
    fn sleep(&mut self, at_most: Option<Duration>) -> Result<(), Self::End>;
}

/// Waits until there is enough. `Ok(false)`: the deadline passed first.
///
/// The loops here end by progress or the peer's end (`look`), or by the deadline; nothing else is waited for.
pub(crate) fn wait<W: Waiter>(waiter: &mut W, how: Manner, deadline: Option<Instant>) -> Result<bool, W::End> {
    match how.choice {
        Wait::Spin => return look_for(waiter, how.strategy(), None, deadline),
        Wait::Adaptive if look_for(waiter, how.strategy(), Some(how.strategy().looking), deadline)? => return Ok(true),
        Wait::Adaptive | Wait::Sleep => {}
    }
    loop {
        if waiter.look()? {
            return Ok(true);
        }
        // Announce first, look second: a message published before the announcement is seen by the look, one published after it
        // rings. Without the look, the message that came in between would be slept through.
        let sure = waiter.announce();
        // PAIR look again: without this look a wake-up is lost.
        if waiter.look()? {
            return Ok(true);
        }
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        if left == Some(Duration::ZERO) {
            // Nobody sleeps on the announcement; and who asks again and again without any time learns of a death here.
            waiter.rest()?;
            return Ok(false);
        }
        let at_most = if sure { left } else { Some(left.map_or(UNSURE_SLEEP, |left| left.min(UNSURE_SLEEP))) };
        waiter.sleep(at_most)?;
    }
}

/// Looks until there is enough or it is late. `Ok(false)`: it is late.
fn look_for<W: Waiter>(
    waiter: &mut W,
    strategy: &Strategy,
    looking: Option<Duration>,
    deadline: Option<Instant>,
) -> Result<bool, W::End> {
    let mut until = None;
    loop {
        let mut done = 0;
        while done < waiter.bursts().length {
            if waiter.look()? {
                return Ok(true);
            }
            done += 1 + waiter.rest()?;
        }
        // Not before the first burst is over: asking the clock takes as long as a message on its way.
        let now = Instant::now();
        let until =
            *until.get_or_insert_with(|| looking.map(|looking| now + looking).into_iter().chain(deadline).min());
        if until.is_some_and(|until| now >= until) {
            return Ok(false);
        }
        waiter.bursts().yield_now(now, strategy);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Finds nothing, and pauses for so many PAUSE instructions after each look.
    struct Idle {
        pause: u32,
        looks: u32,
        bursts: Bursts,
    }

    impl Waiter for Idle {
        type End = ();
        fn look(&mut self) -> Result<bool, ()> {
            self.looks += 1;
            Ok(false)
        }
        fn rest(&mut self) -> Result<u32, ()> {
            Ok(self.pause)
        }
        fn announce(&mut self) -> bool {
            true
        }
        fn bursts(&mut self) -> &mut Bursts {
            &mut self.bursts
        }
        fn sleep(&mut self, _: Option<Duration>) -> Result<(), ()> {
            Ok(())
        }
    }

    #[test]
    fn whoever_pauses_between_looks_is_no_later_to_see_that_its_time_is_over() {
        let strategy = Strategy::DEFAULT;
        for length in [strategy.burst.0, strategy.burst.1] {
            for pause in [0, 1, strategy.producer_pause, strategy.consumer_pause.1] {
                let mut idle = Idle { pause, looks: 0, bursts: Bursts { length } };
                assert_eq!(look_for(&mut idle, &strategy, None, Some(Instant::now())), Ok(false));
                assert_eq!(idle.looks, length.div_ceil(1 + pause), "{length} in a burst, {pause} in a pause");
            }
        }
    }
}
