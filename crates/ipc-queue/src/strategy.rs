//! The constants of waiting that a benchmark varies.
#![cfg_attr(
    not(feature = "testing"),
    allow(unreachable_pub, reason = "only the benchmarks have constants of their own")
)]

use std::time::Duration;

use crate::Wait;

/// The constants of waiting. `cargo bench -p ipc-bench --bench waiting` measures what each is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Strategy {
    /// How long `Wait::Adaptive` looks before it sleeps.
    pub looking: Duration,
    /// The fewest and the most looks and PAUSE instructions between two questions to the scheduler and the clock.
    pub burst: (u32, u32),
    /// Whether the processor is offered to others between two bursts.
    pub yields: bool,
    /// The shortest and the longest pause of a consumer between two looks, in PAUSE instructions.
    pub consumer_pause: (u32, u32),
    /// The pause between two looks at a full ring, in PAUSE instructions.
    pub producer_pause: u32,
    /// After so many fruitless looks in a row, the socket is asked whether the peer is still there.
    pub looks_a_question: u32,
}

impl Strategy {
    /// What ships.
    pub const DEFAULT: Self = Self {
        looking: Duration::from_micros(50),
        burst: (64, 512),
        yields: true,
        consumer_pause: (0, 32),
        producer_pause: 16,
        looks_a_question: 1000,
    };
}

/// How one side waits: as its user chose, by the constants above.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) choice: Wait,
    #[cfg(feature = "testing")]
    pub(crate) strategy: Strategy,
}

impl Manner {
    /// Known when this is compiled, unless tests can choose another.
    #[inline(always)]
    pub(crate) const fn strategy(&self) -> &Strategy {
        #[cfg(feature = "testing")]
        return &self.strategy;
        #[cfg(not(feature = "testing"))]
        return &Strategy::DEFAULT;
    }
}

impl From<Wait> for Manner {
    fn from(choice: Wait) -> Self {
        Self {
            choice,
            #[cfg(feature = "testing")]
            strategy: Strategy::DEFAULT,
        }
    }
}
