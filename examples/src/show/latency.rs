//! Latencies for people: a bar for each doubling, and the percentiles.

use std::fmt;

use hdrhistogram::Histogram;

/// Shows a histogram of nanoseconds.
#[derive(Clone, Copy, Debug)]
pub struct Latency<'a>(pub &'a Histogram<u64>);

/// The longest bar.
const WIDTH: u64 = 40;

impl fmt::Display for Latency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.len();
        let bars: Vec<_> = self
            .0
            .iter_log(64, 2.0)
            .map(|step| (step.value_iterated_to() + 1, step.count_since_last_iteration()))
            // What one in a thousand meets shows in the percentiles.
            .filter(|(_, count)| count * 1000 >= all)
            .collect();
        let longest = bars.iter().map(|(_, count)| *count).max().unwrap_or(1);
        for (below, count) in bars {
            let bar = "#".repeat((count * WIDTH).div_ceil(longest) as usize);
            let share = count as f64 * 100.0 / all as f64;
            writeln!(f, "  < {:>8} {bar:<40} {share:5.1} %", Nanos(below).to_string())?;
        }
        let at = |quantile| Nanos(self.0.value_at_quantile(quantile));
        write!(
            f,
            "{all} round trips: p50 {}, p99 {}, p99.9 {}, max {}",
            at(0.5),
            at(0.99),
            at(0.999),
            Nanos(self.0.max())
        )
    }
}

/// A time in the unit that suits it.
#[derive(Clone, Copy, Debug)]
pub struct Nanos(pub u64);

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0 as f64;
        match self.0 {
            0..10_000 => write!(f, "{nanos} ns"),
            10_000..10_000_000 => write!(f, "{:.0} µs", nanos / 1e3),
            _ => write!(f, "{:.0} ms", nanos / 1e6),
        }
    }
}
