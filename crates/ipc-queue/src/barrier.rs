//! The store-load barrier between a side that publishes and a side that is about to sleep.
//!
//! Both do "store mine, then load yours", and at least one of them must see the other's store (Dekker's pattern). A full
//! fence on each side does that and costs 10 to 40 ns at every publish. With `membarrier` the one who is about to sleep runs a fence
//! on behalf of everybody, and publishing needs only the compiler's word. The call takes half a microsecond, and up to 10 µs where the
//! peer runs, which it interrupts: that pays where there are many messages to a sleep.
//!
//! `membarrier(2)`, `MEMBARRIER_CMD_GLOBAL_EXPEDITED`: on return, every running thread of every registered process has
//! passed through a full fence since the call began. The publisher's process must be registered, so the handshake asks.

use crate::{
    Wait,
    sync::{Ordering::SeqCst, compiler_fence, fence},
};

/// How a publish and an announcement are ordered. Both ends of a connection use the same: `membarrier` where both ask for it, and can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Barrier {
    /// The sleeper makes a system call; the publisher pays nothing.
    Membarrier,
    /// Both have a fence.
    Fence,
}

impl Barrier {
    /// What a side asks for that waits like this. One that sleeps at once sleeps at nearly every message.
    pub(crate) fn for_wait(wait: Wait) -> Self {
        match wait {
            Wait::Adaptive | Wait::Spin => Self::Membarrier,
            Wait::Sleep => Self::Fence,
        }
    }

    /// Between storing a position and loading the peer's wake word.
    #[inline(always)]
    pub(crate) fn publisher(self) {
        match self {
            Self::Membarrier => compiler_fence(SeqCst),
            // PAIR wake: with the fence in `sleeper`, one of the two sees the other's store.
            Self::Fence => fence(SeqCst),
        }
    }

    /// Between storing a wake word and loading the peer's position. `false`: the peer may not have seen the announcement,
    /// so the sleep must be short.
    pub(crate) fn sleeper(self) -> bool {
        match self {
            // PAIR wake: with the compiler fence in `publisher`, one of the two sees the other's store.
            Self::Membarrier => rustix::thread::membarrier(rustix::thread::MembarrierCommand::GlobalExpedited).is_ok(),
            Self::Fence => {
                // PAIR wake: with the fence in `publisher`.
                fence(SeqCst);
                true
            }
        }
    }
}

/// Asks the kernel to include this process in other processes' barriers. Cheap when it was asked before; the first time in a
/// process with several threads takes 10 to 20 ms.
pub(crate) fn register() -> bool {
    use rustix::thread::{MembarrierCommand, MembarrierQuery, membarrier, membarrier_query};
    membarrier_query().contains(MembarrierQuery::GLOBAL_EXPEDITED | MembarrierQuery::REGISTER_GLOBAL_EXPEDITED)
        && membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}
