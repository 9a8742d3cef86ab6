//! Whole messages between two processes, of which one is forked from the other when both ends are there.

use std::{io, process::exit};

use nix::{
    sys::{
        signal::{Signal, kill},
        wait::waitpid,
    },
    unistd::{ForkResult, Pid, alarm, fork},
};

use crate::{
    contents::ANSWER,
    cores::{HERE, pin},
    ends::PATIENCE,
    link::at_once,
    pace,
    plan::{Measure, Plan},
};

/// One end, which waits in its calls.
pub trait Exchange {
    /// Sends the message with that number.
    fn send(&mut self, number: u64) -> io::Result<()>;

    /// The number of the next message. Looks at every byte, and panics if they are not of one message.
    fn receive(&mut self) -> io::Result<u64>;
}

/// Runs a plan between this process and another one. Nanoseconds a round trip, or a message.
pub fn run(plan: Plan, mut near: impl Exchange, far: impl Exchange) -> io::Result<f64> {
    pin(HERE);
    alarm::set(PATIENCE);
    // SAFETY: there is one thread, so that no lock is left taken in the child.
    let far_process = match unsafe { fork() }? {
        ForkResult::Child => {
            drop(near);
            exit(match play(plan, far) {
                Ok(()) => 0,
                Err(why) => {
                    eprintln!("sockets: the far end of {}: {why}", plan.name());
                    1
                }
            })
        }
        ForkResult::Parent { child } => FarProcess(child),
    };
    drop(far);
    let found = at_once(pace::each(async |numbers| {
        for number in numbers {
            near.send(number)?;
            if plan.measure != Measure::OneWay {
                expect(&mut near, number)?;
            }
        }
        if plan.measure == Measure::OneWay {
            near.send(ANSWER)?;
            expect(&mut near, ANSWER)?;
        }
        Ok(())
    }));
    // Before the near end is closed: the far end takes the end of a connection for a failure.
    drop(far_process);
    alarm::cancel();
    found
}

/// Answers until it is killed.
fn play(plan: Plan, mut far: impl Exchange) -> io::Result<()> {
    alarm::set(PATIENCE);
    pin(plan.far_core());
    let mut next = 0;
    loop {
        let number = far.receive()?;
        if number != ANSWER {
            assert_eq!(number, next, "a message out of order");
            next += 1;
        }
        if number == ANSWER || plan.measure != Measure::OneWay {
            far.send(number)?;
        }
    }
}

fn expect(end: &mut impl Exchange, number: u64) -> io::Result<()> {
    assert_eq!(end.receive()?, number, "another answer");
    Ok(())
}

/// The far end, which is gone when this is dropped.
struct FarProcess(Pid);

impl Drop for FarProcess {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        let _ = waitpid(self.0, None);
    }
}
