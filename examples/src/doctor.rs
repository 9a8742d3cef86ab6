//! `doctor`: what this machine gives, and what is lost without.

use std::{
    fs,
    io::{self, Write},
    thread,
};

use memenpsf::Support;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::arguments::{Arguments, Command, Outcome};

/// `ipc-client doctor`.
pub const COMMAND: Command = Command { name: "ipc-client doctor", help: HELP, takes: &[], run };

const HELP: &str = "\
Tells what this machine gives, a line each, and what is lost without. The exit code is 1 when
nothing works here.

Usage: ipc-client doctor
";

fn run(_: &Arguments) -> Outcome {
    let support = Support::probe();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_else(|_| "unknown".into());
    let cores = thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let (files, _) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let (bytes, _) = getrlimit(Resource::RLIMIT_FSIZE)?;

    let mut out = io::stdout().lock();
    let mut line = |what, found: &str, meaning| writeln!(out, "{what:<14}{found:<22}{meaning}");
    line("kernel", kernel.trim(), "5.1 is needed; 6.5 notices every death")?;
    line("sealed memfd", yes(support.sealed_memfd), "without: nothing works")?;
    line("membarrier", yes(support.membarrier), "without: a fence of 10 to 40 ns for each message")?;
    line("pidfd", yes(support.pidfd), "without: a dead peer whose child keeps its socket open goes unnoticed")?;
    line("cores", &cores.to_string(), "with one: a round trip waits for the scheduler, some 3 µs")?;
    line("RLIMIT_NOFILE", &limit(files), "descriptors of a process: an open interface holds 3, and 5 while it opens")?;
    line("RLIMIT_FSIZE", &limit(bytes), "bytes of a segment: larger ones are refused with an error")?;
    if support.sealed_memfd { Ok(()) } else { Err("this kernel cannot seal memory: nothing works here".into()) }
}

fn yes(found: bool) -> &'static str {
    if found { "yes" } else { "no" }
}

fn limit(value: u64) -> String {
    if value == RLIM_INFINITY { "unlimited".into() } else { value.to_string() }
}
