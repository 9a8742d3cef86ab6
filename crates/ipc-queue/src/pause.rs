//! The pause after a fruitless look.

use std::time::{Duration, Instant};

use crate::{strategy::Strategy, sync::spin_loop};

/// No pause takes longer, whatever a PAUSE instruction costs.
const LONGEST_PAUSE: Duration = Duration::from_micros(1);
/// So many PAUSE instructions are timed.
const TIMED: u32 = 32;

/// The pause after a fruitless look.
///
/// It stops a consumer in full flow from tearing the line away from the producer at every message: a pause that was followed by
/// two or more new messages was too short and doubles, one that was followed by a single one goes back to the shortest, which is none.
/// So a ping-pong pays nothing.
#[derive(Debug)]
pub(crate) struct Pause {
    length: u32,
    shortest: u32,
    longest: u32,
    /// Whether the last look was fruitless.
    paused: bool,
}

impl Pause {
    pub(crate) fn of_consumer(strategy: &Strategy) -> Self {
        let (shortest, longest) = strategy.consumer_pause;
        Self::between(shortest, longest)
    }

    pub(crate) fn of_producer(strategy: &Strategy) -> Self {
        Self::between(strategy.producer_pause, strategy.producer_pause)
    }

    fn between(shortest: u32, longest: u32) -> Self {
        let most = longest_pause();
        let shortest = shortest.min(most);
        Self { length: shortest, shortest, longest: longest.min(most), paused: false }
    }

    /// A look found nothing. Returns how many PAUSE instructions followed.
    #[inline]
    pub(crate) fn rest(&mut self) -> u32 {
        self.paused = true;
        for _ in 0..self.length {
            spin_loop();
        }
        self.length
    }

    /// A look found `n` slots. A producer's pause stays the same.
    #[inline]
    pub(crate) fn adapt(&mut self, n: u64) {
        if self.paused {
            self.paused = false;
            self.length = if n > 1 { (self.length * 2).max(1).min(self.longest) } else { self.shortest };
        }
    }
}

/// How many PAUSE instructions take no more than the longest pause: they cost from 10 to 150 cycles, by processor.
fn longest_pause() -> u32 {
    static COUNT: std::sync::OnceLock<u32> = std::sync::OnceLock::new();
    *COUNT.get_or_init(|| {
        // The least of a few, since the scheduler can only lengthen a measurement.
        let cost = (0..4).map(|_| {
            let start = Instant::now();
            (0..TIMED).for_each(|_| spin_loop());
            start.elapsed()
        });
        let cost = cost.min().unwrap_or(LONGEST_PAUSE).max(Duration::from_nanos(1));
        let fits = u128::from(TIMED) * LONGEST_PAUSE.as_nanos() / cost.as_nanos();
        u32::try_from(fits).map_or(TIMED, |fits| fits.max(1))
    })
}
