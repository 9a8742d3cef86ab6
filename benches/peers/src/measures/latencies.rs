//! Many latencies, and what a few of them were.

use std::time::Duration;

use hdrhistogram::Histogram;

use super::Values;

/// What latencies are counted, in three digits.
#[derive(Debug)]
pub struct Latencies(Histogram<u64>);

impl Latencies {
    pub fn new() -> Self {
        Self(Histogram::new(3).expect("three digits"))
    }

    #[inline]
    pub fn add(&mut self, latency: Duration) {
        self.0 += latency.as_nanos() as u64;
    }

    /// `p50 ns`, `p99 ns` and `p99.9 ns`.
    pub fn percentiles(&self) -> Values {
        let value = |p: f64| (format!("p{p} ns"), self.0.value_at_percentile(p) as f64);
        [50.0, 99.0, 99.9].map(value).into()
    }
}
