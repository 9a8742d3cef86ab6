//! What is expected of the honest end, as data that both programs have.

use std::ops::RangeInclusive;

/// The settings of the honest end, where a case needs others than usual.
#[derive(Clone, Debug)]
pub struct Honest {
    /// Milliseconds for the handshake.
    pub handshake: u64,
    /// Its schema.
    pub schema: &'static str,
    /// The largest segment that it takes.
    pub limit: u64,
    /// The position at which its own ring starts.
    pub start: u64,
    /// How it waits.
    pub waits: Waits,
    /// Words of an element.
    pub words: usize,
    /// It begins only when something lies in its socket.
    pub late: bool,
    /// It must be done long before a descriptor lets go of whoever closes it.
    pub prompt: bool,
}

/// How the honest end waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waits {
    /// It looks for a while, then sleeps.
    Adaptive,
    /// It looks for ever.
    Spinning,
    /// It sleeps at once.
    Asleep,
}

impl Default for Honest {
    fn default() -> Self {
        Self {
            handshake: 10_000,
            schema: "",
            limit: 1 << 30,
            start: 0,
            waits: Waits::Adaptive,
            words: 1,
            late: false,
            prompt: false,
        }
    }
}

/// How the meeting goes.
#[derive(Clone, Debug)]
pub enum Expect {
    /// The honest end refuses for this reason, with its own number and the peer's; and the peer is told the same.
    Refused {
        /// The code of the reason.
        reason: u16,
        /// The honest end's number.
        here: u64,
        /// The peer's number.
        there: RangeInclusive<u64>,
    },
    /// The peer's Reject is reported with its reason, and the numbers the other way round.
    RefusedByPeer {
        /// The code of the reason.
        reason: u16,
        /// The honest end's number.
        here: u64,
        /// The peer's number.
        there: u64,
    },
    /// The time for the handshake is over, and not before.
    TimedOut,
    /// The peer is gone.
    Disconnected,
    /// The connection opens.
    Opens(Then),
}

/// What the honest end does with an open connection, and finds.
#[derive(Clone, Debug)]
pub enum Then {
    /// So many messages each way that there is arrive whole and in order.
    Works(u64),
    /// So many elements come from this position on, each its own position; then this.
    Takes {
        /// The position of the first.
        start: u64,
        /// How many.
        n: RangeInclusive<u64>,
        /// What comes behind them.
        end: End,
    },
    /// So many elements can be sent; then this.
    Gives {
        /// How many.
        n: u64,
        /// What comes behind them.
        end: End,
    },
    /// Whatever it waits for, it comes back at its deadline and not before.
    Waits,
    /// The same, and it uses next to no processor time meanwhile.
    Idles,
    /// So many elements arrive, of any value.
    TakesAnything(u64),
    /// No call takes more than a ring, and none lasts.
    Bounded,
    /// Some elements may pass; then this lie is found out.
    FindsOut(Lie),
    /// The same, if the lie is seen at all.
    MayFindOut(Lie),
    /// One look at its socket does not read all that lies there, and the next ones go on.
    LooksBounded,
    /// What it sends comes back to itself.
    HearsItself,
}

/// A word that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// What was published.
    Tail,
    /// What was taken.
    Head,
}

/// What a half finds in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the fields of the honest end's errors")]
pub enum End {
    Silence,
    Finished,
    Disconnected,
    TailOutOfRange { tail: u64, head: u64 },
    HeadOutOfRange { head: u64, tail: u64 },
    FinishedWord { value: u64 },
    ControlKind { kind: u64 },
    Descriptors,
}

/// A refusal with exact numbers.
pub fn refused(reason: u16, here: u64, there: u64) -> Expect {
    Expect::Refused { reason, here, there: there..=there }
}

/// So many elements from position 0 on, then that.
pub fn takes(n: u64, end: End) -> Expect {
    Expect::Opens(Then::Takes { start: 0, n: n..=n, end })
}

/// So many elements go, then that.
pub fn gives(n: u64, end: End) -> Expect {
    Expect::Opens(Then::Gives { n, end })
}

/// It works as with a correct peer.
pub fn works() -> Expect {
    Expect::Opens(Then::Works(100))
}
