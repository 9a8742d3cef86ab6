//! What it costs to be there: CPU time and context switches, while little happens or nothing.

use std::time::Duration;

use nix::sys::{
    prctl::set_timerslack,
    resource::{Usage, UsageWho, getrusage},
    time::TimeVal,
};

use super::{
    ANSWER, LONG_ENOUGH, STOP, Values, receive,
    schedule::{now, period, sleep_until, times},
    send,
};
use crate::{
    plan::Plan,
    system::{Receiver, Sender, Side},
};

/// How long a steady flow is watched.
const FLOW: Duration = Duration::from_millis(500);
/// How long an idle link is watched.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends so many messages a second and sleeps in between.
pub fn steady_near<const N: usize>(per_second: u32, plan: &Plan, sender: &mut impl Sender<N>) -> Values {
    // Or every sleep is 50 µs too long.
    set_timerslack(1).expect("a time");
    let time = if plan.quick { 2 * LONG_ENOUGH } else { FLOW };
    let spent = Spent::begin();
    for due in times(per_second, time.as_nanos() as u64 / period(per_second)) {
        if now() < due {
            sleep_until(due);
        }
        send(plan.drive, sender, due).expect("the far end is there");
    }
    send(plan.drive, sender, STOP).expect("the far end is there");
    spent.end(Side::Near)
}

/// Receives them.
pub fn steady_far<const N: usize>(per_second: u32, plan: &Plan, receiver: &mut impl Receiver<N>) -> Values {
    let mut number = || receive(plan.drive, receiver).expect("the near end says when it stops");
    let mut expected = number();
    let spent = Spent::begin();
    loop {
        expected += period(per_second);
        match number() {
            STOP => return spent.end(Side::Far),
            due => assert_eq!(due, expected, "the next message"),
        }
    }
}

/// Waits for a message that does not come for long.
pub fn idle_near<const N: usize>(plan: &Plan, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    send(plan.drive, sender, ANSWER).expect("the far end is there");
    let spent = Spent::begin();
    assert_eq!(receive(plan.drive, receiver), Ok(ANSWER));
    spent.end(Side::Near)
}

/// Sends it after a sleep.
pub fn idle_far<const N: usize>(plan: &Plan, sender: &mut impl Sender<N>, receiver: &mut impl Receiver<N>) -> Values {
    assert_eq!(receive(plan.drive, receiver), Ok(ANSWER));
    let pause = if plan.quick { 2 * LONG_ENOUGH } else { PAUSE };
    let spent = Spent::begin();
    sleep_until(now() + pause.as_nanos() as u64);
    let values = spent.end(Side::Far);
    send(plan.drive, sender, ANSWER).expect("the near end is there");
    values
}

/// Adds what both processes spent.
pub fn add_both(values: &mut Values) {
    for name in [CPU, SWITCHES] {
        let both = [Side::Near, Side::Far].map(|side| values.get(&of(side, name)));
        if let [Some(near), Some(far)] = both {
            values.insert(name.into(), near + far);
        }
    }
}

const CPU: &str = "CPU s/s";
const SWITCHES: &str = "switches/s";

fn of(side: Side, name: &str) -> String {
    match side {
        Side::Near => format!("near {name}"),
        Side::Far => format!("far {name}"),
    }
}

/// What this process has spent at some time.
struct Spent {
    at: u64,
    usage: Usage,
}

impl Spent {
    fn begin() -> Self {
        Self { at: now(), usage: getrusage(UsageWho::RUSAGE_SELF).expect("this process") }
    }

    /// What it spent in a second, in user and kernel mode, and how often it gave a core away or was pushed off it.
    fn end(&self, side: Side) -> Values {
        let end = Self::begin();
        let seconds = (end.at - self.at) as f64 / 1e9;
        let a_second = |of: fn(&Usage) -> f64| (of(&end.usage) - of(&self.usage)) / seconds;
        let cpu = a_second(|usage| seconds_of(usage.user_time()) + seconds_of(usage.system_time()));
        let switches =
            a_second(|usage| (usage.voluntary_context_switches() + usage.involuntary_context_switches()) as f64);
        Values::from([(of(side, CPU), cpu), (of(side, SWITCHES), switches)])
    }
}

fn seconds_of(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}
