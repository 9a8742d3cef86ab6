//! One run: everything that both ends must know.

use std::str::FromStr;

/// Whose streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    Ours,
    Interprocess,
    /// The standard library's, or tokio's own.
    Bare,
}

/// Which form of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Sync,
    Tokio,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// A message goes there and comes back. Each end reads into a buffer with room for more, as everything does that
    /// finds messages in a stream.
    RoundTrip,
    /// The same where both ends share a core, so that no processor has to be woken.
    RoundTripOneCore,
    /// A stream of messages goes there, each written by itself; the far end reads what there is.
    OneWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    pub form: Form,
    pub measure: Measure,
    /// Of a message, a multiple of 8.
    pub bytes: usize,
}

impl System {
    pub const ALL: [Self; 3] = [Self::Ours, Self::Interprocess, Self::Bare];
}

impl Plan {
    /// Every question, in the order of the report.
    pub fn all() -> Vec<Self> {
        let mut plans = Vec::new();
        for form in [Form::Sync, Form::Tokio] {
            for measure in [Measure::RoundTrip, Measure::RoundTripOneCore, Measure::OneWay] {
                plans.extend([8, 4 << 10, 64 << 10].map(|bytes| Self { form, measure, bytes }));
            }
        }
        plans
    }

    pub fn name(&self) -> String {
        let form = match self.form {
            Form::Sync => "sync",
            Form::Tokio => "tokio",
        };
        let measure = match self.measure {
            Measure::RoundTrip => "round trip",
            Measure::RoundTripOneCore => "round trip on one core",
            Measure::OneWay => "one way",
        };
        let size = if self.bytes < 1024 { format!("{} B", self.bytes) } else { format!("{} KiB", self.bytes >> 10) };
        format!("{form}, {measure}, {size}")
    }
}

/// What the far end is told: the number of the system, and that of the plan.
impl FromStr for System {
    type Err = &'static str;

    fn from_str(number: &str) -> Result<Self, Self::Err> {
        let number: usize = number.parse().map_err(|_| "not a number")?;
        Self::ALL.get(number).copied().ok_or("no such system")
    }
}
