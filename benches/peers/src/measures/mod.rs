//! What is measured, each as what the near end does and what the far end does.

pub mod crowd;
pub mod death;
mod latencies;
pub mod links;
pub mod one_way;
pub mod open_load;
pub mod passing;
pub mod round_trip;
mod schedule;
pub mod system_calls;
pub mod usage;

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

use nix::unistd::Pid;

use crate::{
    plan::Drive,
    system::{Gone, Receiver, Sender, Words},
};

/// What a run found, by name. A name tells the unit.
pub type Values = BTreeMap<String, f64>;

/// The number of a message that asks for an answer.
const ANSWER: u64 = u64::MAX - 1;
/// The number of a message that ends the run.
const STOP: u64 = u64::MAX;
/// A measurement is repeated with twice as much until it takes this long.
const LONG_ENOUGH: Duration = Duration::from_millis(25);

/// Writes all of a message.
#[inline(always)]
fn fill<const N: usize>(number: u64) -> impl Fn(&mut Words<N>) {
    move |message| message.fill(number)
}

/// Reads all of a message, whose words must be the same, and returns its number.
#[inline(always)]
fn number<const N: usize>(message: &Words<N>) -> u64 {
    let first = message[0];
    // Without a branch a word, so that it is as fast as memory.
    let differs = message.iter().fold(0, |differs, word| differs | (word ^ first));
    assert!(differs == 0, "message {first} is torn");
    first
}

/// Seconds and count of the first run that took long enough, where `run` does something so many times.
fn calibrated(mut run: impl FnMut(u64)) -> (f64, u64) {
    let mut count = 64;
    loop {
        let start = Instant::now();
        run(count);
        let elapsed = start.elapsed();
        if elapsed >= LONG_ENOUGH {
            return (elapsed.as_secs_f64(), count);
        }
        // The first one may be slow because everything is new.
        count *= if elapsed < LONG_ENOUGH / 8 { 4 } else { 2 };
    }
}

/// Sends a message in the way of the drive.
#[inline(always)]
fn send<const N: usize>(drive: Drive, sender: &mut impl Sender<N>, number: u64) -> Result<(), Gone> {
    if drive != Drive::Spin {
        return sender.send(fill(number));
    }
    while !sender.try_send(fill(number))? {}
    Ok(())
}

/// Receives a message in the way of the drive, and returns its number.
#[inline(always)]
fn receive<const N: usize>(drive: Drive, receiver: &mut impl Receiver<N>) -> Result<u64, Gone> {
    let mut found = 0;
    if drive != Drive::Spin {
        receiver.receive(|message| found = number(message))?;
        return Ok(found);
    }
    while !receiver.try_receive(|message| found = number(message))? {}
    Ok(found)
}

/// Whether a thread of any process sleeps.
fn sleeps(thread: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{thread}/stat")).expect("proc(5)");
    stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('S'))
}
