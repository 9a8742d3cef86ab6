//! Signals all the time.

use std::time::Duration;

use nix::{
    sys::{
        signal::{SigEvent, SigevNotify, Signal},
        timer::{Expiration, Timer, TimerSetTimeFlags},
    },
    time::ClockId,
    unistd::gettid,
};
use tokio::signal::unix::{SignalKind, signal};

const BETWEEN_SIGNALS: Duration = Duration::from_micros(500);

/// Makes a call in a thread that a signal comes to all the time. The handler, tokio's, restarts what can be restarted; what has a
/// timeout never is, signal(7).
pub(crate) fn under_signals<T>(call: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut signals = runtime.block_on(async { signal(SignalKind::user_defined1()).unwrap() });
    let this_thread = SigevNotify::SigevThreadId { signal: Signal::SIGUSR1, thread_id: gettid().as_raw(), si_value: 0 };
    let mut timer = Timer::new(ClockId::CLOCK_MONOTONIC, SigEvent::new(this_thread)).unwrap();
    timer.set(Expiration::Interval(BETWEEN_SIGNALS.into()), TimerSetTimeFlags::empty()).unwrap();
    let result = call();
    drop(timer);
    runtime.block_on(signals.recv()).unwrap();
    result
}
