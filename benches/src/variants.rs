//! The waiting strategy with one part switched off, or with another constant in one place.

use std::time::Duration;

use ipc_queue::Strategy;
use memenpsf::{Options, Wait};

/// A way of waiting that both ends have.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// What is different.
    pub name: &'static str,
    /// Instead of the adaptive waiting.
    pub wait: Option<Wait>,
    strategy: Strategy,
    fence: bool,
}

const S: Strategy = Strategy::DEFAULT;

/// What ships.
pub const FULL: Variant = Variant { name: "nothing", wait: None, strategy: S, fence: false };

/// What ships, and then everything that differs from it in one thing.
pub const VARIANTS: [Variant; 24] = [
    FULL,
    with("consumer's pause: none", Strategy { consumer_pause: (0, 0), ..S }),
    with("consumer's pause: always 1", Strategy { consumer_pause: (1, 1), ..S }),
    with("consumer's pause: always 32", Strategy { consumer_pause: (32, 32), ..S }),
    with("consumer's pause: from 1", Strategy { consumer_pause: (1, 32), ..S }),
    with("consumer's pause: up to 8", Strategy { consumer_pause: (0, 8), ..S }),
    with("consumer's pause: up to 64", Strategy { consumer_pause: (0, 64), ..S }),
    with("producer's pause: none", Strategy { producer_pause: 0, ..S }),
    with("producer's pause: 1", Strategy { producer_pause: 1, ..S }),
    with("producer's pause: 4", Strategy { producer_pause: 4, ..S }),
    with("producer's pause: 64", Strategy { producer_pause: 64, ..S }),
    with("no yield", Strategy { yields: false, ..S }),
    with("bursts: always 64", Strategy { burst: (64, 64), ..S }),
    with("bursts: always 512", Strategy { burst: (512, 512), ..S }),
    with("bursts: 16 to 512", Strategy { burst: (16, 512), ..S }),
    with("bursts: 32 to 512", Strategy { burst: (32, 512), ..S }),
    with("bursts: 64 to 2048", Strategy { burst: (64, 2048), ..S }),
    with("looking: 10 µs", Strategy { looking: Duration::from_micros(10), ..S }),
    with("looking: 25 µs", Strategy { looking: Duration::from_micros(25), ..S }),
    with("looking: 200 µs", Strategy { looking: Duration::from_micros(200), ..S }),
    Variant { wait: Some(Wait::Sleep), ..with("no looking", S) },
    Variant { wait: Some(Wait::Spin), ..with("no sleeping", S) },
    Variant { fence: true, ..with("fences, no membarrier", S) },
    with("the socket asked after 100 000 looks", Strategy { looks_a_question: 100_000, ..S }),
];

const fn with(name: &'static str, strategy: Strategy) -> Variant {
    Variant { name, strategy, ..FULL }
}

impl Variant {
    /// The variant of that name.
    pub fn named(name: &str) -> &'static Self {
        VARIANTS.iter().find(|variant| variant.name == name).unwrap()
    }

    /// These options, waiting like this.
    pub(crate) fn applied_to(&self, options: Options) -> Options {
        let options = options.strategy(self.strategy);
        if self.fence { options.force_fence() } else { options }
    }
}
