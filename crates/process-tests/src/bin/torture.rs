//! The long command: every cell of the torture, one cell with many more messages, and long traffic between sleepers.

#![allow(clippy::print_stdout, reason = "a command that reports on its standard output")]

use std::time::Instant;

use process_tests::traffic::{
    FAR_END, Program, cells,
    hot::run_one,
    litmus::{self, Order},
    parked, play,
};

const HELP: &str = "\
Sends messages between two processes and checks every byte of them.

usage: torture [--cell N] [--one N] [--parked N] [--rounds N] [--bytes N]

  --cell N     messages in each cell, each way (1000000)
  --one N      messages in one more, each way, by xmit and recv (100000000)
  --parked N   messages between sleepers, each way (1000000)
  --rounds N   rounds of the store-buffer litmus (1000000)
  --bytes N    fewer messages in cells that would carry more bytes than this, each way (no limit)";

struct Settings {
    cell: u64,
    one: u64,
    parked: u64,
    rounds: u64,
    bytes: u64,
}

fn main() -> Result<(), lexopt::Error> {
    let mut args = std::env::args().skip(1);
    if args.next().as_deref() == Some(FAR_END) {
        play(args);
        return Ok(());
    }
    match settings()? {
        Some(settings) => torture(&settings),
        None => println!("{HELP}"),
    }
    Ok(())
}

fn settings() -> Result<Option<Settings>, lexopt::Error> {
    use lexopt::prelude::*;
    let mut settings =
        Settings { cell: 1_000_000, one: 100_000_000, parked: 1_000_000, rounds: 1_000_000, bytes: u64::MAX };
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Long("cell") => settings.cell = parser.value()?.parse()?,
            Long("one") => settings.one = parser.value()?.parse()?,
            Long("parked") => settings.parked = parser.value()?.parse()?,
            Long("rounds") => settings.rounds = parser.value()?.parse()?,
            Long("bytes") => settings.bytes = parser.value()?.parse()?,
            Short('h') | Long("help") => return Ok(None),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(settings))
}

/// What either end finds wrong is a panic.
fn torture(settings: &Settings) {
    let this = std::env::current_exe().expect("the path of this program");
    let program = Program(this.to_str().expect("a path in UTF-8"));
    let start = Instant::now();
    for cell in cells::all(settings.cell, settings.bytes) {
        timed(&cell.to_string(), || cells::run(program, &cell));
    }
    timed(&format!("{} each way by xmit and recv", settings.one), || run_one(program, settings.one));
    for (fence, barrier) in [(false, "membarrier"), (true, "fence")] {
        timed(&format!("{} there and back between sleepers, {barrier}", settings.parked), || {
            parked::ping_pong(program, settings.parked, fence);
        });
        timed(&format!("{} each way, both halves asleep, {barrier}", settings.parked), || {
            parked::split(program, settings.parked, fence);
        });
        timed(&format!("{} published into announcements, {barrier}", settings.parked), || {
            parked::publish_into_the_announcement(program, settings.parked, fence);
        });
        timed(&format!("{} taken into announcements, {barrier}", settings.parked), || {
            parked::take_into_the_announcement(program, settings.parked, fence);
        });
    }
    for order in [Order::Membarrier, Order::Fences] {
        timed(&format!("{} rounds of the store-buffer litmus, {order}", settings.rounds), || {
            let outcome = litmus::run(program, order, settings.rounds);
            assert_eq!(outcome.missed, 0, "{outcome:?}");
        });
    }
    println!("ok: nothing lost, doubled, out of order or torn in {:.0} s", start.elapsed().as_secs_f64());
}

fn timed(what: &str, run: impl FnOnce()) {
    let start = Instant::now();
    run();
    println!("{what}: {:.2} s", start.elapsed().as_secs_f64());
}
