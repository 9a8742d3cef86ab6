//! Messages go to the far end each at its time, whether it keeps up or not.

use std::{hint::spin_loop, time::Duration};

use super::{
    LONG_ENOUGH, STOP, Values,
    latencies::Latencies,
    receive,
    schedule::{now, period, times},
    send,
};
use crate::{
    plan::Plan,
    system::{Receiver, Sender},
};

/// How long they do.
const TIME: Duration = Duration::from_millis(100);

/// Sends each message when it is due, or as soon afterwards as there is room. Its number is the time at which it was
/// due.
pub fn near<const N: usize>(per_second: u32, plan: &Plan, sender: &mut impl Sender<N>) -> Values {
    let time = if plan.quick { LONG_ENOUGH } else { TIME };
    let count = warm_up(plan) + time.as_nanos() as u64 / period(per_second);
    let mut start = None;
    for due in times(per_second, count) {
        start.get_or_insert(due);
        while now() < due {
            spin_loop();
        }
        send(plan.drive, sender, due).expect("the far end is there");
    }
    let elapsed = now() - start.expect("at least one message");
    send(plan.drive, sender, STOP).expect("the far end is there");
    Values::from([("sent per second".into(), count as f64 * 1e9 / elapsed as f64)])
}

/// How late each message is, from the time at which it was due: what had to wait behind others, or was sent late,
/// counts as late.
pub fn far<const N: usize>(per_second: u32, plan: &Plan, receiver: &mut impl Receiver<N>) -> Values {
    let mut latencies = Latencies::new();
    let mut expected = None;
    for index in 0.. {
        let due = receive(plan.drive, receiver).expect("the near end says when it stops");
        if due == STOP {
            break;
        }
        let late = now() - due;
        assert_eq!(*expected.get_or_insert(due), due, "the next message");
        expected = Some(due + period(per_second));
        if index >= warm_up(plan) {
            latencies.add(Duration::from_nanos(late));
        }
    }
    latencies.percentiles()
}

/// Messages that come first, until everything was touched once.
fn warm_up(plan: &Plan) -> u64 {
    plan.capacity() as u64
}
