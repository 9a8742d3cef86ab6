//! The honest side: an end of the library that meets the hostile program, and what is asserted about it.

#![allow(clippy::print_stdout, reason = "what was played, skipped or slow stands in the test's output")]

pub(crate) mod bystander;
pub(crate) mod item;
pub(crate) mod open;

use std::{
    os::unix::{net::UnixStream, process::ExitStatusExt},
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use bystander::Bystander;
use evil_peer::{
    cases::{self, Case},
    expect::{Expect, Honest, Waits},
    kind::Kind,
    segment::SLOTS,
    things::HELD,
    wire,
};
use ipc_queue::{Consumer, Error, Options, Producer, Refused, Role, Wait, duplex};
use item::{Item, Large};
use process_tests::{Holdings, Peer, Watchdog};

const EVIL: &str = env!("CARGO_BIN_EXE_evil-peer");

/// Longer than anything takes, and shorter than the watchdog's patience.
pub(crate) const SOON: Duration = Duration::from_secs(10);
/// After so much that went wrong, no more is played.
const ENOUGH: usize = 20;
const PATIENCE: Duration = Duration::from_secs(60);

/// The end under test, open.
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum Open<T> {
    Consumer(Consumer<T>),
    Producer(Producer<T>),
    Duplex(Producer<T>, Consumer<T>),
}

impl<T> Open<T> {
    pub(crate) fn halves(&mut self) -> (Option<&mut Producer<T>>, Option<&mut Consumer<T>>) {
        match self {
            Self::Consumer(consumer) => (None, Some(consumer)),
            Self::Producer(producer) => (Some(producer), None),
            Self::Duplex(producer, consumer) => (Some(producer), Some(consumer)),
        }
    }
}

fn meet<T: Item>(kind: Kind, stream: UnixStream, options: &Options) -> Result<Open<T>, Error> {
    match kind {
        Kind::Consumer => Consumer::new(stream, options).map(Open::Consumer),
        Kind::Producer => Producer::new(stream, options).map(Open::Producer),
        Kind::DuplexServer => duplex(stream, Role::Server, options).map(|(p, c)| Open::Duplex(p, c)),
        Kind::DuplexClient => duplex(stream, Role::Client, options).map(|(p, c)| Open::Duplex(p, c)),
    }
}

fn options(honest: &Honest) -> Options {
    Options::new()
        .capacity(SLOTS as usize)
        .schema(honest.schema)
        .max_segment(honest.limit)
        .start_position(honest.start)
        .wait(match honest.waits {
            Waits::Adaptive => Wait::Adaptive,
            Waits::Spinning => Wait::Spin,
            Waits::Asleep => Wait::Sleep,
        })
        .handshake_timeout(Duration::from_millis(honest.handshake))
}

/// Has every kind of end meet every case of a group, with a connection to somebody else beside it.
pub(crate) fn run(group: &str) {
    let only = std::env::var("EVIL_CASE").unwrap_or_default();
    let cases: Vec<Case> = cases::all().into_iter().filter(|case| case.group == group).collect();
    assert!(!cases.is_empty(), "no cases in {group}");
    assert!(cases::all().iter().any(|case| case.name.contains(&only)), "no case has {only:?} in its name");
    let (mut played, mut wrong) = (0, Vec::new());
    let started = Instant::now();
    let bystander = Bystander::start();
    for case in cases.iter().filter(|case| case.name.contains(&only)) {
        if let Some(why) = &case.lacks {
            process_tests::skipped(&format!("{}: {why}", case.name));
            continue;
        }
        for &kind in case.kinds {
            if wrong.len() == ENOUGH {
                break;
            }
            played += 1;
            let begun = Instant::now();
            let result = catch_unwind(AssertUnwindSafe(|| play(case, kind, &bystander)));
            if begun.elapsed() > Duration::from_secs(1) {
                println!("slow: {} {}: {:.1} s", case.name, kind.name(), begun.elapsed().as_secs_f64());
            }
            if let Err(panic) = result {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
                wrong.push(format!("{} {}: {text}", case.name, kind.name()));
            }
        }
    }
    bystander.end();
    println!("{group}: {played} meetings in {:.1} s", started.elapsed().as_secs_f64());
    assert!(wrong.is_empty(), "{} of {played} went wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// One meeting. Whatever is wrong is a panic.
fn play(case: &Case, kind: Kind, bystander: &Bystander) {
    // Named for the watchdog, which wants it for ever.
    let _watchdog = Watchdog::new(Box::leak(format!("{} {}", case.name, kind.name()).into_boxed_str()), PATIENCE);
    bystander.goes_on();
    let exchanged = bystander.exchanged();
    let before = Holdings::now();
    let (mut evil, stream) = Peer::start(EVIL, &[&case.name, kind.name()]);
    if case.honest.late {
        assert!(wire::until_readable(&stream, SOON), "the hostile peer says nothing");
    }
    let started = Instant::now();
    match case.honest.words {
        1 => meet_and_judge::<u64>(case, kind, stream),
        _ => meet_and_judge::<Large>(case, kind, stream),
    }
    if case.honest.prompt {
        assert!(started.elapsed() < HELD / 2, "held up for {:?}", started.elapsed());
    }
    let status = evil.wait();
    if case.dies {
        assert_eq!(status.signal(), Some(9), "the hostile peer: {status}");
    } else {
        assert!(status.success(), "the hostile peer: {status}");
    }
    drop(evil);
    assert_holds(before);
    // All the while, not only now, however slow the machine is.
    let least = started.elapsed().as_secs() / 4;
    let exchanged = bystander.exchanged() - exchanged;
    assert!(exchanged >= least, "the bystander exchanged {exchanged} times in {:?}", started.elapsed());
    bystander.goes_on();
}

fn meet_and_judge<T: Item>(case: &Case, kind: Kind, stream: UnixStream) {
    let started = Instant::now();
    let result = meet::<T>(kind, stream, &options(&case.honest));
    judge(result, started.elapsed(), &case.honest, &case.expect(kind));
}

/// Descriptors, mappings and threads are as before. A thread that was joined may be in the list for a moment more.
fn assert_holds(before: Holdings) {
    let until = Instant::now() + SOON;
    while Holdings::now() != before && Instant::now() < until {
        std::thread::yield_now();
    }
    assert_eq!(Holdings::now(), before, "something is left behind");
}

fn judge<T: Item>(result: Result<Open<T>, Error>, took: Duration, honest: &Honest, expect: &Expect) {
    match (result, expect) {
        (Err(Error::Refused(refused)), Expect::Refused { reason, here, there }) => {
            let fits =
                (refused.reason() as u16, refused.here()) == (*reason, *here) && there.contains(&refused.there());
            assert!(fits && !refused.by_peer(), "{refused:?} instead of {expect:?}");
            assert_printable(&refused);
        }
        (Err(Error::Refused(refused)), &Expect::RefusedByPeer { reason, here, there }) => {
            let found = (refused.reason() as u16, refused.here(), refused.there());
            assert!(found == (reason, here, there) && refused.by_peer(), "{refused:?} instead of {expect:?}");
            assert_printable(&refused);
        }
        (Err(Error::TimedOut { after }), Expect::TimedOut) => {
            assert_eq!(after, Duration::from_millis(honest.handshake));
            assert!(took >= after, "gave up after {took:?}, before {after:?}");
            assert!(took < after * 20 + Duration::from_secs(2), "gave up after {took:?} only");
        }
        (Err(Error::Disconnected), Expect::Disconnected) => {}
        (Ok(open), Expect::Opens(then)) => open::use_it(open, then),
        (Ok(_), expect) => panic!("open instead of {expect:?}"),
        (Err(error), expect) => panic!("{error:?} instead of {expect:?}"),
    }
}

/// Nothing in the text can take hold of a terminal or turn it around.
fn assert_printable(refused: &Refused) {
    for text in [refused.to_string(), format!("{refused:?}")] {
        let wild = |c: char| {
            c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c)
        };
        assert!(!text.chars().any(wild), "{text:?}");
    }
}
