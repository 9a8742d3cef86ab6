//! Times at which messages are due.

use std::time::Duration;

use nix::{
    errno::Errno,
    sys::time::TimeSpec,
    time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep},
};

/// The clock that all processes share.
const CLOCK: ClockId = ClockId::CLOCK_MONOTONIC;
/// From making a schedule to its first time.
const LEAD: Duration = Duration::from_millis(1);

/// Nanoseconds that the clock shows.
#[inline]
pub fn now() -> u64 {
    Duration::from(clock_gettime(CLOCK).expect("a clock")).as_nanos() as u64
}

/// Sleeps until then.
pub fn sleep_until(time: u64) {
    let time = TimeSpec::from_duration(Duration::from_nanos(time));
    while clock_nanosleep(CLOCK, ClockNanosleepFlags::TIMER_ABSTIME, &time) == Err(Errno::EINTR) {}
}

/// Nanoseconds between two messages.
pub fn period(per_second: u32) -> u64 {
    1_000_000_000 / u64::from(per_second)
}

/// So many times that are a period apart, from soon on.
pub fn times(per_second: u32, count: u64) -> impl Iterator<Item = u64> {
    let start = now() + LEAD.as_nanos() as u64;
    (0..count).map(move |index| start + index * period(per_second))
}
