//! Settings.

use std::time::Duration;

use crate::{Error, Wait, barrier::Barrier, layout, strategy::Manner};

/// The longest name and the longest schema, in bytes.
pub(crate) const LONGEST_TEXT: usize = 255;

/// The settings of one side of a connection.
///
/// ```
/// use ipc_queue::{Options, Wait};
/// let options = Options::new().capacity(4096).name("eth0").schema("quote/1").wait(Wait::Sleep);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Options {
    pub(crate) capacity: usize,
    pub(crate) name: String,
    pub(crate) schema: String,
    pub(crate) wait: Manner,
    pub(crate) max_segment: u64,
    pub(crate) handshake_timeout: Duration,
    pub(crate) start: u64,
    forced_barrier: Option<Barrier>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capacity: 1024,
            name: String::new(),
            schema: String::new(),
            wait: Wait::default().into(),
            max_segment: 1 << 30,
            handshake_timeout: Duration::from_secs(30),
            start: 0,
            forced_barrier: None,
        }
    }
}

impl Options {
    /// 1024 elements, no name, no schema, adaptive waiting, segments of at most 1 GiB, 30 s for the handshake.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many elements this side's outgoing ring holds, rounded up to a power of two. 0 is refused when connecting.
    pub fn capacity(mut self, elements: usize) -> Self {
        self.capacity = elements;
        self
    }

    /// A name for people and tools, told to the peer: at most 255 bytes.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// What the elements mean, such as `"quote/1"`: at most 255 bytes. Two sides that both have one must have the same; an empty one
    /// is not checked.
    pub fn schema(mut self, schema: impl Into<String>) -> Self {
        self.schema = schema.into();
        self
    }

    /// How the blocking forms wait.
    pub fn wait(mut self, wait: Wait) -> Self {
        self.wait.choice = wait;
        self
    }

    /// The largest segment in bytes, of either side: a larger one is neither made nor mapped.
    pub fn max_segment(mut self, bytes: u64) -> Self {
        self.max_segment = bytes;
        self
    }

    /// How long the whole handshake may take.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// For the crate that also connects within this time.
    #[doc(hidden)]
    pub fn get_handshake_timeout(&self) -> Duration {
        self.handshake_timeout
    }

    /// The position at which this side's outgoing ring starts.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn start_position(mut self, position: u64) -> Self {
        self.start = position;
        self
    }

    /// Other constants of waiting than those that ship.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn strategy(mut self, strategy: crate::Strategy) -> Self {
        self.wait.strategy = strategy;
        self
    }

    /// Has both sides use a fence for each publish, as on a kernel without `membarrier`.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn force_fence(mut self) -> Self {
        self.forced_barrier = Some(Barrier::Fence);
        self
    }

    /// Has both sides use `membarrier`, if both say so, whichever way they wait.
    #[cfg(feature = "testing")]
    #[doc(hidden)]
    pub fn force_membarrier(mut self) -> Self {
        self.forced_barrier = Some(Barrier::Membarrier);
        self
    }

    /// The barrier that this side asks for.
    pub(crate) fn barrier(&self) -> Barrier {
        self.forced_barrier.unwrap_or_else(|| Barrier::for_wait(self.wait.choice))
    }

    /// Slots for elements of `size` bytes, after checking every setting.
    pub(crate) fn slot_count(&self, size: usize) -> Result<u64, Error> {
        if self.capacity == 0 {
            return Err(Error::ZeroCapacity);
        }
        let count = self.capacity.checked_next_power_of_two().map(|count| count as u64);
        let fits =
            |count: &u64| layout::segment_size(*count, size as u64).is_some_and(|bytes| bytes <= self.max_segment);
        count.filter(fits).ok_or(Error::TooLarge {
            capacity: self.capacity,
            element_size: size,
            limit: self.max_segment,
        })
    }

    pub(crate) fn check_texts(&self) -> Result<(), Error> {
        if self.name.len() > LONGEST_TEXT {
            return Err(Error::NameTooLong { length: self.name.len() });
        }
        if self.schema.len() > LONGEST_TEXT {
            return Err(Error::SchemaTooLong { length: self.schema.len() });
        }
        Ok(())
    }
}
