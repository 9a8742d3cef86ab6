//! One run of one measure of one system: everything that both ends must know.

use serde::{Deserialize, Serialize};

use crate::{
    cores::{HERE, THERE, keep_on, pin},
    measures::system_calls,
    system::{Shape, Side, Waiting},
};

/// What is run. The far end is given the same as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub system: String,
    pub measure: Measure,
    /// Bytes of a message: see [`crate::table::SIZES`].
    pub bytes: usize,
    /// Bytes of messages that each direction holds.
    pub ring: usize,
    pub drive: Drive,
    pub cores: Cores,
    /// As short as it can be and still show that it works. The figures are worth little.
    pub quick: bool,
}

impl Plan {
    /// Messages that each direction holds.
    pub fn capacity(&self) -> usize {
        (self.ring / self.bytes).max(4)
    }

    /// What the ends of a link are asked to be.
    pub fn shape(&self) -> Shape {
        let waiting = match self.drive {
            Drive::Spin | Drive::Look => Waiting::Spin,
            Drive::Block => Waiting::Usual,
            Drive::Sleep => Waiting::Sleep,
        };
        Shape { capacity: self.capacity(), waiting }
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Measure {
    /// A message goes there and comes back.
    RoundTrip,
    /// The same between so many pairs at once.
    Crowd(usize),
    /// A stream of messages goes there.
    OneWay(Way),
    /// So many messages a second go there, each at its time: how long they take.
    OpenLoad(u32),
    /// So many messages a second go there, and the sender sleeps in between: what that costs.
    Steady(u32),
    /// Nothing happens: what that costs.
    Idle,
    /// Links are made one after the other.
    SetUp,
    /// Many links are there at once.
    Footprint,
    /// The far process is killed, so many times.
    Death(usize),
    /// How many system calls messages take.
    SystemCalls(Flow),
    /// A descriptor is passed on.
    PassDescriptor,
}

impl Measure {
    /// What this machine lacks for it, if anything.
    pub fn missing(self) -> Option<String> {
        match self {
            Self::SystemCalls(_) => system_calls::missing(),
            _ => None,
        }
    }
}

/// What the messages are like whose system calls are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flow {
    /// A stream: the calls of the sender.
    Sent,
    /// A stream: the calls of the receiver.
    Received,
    /// So many at once to a receiver that sleeps: the calls of the sender.
    Burst(u32),
}

/// How a stream of messages is sent and received.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// One by one.
    Single,
    /// Up to so many at once.
    Batches(usize),
    /// One by one, and the receiver reads each once: where it lies, or by copying it out.
    ReadOnce,
    /// One by one, but only the first word of each is written and read: what is passed on is where the message lies.
    FirstWord,
}

/// How an end waits while it measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Drive {
    /// It tries again and again.
    Spin,
    /// The system's own blocking calls, as they are by default.
    Block,
    /// The system's own blocking calls, told never to sleep.
    Look,
    /// The system's own blocking calls, told to sleep at once.
    Sleep,
}

/// Where the two ends run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cores {
    /// Each on a core of its own.
    Two,
    /// Both on one.
    One,
    /// Where the scheduler puts them.
    Any,
}

impl Cores {
    /// Puts this thread where that end runs.
    pub fn place(self, side: Side) {
        match (self, side) {
            (Self::Two, Side::Near) | (Self::One, _) => pin(HERE),
            (Self::Two, Side::Far) => pin(THERE),
            (Self::Any, _) => keep_on(&[HERE, THERE]),
        }
    }
}
