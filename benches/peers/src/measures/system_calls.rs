//! How many system calls messages take, at the far end, which sends them or receives them.
//!
//! The kernel counts them where they begin (the tracepoint `raw_syscalls:sys_enter`), which holds up nobody and needs
//! root.

use std::fs;

use nix::unistd::{Pid, gettid};
use perf_event::{Builder, Counter, events::Tracepoint};

use super::{ANSWER, Values, receive, send, sleeps};
use crate::{
    plan::{Flow, Plan},
    system::{Receiver, Sender},
};

/// What is missing for system calls to be counted, if anything is.
pub fn missing() -> Option<String> {
    let error = fs::read_to_string(TRACEPOINT).err()?;
    Some(format!("it needs root and tracefs (mount -t tracefs tracefs /sys/kernel/tracing): {error}"))
}

const TRACEPOINT: &str = "/sys/kernel/tracing/events/raw_syscalls/sys_enter/id";
/// Messages of a stream.
const STREAM: u64 = 100_000;
/// Bursts.
const BURSTS: u64 = 50;

pub fn near<const N: usize>(
    flow: Flow,
    plan: &Plan,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
) -> Values {
    match flow {
        Flow::Sent => take(plan, receiver, stream(plan)),
        Flow::Received => {
            put(plan, sender, stream(plan));
            assert_eq!(receive(plan.drive, receiver), Ok(ANSWER));
        }
        Flow::Burst(messages) => {
            for _ in 0..bursts(plan) {
                // Tells who has to be asleep.
                send(plan.drive, sender, gettid().as_raw() as u64).expect("the far end is there");
                take(plan, receiver, u64::from(messages));
            }
        }
    }
    Values::new()
}

pub fn far<const N: usize>(
    flow: Flow,
    plan: &Plan,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
) -> Values {
    let (mut calls, number) = (Calls::new(), stream(plan));
    match flow {
        Flow::Sent => {
            let count = calls.of(|| put(plan, sender, number));
            Values::from([("calls/message".into(), count / number as f64)])
        }
        Flow::Received => {
            let count = calls.of(|| take(plan, receiver, number));
            send(plan.drive, sender, ANSWER).expect("the near end is there");
            Values::from([("calls/message".into(), count / number as f64)])
        }
        Flow::Burst(messages) => {
            let mut counts: Vec<f64> = (0..bursts(plan))
                .map(|_| {
                    let near = receive(plan.drive, receiver).expect("the near end is there");
                    while !sleeps(Pid::from_raw(near as i32)) {}
                    calls.of(|| put(plan, sender, u64::from(messages)))
                })
                .collect();
            counts.sort_by(f64::total_cmp);
            let mean = counts.iter().sum::<f64>() / counts.len() as f64;
            Values::from([("calls/burst".into(), mean), ("most calls/burst".into(), counts[counts.len() - 1])])
        }
    }
}

fn stream(plan: &Plan) -> u64 {
    if plan.quick { STREAM / 10 } else { STREAM }
}

fn bursts(plan: &Plan) -> u64 {
    if plan.quick { BURSTS / 10 } else { BURSTS }
}

fn put<const N: usize>(plan: &Plan, sender: &mut impl Sender<N>, messages: u64) {
    (0..messages).for_each(|number| send(plan.drive, sender, number).expect("the other end is there"));
}

fn take<const N: usize>(plan: &Plan, receiver: &mut impl Receiver<N>, messages: u64) {
    (0..messages).for_each(|number| assert_eq!(receive(plan.drive, receiver), Ok(number)));
}

/// Counts the system calls of this thread.
struct Calls(Counter);

impl Calls {
    fn new() -> Self {
        let id = fs::read_to_string(TRACEPOINT).expect("a tracepoint");
        let tracepoint = Tracepoint::with_id(id.trim().parse().expect("a number"));
        let counter = Builder::new(tracepoint).include_kernel().build();
        Self(counter.expect("perf_event_open(2), which needs root"))
    }

    /// How many a function makes. The one that ends the counting is not one of them.
    fn of(&mut self, function: impl FnOnce()) -> f64 {
        let before = self.0.read().expect("a count");
        self.0.enable().expect("a counter");
        function();
        self.0.disable().expect("a counter");
        let after = self.0.read().expect("a count");
        (after - before) as f64 - 1.0
    }
}
