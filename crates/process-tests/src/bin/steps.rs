//! The long command: death at every step. See `process_tests::steps`.

#![allow(clippy::print_stdout, reason = "a command that reports on its standard output")]

use std::time::{Duration, Instant};

use process_tests::{
    Holdings, Watchdog,
    steps::{
        VICTIM,
        ends::End,
        fates::Fate,
        handshake,
        samples::{self, Met},
        scene::By,
        victim::play,
    },
};

const HELP: &str = "\
Stops a process at each instruction and each system call, and there looks at it, kills it, stops it, or overtakes it.

usage: steps [--checks N] [--kills N] [--stops N] [--overtakes N] [--nth N] [--seed N]

  --checks N     looks at what a victim has published or taken, where it stands (20000)
  --kills N      victims killed at an instruction (1000)
  --stops N      victims stopped there, and let go again (1000)
  --overtakes N  victims there whose peer sleeps, or gives them what they wait for (1000)
  --nth N        of the system calls, every so many-th stop of a handshake, every stop of so many-th cell (1)
  --seed N       (0)";

/// Nothing that is asked for takes so long.
const HANG: Duration = Duration::from_secs(7200);

struct Settings {
    checks: u64,
    counts: [usize; 3],
    nth: usize,
    seed: u64,
}

fn main() -> Result<(), lexopt::Error> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(VICTIM) {
        play(args);
        return Ok(());
    }
    match settings()? {
        Some(settings) => run(&settings),
        None => println!("{HELP}"),
    }
    Ok(())
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut settings = Settings { checks: 20_000, counts: [1000; 3], nth: 1, seed: 0 };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("checks") => settings.checks = parser.value()?.parse()?,
            Long("kills") => settings.counts[0] = parser.value()?.parse()?,
            Long("stops") => settings.counts[1] = parser.value()?.parse()?,
            Long("overtakes") => settings.counts[2] = parser.value()?.parse()?,
            Long("nth") => settings.nth = parser.value()?.parse()?,
            Long("seed") => settings.seed = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

/// What is found wrong is a panic.
fn run(settings: &Settings) {
    let this = std::env::current_exe().expect("the path of this program");
    let program = this.to_str().expect("a path in UTF-8");
    let _watchdog = Watchdog::new("a victim or its peer", HANG);
    let (start, before) = (Instant::now(), Holdings::now());
    timed("looks", || samples::looks(program, settings.checks, settings.seed));
    for (fate, count) in Fate::ALL.into_iter().zip(settings.counts) {
        timed(&format!("instructions, {fate:?}"), || {
            samples::some(program, By::Instruction, fate, count, settings.seed)
        });
    }
    timed("every instruction, Overtaken", || {
        samples::every(program, By::Instruction, Fate::Overtaken, &samples::wakers_and_sleepers())
    });
    for fate in Fate::ALL {
        timed(&format!("system calls, {fate:?}"), || samples::all(program, By::Call, fate, settings.nth));
    }
    for fate in [handshake::Fate::Killed, handshake::Fate::GivenUp, handshake::Fate::Continued] {
        for end in End::ALL {
            let meet = || -> Met { samples::handshakes(program, end, fate, settings.nth) };
            timed(&format!("handshake, {end:?} {fate:?}"), meet);
        }
    }
    assert_eq!(Holdings::now(), before, "what this process holds");
    println!(
        "ok: nothing lost, torn, doubled or left behind in {:.0} s, seed {}",
        start.elapsed().as_secs_f64(),
        settings.seed
    );
}

fn timed<R: std::fmt::Debug>(what: &str, run: impl FnOnce() -> R) {
    let start = Instant::now();
    let result = run();
    println!("{what}: {result:?}, {:.1} s", start.elapsed().as_secs_f64());
}
