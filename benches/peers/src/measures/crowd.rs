//! Several pairs exchange messages at once.

use std::{sync::Barrier, thread, time::Duration};

use super::{LONG_ENOUGH, Values, round_trip};
use crate::{
    far_end::{FarProcess, STACK},
    plan::Plan,
    system::{BetweenProcesses, Side},
};

/// How long they do.
const TIME: Duration = Duration::from_millis(100);

/// The near ends of so many pairs, each in a thread of its own and with a far end in a process of its own, begin
/// together. Mean nanoseconds a round trip.
pub fn near<S: BetweenProcesses, const N: usize>(plan: &Plan, pairs: usize) -> Values {
    let time = if plan.quick { LONG_ENOUGH } else { TIME };
    let together = Barrier::new(pairs);
    let one = || {
        let (far, stream) = FarProcess::start(plan);
        let (mut sender, mut receiver) = S::open::<N>(Side::Near, stream, plan.shape());
        together.wait();
        let ns = round_trip::near_for(time, plan.drive, &mut sender, &mut receiver);
        far.end();
        ns
    };
    let all: Vec<f64> = thread::scope(|scope| {
        let start = |_| thread::Builder::new().stack_size(STACK).spawn_scoped(scope, one).expect("a thread");
        let threads: Vec<_> = (0..pairs).map(start).collect();
        threads.into_iter().map(|thread| thread.join().expect("a pair succeeds")).collect()
    });
    Values::from([("ns".into(), all.iter().sum::<f64>() / pairs as f64)])
}
