//! Where the near end is: in a process of its own, so that every run begins alike, and none that hangs or fails harms
//! another.

use std::{
    env,
    fs::File,
    io::{self, Read, Seek},
    os::{fd::AsFd, unix::process::CommandExt},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use memfd::MemfdOptions;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        prctl::set_pdeathsig,
        signal::{Signal, killpg},
    },
    unistd::{Pid, getppid},
};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::{interrupt::Interrupt, measures::Values, plan::Plan, scratch::Scratch, table};

/// The first argument of this program when it is to be the near end; the plan is the second.
const NEAR_END: &str = "--near-end";
/// A run that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(30);
/// A run that the user interrupts may go on for so long, so that it can tidy up after itself.
const GRACE: Duration = Duration::from_secs(3);

/// If this program was started as the near end: plays it, and returns `true` when it is over.
pub fn play() -> bool {
    let mut arguments = env::args().skip(1);
    if arguments.next().as_deref() != Some(NEAR_END) {
        return false;
    }
    let plan: Plan = serde_json::from_str(&arguments.next().expect("a plan")).expect("a plan that this program made");
    end_with_parent();
    let values = table::system(&plan.system).run(&plan);
    println!("{}", serde_json::to_string(&values).expect("numbers"));
    true
}

/// From now on this process is killed when the one that started it ends, however that ends.
pub fn end_with_parent() {
    set_pdeathsig(Signal::SIGKILL).expect("a signal");
    assert!(getppid() != Pid::from_raw(1), "the process that started this one is gone");
}

/// How a run ended.
#[derive(Debug)]
pub enum Outcome {
    Found(Values),
    /// It failed, for this reason.
    Failed(String),
    /// The user did not want to wait for its end.
    Interrupted,
}

/// Runs a plan in a process of its own. When this returns, that process and all that it started are gone.
pub fn run(plan: &Plan, interrupt: &Interrupt) -> io::Result<Outcome> {
    let mut near = Near::start(plan)?;
    let end = near.wait(interrupt)?;
    near.kill();
    let status = near.child.wait()?;
    Ok(match end {
        End::Hung => Outcome::Failed(format!("no end within {} s", LONGEST.as_secs())),
        End::Interrupted => Outcome::Interrupted,
        End::Ended if status.success() => match serde_json::from_str(&text(&mut near.found)?) {
            Ok(values) => Outcome::Found(values),
            Err(error) => Outcome::Failed(format!("what it found cannot be read: {error}")),
        },
        End::Ended => {
            let said = text(&mut near.said)?;
            let lines = said.lines().filter(|line| !line.is_empty() && !line.starts_with("note: "));
            Outcome::Failed([status.to_string().as_str()].into_iter().chain(lines).collect::<Vec<_>>().join("; "))
        }
    })
}

enum End {
    Ended,
    Hung,
    Interrupted,
}

/// A near end, the leader of a group of processes to which the far end belongs too.
struct Near {
    child: Child,
    /// Its standard output and error, which are memory, so that it never waits for a reader.
    found: File,
    said: File,
    /// What it leaves there goes with this.
    _scratch: Scratch,
}

impl Near {
    fn start(plan: &Plan) -> io::Result<Self> {
        let memory = || MemfdOptions::default().create("output").map(|memory| memory.into_file());
        let [found, said] = [memory(), memory()].map(|file| file.map_err(io::Error::other));
        let (found, said) = (found?, said?);
        let scratch = Scratch::new()?;
        let child = Command::new(env::current_exe()?)
            .args([NEAR_END, &serde_json::to_string(plan)?])
            .envs([scratch.environment()])
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(found.try_clone()?)
            .stderr(said.try_clone()?)
            .spawn()?;
        Ok(Self { child, found, said, _scratch: scratch })
    }

    /// Waits for its end, but not longer than it may take.
    fn wait(&self, interrupt: &Interrupt) -> io::Result<End> {
        let id = rustix::process::Pid::from_child(&self.child);
        let process = pidfd_open(id, PidfdFlags::empty())?;
        let mut deadline = Instant::now() + LONGEST;
        let mut interrupts = interrupt.count();
        loop {
            let mut waited = [process.as_fd(), interrupt.as_fd()].map(|source| PollFd::new(source, PollFlags::POLLIN));
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).expect("seconds");
            match poll(&mut waited, timeout) {
                Ok(0) if left.is_zero() => return Ok(if interrupts > 0 { End::Interrupted } else { End::Hung }),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
            if waited[0].any() == Some(true) {
                return Ok(End::Ended);
            }
            if interrupt.count() > interrupts {
                // The first one hurries, the second one ends.
                deadline = if interrupts == 0 { deadline.min(Instant::now() + GRACE) } else { Instant::now() };
                interrupts = interrupt.count();
            }
        }
    }

    /// Kills what is left of the group. The leader has not been waited for, so its number is no other's.
    fn kill(&self) {
        let _ = killpg(Pid::from_raw(self.child.id() as i32), Signal::SIGKILL);
    }
}

impl Drop for Near {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

fn text(file: &mut File) -> io::Result<String> {
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}
