//! The longest command: traffic drawn by lot for hours, with far ends that come, go and are killed.

#![allow(clippy::print_stdout, reason = "a command that reports on its standard output")]

use std::{
    fs,
    time::{Duration, Instant},
};

use process_tests::{
    Holdings, cpu_time,
    traffic::{
        FAR_END, Program, play,
        soak::{self, Lot},
    },
};

const HELP: &str = "\
Sends messages of every size between this process and others that come and go, and checks every byte of them.

usage: soak [--seconds N] [--messages N] [--seed N]

  --seconds N    how long at least (7200)
  --messages N   how many at least, each way together (10000000000)
  --seed N       what the lots are drawn from (1)

A line a minute. Ends with an error when anything is lost, doubled, out of order or torn, and when descriptors, mappings,
threads or memory grow.";

/// Rounds after which the memory in use counts.
const WARM: u64 = 200;
/// What the allocator may keep beyond that, in KiB: two threads take whole rings of up to 64 MiB into memory of their own.
const KEPT: u64 = 256 << 10;

struct Settings {
    time: Duration,
    messages: u64,
    seed: u64,
}

fn main() -> Result<(), lexopt::Error> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(FAR_END) {
        play(args);
        return Ok(());
    }
    match settings()? {
        Some(settings) => soak(&settings),
        None => println!("{HELP}"),
    }
    Ok(())
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut settings = Settings { time: Duration::from_secs(7200), messages: 10_000_000_000, seed: 1 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("seconds") => settings.time = Duration::from_secs(parser.value()?.parse()?),
            Long("messages") => settings.messages = parser.value()?.parse()?,
            Long("seed") => settings.seed = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

#[derive(Default)]
struct Sum {
    rounds: u64,
    killed: u64,
    messages: u64,
    /// KiB in use: the most in the first rounds, and now.
    memory: (u64, u64),
}

/// What either end finds wrong is a panic.
fn soak(settings: &Settings) {
    let this = std::env::current_exe().expect("the path of this program");
    let program = Program(this.to_str().expect("a path in UTF-8"));
    let mut lot = Lot::new(settings.seed);
    let (start, holdings) = (Instant::now(), Holdings::now());
    let mut sum = Sum::default();
    let mut minutes = 0;
    while start.elapsed() < settings.time || sum.messages < settings.messages {
        let round = lot.draw();
        let outcome = soak::run(program, &round);
        sum.rounds += 1;
        sum.killed += u64::from(outcome.killed);
        sum.messages += outcome.messages;
        assert_eq!(Holdings::now(), holdings, "after {round:?}");
        sum.memory.1 = memory_in_use();
        if sum.rounds <= WARM {
            sum.memory.0 = sum.memory.0.max(sum.memory.1);
        }
        assert!(
            sum.memory.1 <= sum.memory.0 + KEPT,
            "{} KiB in use, {} after the first rounds",
            sum.memory.1,
            sum.memory.0
        );
        if start.elapsed().as_secs() / 60 > minutes {
            minutes = start.elapsed().as_secs() / 60;
            report("", &sum, start);
        }
    }
    report("ok: nothing lost, doubled, out of order or torn; ", &sum, start);
}

fn report(what: &str, sum: &Sum, start: Instant) {
    let Sum { rounds, killed, messages, memory: (first, now) } = sum;
    println!(
        "{what}{:.0} s, {rounds} rounds, {killed} far ends killed, {messages} messages, descriptors and mappings as at first, \
         {now} KiB in use ({first} at most in the first {WARM} rounds), {:.0} s of CPU here",
        start.elapsed().as_secs_f64(),
        cpu_time().as_secs_f64(),
    );
}

/// KiB of this process in memory, without what is shared: proc(5).
fn memory_in_use() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("the status of this process");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("the anonymous memory in use");
    line.trim_end_matches("kB").trim().parse::<u64>().expect("a number of KiB")
}
