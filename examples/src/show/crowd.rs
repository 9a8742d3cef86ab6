//! Eight clients at once: six talk, one is stopped by SIGSTOP in the middle of it, one falls silent in the handshake.

use std::{fmt, path::Path};

use nix::sys::signal::Signal;

use crate::{
    arguments::Outcome,
    show::{
        latency::Nanos,
        processes::{Process, Processes},
    },
};

/// Clients that do nothing but talk.
const TALKERS: usize = 6;

/// What the eight came to.
#[derive(Clone, Copy, Debug)]
pub struct Crowd {
    /// Messages that the talkers sent and got back.
    pub talked: u64,
    /// The same of the one that was stopped.
    pub stopped: u64,
    /// The longest time that any talker waited for a window of 64 messages, in nanoseconds.
    pub slowest: u64,
}

impl fmt::Display for Crowd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{TALKERS} clients got {} messages back, none of them waited longer than {} for 64 of them,",
            self.talked,
            Nanos(self.slowest)
        )?;
        write!(
            f,
            "while one was stopped (woken again, it missed none of its {}) and one silent in the handshake",
            self.stopped
        )
    }
}

/// Puts the eight on, each a process of its own.
///
/// # Errors
///
/// One of them failed, or had to wait for another.
pub fn crowd(processes: &Processes, socket: &Path) -> Outcome<Crowd> {
    let member = |manner| processes.start("member", socket, Some(manner));
    let mut silent = member("silent")?;
    silent.says("ready")?;
    let mut stopped = member("stops")?;
    stopped.says("ready")?;
    stopped.tell("go")?;
    stopped.is_stopped()?;

    let mut talkers = (0..TALKERS).map(|_| member("talks")).collect::<Result<Vec<_>, _>>()?;
    talkers.iter_mut().try_for_each(|talker| talker.says("ready").map(drop))?;
    talkers.iter_mut().try_for_each(|talker| talker.tell("go"))?;
    let mut crowd = Crowd { talked: 0, stopped: 0, slowest: 0 };
    for talker in &mut talkers {
        let (count, slowest) = done(processes, talker)?;
        crowd.talked += count;
        crowd.slowest = crowd.slowest.max(slowest);
    }

    stopped.signal(Signal::SIGCONT)?;
    (crowd.stopped, _) = done(processes, &mut stopped)?;
    silent.tell("enough")?;
    processes.reap(&silent)?;
    Ok(crowd)
}

/// Waits for a member's last words, which are two numbers, and for its end.
fn done(processes: &Processes, member: &mut Process) -> Outcome<(u64, u64)> {
    let words = member.says("done")?;
    let (count, slowest) = words.split_once(' ').ok_or("a client of the demo gave no numbers")?;
    let numbers = (count.parse()?, slowest.parse()?);
    processes.reap(member)?;
    Ok(numbers)
}
