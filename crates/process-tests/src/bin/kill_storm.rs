//! The long command: processes that are killed under load. See `process_tests::storm`.

#![allow(clippy::print_stdout, reason = "a command that reports on its standard output")]

use std::time::{Duration, Instant};

use process_tests::{
    Holdings, Watchdog,
    storm::{VICTIM, kills, listeners, victim::play},
};

const HELP: &str = "\
Kills processes that send, receive, do both, or listen, at full speed and at random times.

usage: kill_storm [--kills N] [--listeners N] [--seed N]

  --kills N      processes with a peer (2000)
  --listeners N  listeners with clients that come and go (200)
  --seed N       of the random times (taken from the clock)";

/// Nothing that is asked for takes so long.
const HANG: Duration = Duration::from_secs(7200);

struct Settings {
    kills: usize,
    listeners: usize,
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
    let clock = std::time::UNIX_EPOCH.elapsed().map_or(0, |time| time.as_secs());
    let mut settings = Settings { kills: 2000, listeners: 200, seed: clock };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("kills") => settings.kills = parser.value()?.parse()?,
            Long("listeners") => settings.listeners = parser.value()?.parse()?,
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
    println!("seed {}", settings.seed);
    let _watchdog = Watchdog::new("a survivor", HANG);
    let (start, before) = (Instant::now(), Holdings::now());
    let raged = kills::rage(program, settings.kills, settings.seed);
    println!("{raged:?}, {:.1} s", start.elapsed().as_secs_f64());
    let listened = listeners::rage(program, settings.listeners, settings.seed);
    println!("{listened:?}, {:.1} s", start.elapsed().as_secs_f64());
    // A thread that was joined may be in the list for a moment more.
    let patience = Instant::now();
    while Holdings::now() != before && patience.elapsed().as_secs() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(Holdings::now(), before, "what this process holds");
    println!(
        "ok: {} kills, {} elements delivered, none lost, doubled or torn, nothing left behind, {:.0} s, seed {}",
        raged.kills + listened.kills,
        raged.received + raged.taken,
        start.elapsed().as_secs_f64(),
        settings.seed
    );
}
