//! The far process is killed, and the near end has to learn of it.

use std::{
    hint::spin_loop,
    process,
    sync::{
        atomic::{AtomicBool, Ordering::*},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use nix::unistd::gettid;

use super::{STOP, Values, latencies::Latencies, receive, send, sleeps};
use crate::{
    cores::{THERE, pin},
    far_end::FarProcess,
    plan::{Drive, Plan},
    system::{BetweenProcesses, Side},
};

/// After this it is taken for granted that the near end never learns of it.
const NEVER: Duration = Duration::from_secs(5);

/// So many far processes are killed, one after the other. How long the near end takes to notice.
pub fn near<S: BetweenProcesses, const N: usize>(plan: &Plan, kills: usize) -> Values {
    let mut latencies = Latencies::new();
    for kill in 0..if plan.quick { 5 } else { kills } {
        latencies.add(one::<S, N>(plan, kill));
    }
    latencies.percentiles()
}

/// From just before the kill, which comes from the far end's core, until the receiving call of the near end says so.
fn one<S: BetweenProcesses, const N: usize>(plan: &Plan, kill: usize) -> Duration {
    let (far, stream) = FarProcess::start(plan);
    let (mut sender, mut receiver) = S::open::<N>(Side::Near, stream, plan.shape());
    send(plan.drive, &mut sender, 0).expect("the far end is there");
    assert_eq!(receive(plan.drive, &mut receiver), Ok(0));
    let (near, waits) = (gettid(), AtomicBool::new(false));
    let (noticed, notice) = mpsc::channel();
    thread::scope(|scope| {
        let (far, waits) = (&far, &waits);
        let killing = scope.spawn(move || {
            pin(THERE);
            while !waits.load(Acquire) {
                spin_loop();
            }
            if plan.drive == Drive::Spin {
                // Not always at the same point of what the near end does now and then.
                thread::sleep(Duration::from_micros(1000 + 370 * (kill as u64 % 8)));
            } else {
                while !sleeps(near) {}
            }
            let at = Instant::now();
            far.kill();
            if notice.recv_timeout(NEVER) == Err(mpsc::RecvTimeoutError::Timeout) {
                eprintln!("{} does not notice that the other process is dead", plan.system);
                process::exit(1);
            }
            at
        });
        waits.store(true, Release);
        let received = receive(plan.drive, &mut receiver);
        let at = Instant::now();
        noticed.send(()).expect("the killer waits for it");
        assert!(received.is_err(), "message {} from a dead process", received.unwrap_or(STOP));
        at - killing.join().expect("the killer does not fail")
    })
}
