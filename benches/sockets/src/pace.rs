//! How many messages make a figure.

use std::{
    io,
    ops::Range,
    time::{Duration, Instant},
};

/// A measurement is repeated with more until it takes this long.
const LONG_ENOUGH: Duration = Duration::from_millis(20);

/// Nanoseconds that one takes when enough of them are done in a row. They are numbered from 0 on, over all calls.
pub async fn each(mut done: impl AsyncFnMut(Range<u64>) -> io::Result<()>) -> io::Result<f64> {
    let (mut next, mut count) = (0, 64);
    loop {
        let start = Instant::now();
        done(next..next + count).await?;
        let elapsed = start.elapsed();
        if elapsed >= LONG_ENOUGH {
            return Ok(elapsed.as_nanos() as f64 / count as f64);
        }
        next += count;
        // The first one may be slow because everything is new.
        count *= if elapsed < LONG_ENOUGH / 8 { 4 } else { 2 };
    }
}
