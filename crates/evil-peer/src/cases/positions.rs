//! Live words that lie: positions, wake words, "finished", and slots that change while they are read.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use super::Case;
use crate::{
    expect::{End, Expect, Lie, Then, Waits, gives, takes, works},
    frames::accept,
    kind::{ALL, Kind, RECEIVING, SENDING},
    raw::{Evil, Raw},
    segment::{FINISHED, HEAD, LIVE, SLOTS, Segment, TAIL, WAKE_HEAD, WAKE_TAIL},
    wire,
};

const GROUP: &str = "positions";

/// Where a ring may start.
const STARTS: [u64; 4] = [0, 1 << 32, (1 << 63) - 2, u64::MAX - 4];

/// Steps away from where it is right, as wrapping differences.
const STEPS: [u64; 17] = [
    0,
    1,
    2,
    SLOTS - 1,
    SLOTS,
    SLOTS + 1,
    SLOTS + 2,
    2 * SLOTS,
    1 << 31,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 63) + 1,
    u64::MAX - SLOTS,
    u64::MAX - SLOTS + 1,
    u64::MAX - 1,
    u64::MAX,
];

/// Elements that are as they should be, before a lie.
const GOOD: u64 = 3;

/// Numbers that mean something somewhere.
const NUMBERS: [u64; 8] = [0, 1, SLOTS, 1 << 31, 1 << 32, 1 << 63, u64::MAX - 1, u64::MAX];

pub(super) fn add(cases: &mut Vec<Case>) {
    tails(cases);
    heads(cases);
    finished(cases);
    wake_words(cases);
    before_an_accept(cases);
    changing(cases);
    slots(cases);
}

fn at_start(evil: Evil, start: u64) -> Raw {
    let mut offer = evil.offer();
    offer.start_at(start);
    evil.open_with(offer, wire::send)
}

/// Three elements are published and taken, then the tail moves by a step from there.
fn tails(cases: &mut Vec<Case>) {
    for start in STARTS {
        for step in STEPS {
            cases.push(tail(start, step));
        }
    }
    for start in [0, u64::MAX - 4] {
        STEPS.into_iter().for_each(|step| cases.push(tail(start, step).large()));
    }
    for waits in [Waits::Spinning, Waits::Asleep] {
        STEPS.into_iter().for_each(|step| cases.push(tail(0, step).waiting(waits)));
    }
    tails_and_ends(cases);
}

/// A wrong tail, and the end at once: the wrong tail is what is reported.
fn tails_and_ends(cases: &mut Vec<Case>) {
    type Way = fn(&Raw);
    let ways: [(&str, bool, Way); 3] = [
        ("finished", false, |raw| {
            raw.segment.set(FINISHED, 1);
            raw.ring();
            raw.until_over();
        }),
        ("gone", false, |_| {}),
        ("killed", true, |_| super::ends::die()),
    ];
    for (name, dies, way) in ways {
        let tail = GOOD + SLOTS + 1;
        let deed = move |evil: Evil| {
            let raw = evil.open();
            raw.segment.publish(0, GOOD);
            raw.ring();
            if raw.until(HEAD, GOOD) {
                raw.segment.set(TAIL, tail);
                way(&raw);
            }
        };
        let expect = move |_| takes(GOOD, End::TailOutOfRange { tail, head: GOOD });
        cases.push(Case { dies, ..Case::new(GROUP, format!("wrong-tail-and-{name}"), RECEIVING, deed, expect) });
        if name != "finished" {
            let deed = move |evil: Evil| {
                let raw = evil.open();
                if raw.until(TAIL, SLOTS) {
                    raw.segment.set(HEAD, 100);
                    way(&raw);
                }
            };
            let expect = move |_| gives(SLOTS, End::HeadOutOfRange { head: 100, tail: SLOTS });
            cases.push(Case { dies, ..Case::new(GROUP, format!("wrong-head-and-{name}"), SENDING, deed, expect) });
        }
    }
}

/// What is wrong from the start, before the honest end may look.
fn before_an_accept(cases: &mut Vec<Case>) {
    let far = 100;
    let words = [
        ("tail", TAIL, far, RECEIVING, takes(0, End::TailOutOfRange { tail: far, head: 0 })),
        ("finished", FINISHED, 1, RECEIVING, takes(0, End::Finished)),
        ("finished-is-wrong", FINISHED, 7, RECEIVING, takes(0, End::FinishedWord { value: 7 })),
        ("head", HEAD, far, SENDING, gives(SLOTS, End::HeadOutOfRange { head: far, tail: SLOTS })),
    ];
    for (name, word, value, kinds, expect) in words {
        let deed = move |evil: Evil| {
            let offer = evil.offer();
            let raw = evil.meet(offer, wire::send);
            raw.segment.set(word, value);
            wire::send(&raw.stream, &accept(), &[]);
            raw.until_over();
        };
        cases.push(Case::new(GROUP, format!("{name}-before-an-accept"), kinds, deed, move |_| expect.clone()));
    }
}

fn tail(start: u64, step: u64) -> Case {
    let at = start.wrapping_add(GOOD);
    let deed = move |evil: Evil| {
        let raw = at_start(evil, start);
        raw.segment.publish(start, GOOD);
        raw.ring();
        if raw.until(HEAD, at) {
            // What may be taken is what it should be.
            (0..SLOTS).map(|n| at.wrapping_add(n)).for_each(|position| raw.segment.put(position, position));
            raw.segment.set(TAIL, at.wrapping_add(step));
            raw.ring();
            raw.until_over();
        }
    };
    let expect = move |_| {
        let (n, end) = match step {
            0..=SLOTS => (GOOD + step, End::Silence),
            _ => (GOOD, End::TailOutOfRange { tail: at.wrapping_add(step), head: at }),
        };
        Expect::Opens(Then::Takes { start, n: n..=n, end })
    };
    Case::new(GROUP, format!("tail-from-{start}-by-{step}"), RECEIVING, deed, expect)
}

/// The ring is filled, three elements are taken, as many sent again; then the head moves by a step from there.
fn heads(cases: &mut Vec<Case>) {
    for start in STARTS {
        for step in STEPS {
            let (head, tail) = (start.wrapping_add(GOOD), start.wrapping_add(GOOD + SLOTS));
            let deed = move |evil: Evil| {
                let raw = evil.open();
                if !raw.until(TAIL, start.wrapping_add(SLOTS)) {
                    return;
                }
                raw.segment.set(HEAD, head);
                raw.ring();
                if raw.until(TAIL, tail) {
                    raw.segment.set(HEAD, head.wrapping_add(step));
                    raw.ring();
                    raw.until_over();
                }
            };
            let expect = move |_| match step {
                0..=SLOTS => gives(SLOTS + GOOD + step, End::Silence),
                _ => gives(SLOTS + GOOD, End::HeadOutOfRange { head: head.wrapping_add(step), tail }),
            };
            let case = Case::new(GROUP, format!("head-from-{start}-by-{step}"), SENDING, deed, expect);
            cases.push(case.with(|honest| honest.start = start));
        }
    }
}

fn finished(cases: &mut Vec<Case>) {
    for value in NUMBERS {
        let end = match value {
            0 => End::Silence,
            1 => End::Finished,
            value => End::FinishedWord { value },
        };
        let deed = move |evil: Evil| {
            let raw = evil.open();
            raw.segment.publish(0, 3);
            raw.ring();
            if raw.until(HEAD, 3) {
                raw.segment.set(FINISHED, value);
                raw.ring();
                raw.until_over();
            }
        };
        let expect = move |_| Expect::Opens(Then::Takes { start: 0, n: 3..=3, end });
        cases.push(Case::new(GROUP, format!("finished-{value}"), RECEIVING, deed, expect));
    }
    // Finished is finished, whatever comes behind it.
    let on = |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        raw.segment.set(FINISHED, 1);
        raw.ring();
        let mut tail = 3;
        while !wire::is_over(&raw.stream) {
            if raw.seen.live(HEAD) == tail {
                raw.segment.publish(tail, 1);
                tail += 1;
                raw.ring();
            }
            std::thread::yield_now();
        }
    };
    let expect = |_| Expect::Opens(Then::Takes { start: 0, n: 3..=u64::MAX, end: End::Finished });
    cases.push(Case::new(GROUP, "finished-and-goes-on-publishing", RECEIVING, on, expect));
    // Finished, and then not: the first of the two is for ever.
    let back = |evil: Evil| {
        let raw = evil.open();
        raw.segment.publish(0, 3);
        while !wire::is_over(&raw.stream) {
            raw.segment.set(FINISHED, 1);
            raw.ring();
            raw.segment.set(FINISHED, 0);
        }
    };
    let expect = |_| Expect::Opens(Then::Takes { start: 0, n: 3..=3, end: End::Finished });
    cases.push(Case::new(GROUP, "finished-and-not-in-turn", RECEIVING, back, expect));
}

/// Whoever lies about when to be woken is woken at the wrong time.
fn wake_words(cases: &mut Vec<Case>) {
    for (name, word) in [("wake-tail", WAKE_TAIL), ("wake-head", WAKE_HEAD)] {
        for value in NUMBERS {
            let deed = move |evil: Evil| {
                evil.open().serve(move |raw, turn| {
                    if turn == 0 {
                        raw.segment.set(word, value);
                    }
                });
            };
            cases.push(Case::new(GROUP, format!("{name}-{value}"), ALL, deed, |_| works()));
        }
        let always = move |evil: Evil| {
            evil.open().serve(move |raw, turn| {
                let next = if word == WAKE_TAIL { raw.head } else { raw.tail };
                raw.segment.set(word, next.wrapping_add(turn % (SLOTS + 2)));
            });
        };
        let expect = |_| Expect::Opens(Then::Works(2000));
        cases.push(Case::new(GROUP, format!("{name}-always-near"), ALL, always, expect));
    }
}

/// Words that a second thread changes all the while.
fn meanwhile(raw: Raw, first: impl FnOnce(Raw), change: impl Fn(&Segment, u64) + Sync) {
    let over = AtomicBool::new(false);
    let segment = raw.segment.again();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut turn = 0;
            while !over.load(SeqCst) {
                change(&segment, turn);
                turn += 1;
            }
        });
        first(raw);
        over.store(true, SeqCst);
    });
}

fn changing(cases: &mut Vec<Case>) {
    let swing: [(&str, [u64; 4]); 3] =
        [("far", [4, 100, 0, u64::MAX]), ("near", [3, 4, 3, 2]), ("by-a-bit", [1, 1 << 63, 1, (1 << 63) | 1])];
    for (name, values) in swing {
        for (which, word, lie, kinds) in [("tail", TAIL, Lie::Tail, RECEIVING), ("head", HEAD, Lie::Head, SENDING)] {
            let deed = move |evil: Evil| {
                let raw = evil.open();
                meanwhile(
                    raw,
                    |raw| raw.until_over(),
                    move |segment, turn| {
                        segment.set(word, values[(turn % 4) as usize]);
                    },
                );
            };
            let case = Case::new(GROUP, format!("{which}-swings-{name}"), kinds, deed, move |_| {
                Expect::Opens(Then::FindsOut(lie))
            });
            cases.push(case);
        }
    }
    // One step too far, now and then, taken back at once.
    let deed = |evil: Evil| {
        evil.open().serve(|raw, turn| {
            if turn > 100 && turn % 32 == 0 {
                let tail = raw.tail;
                raw.segment.set(TAIL, tail.wrapping_add(SLOTS + 1));
                raw.segment.set(TAIL, tail);
            }
        });
    };
    let expect = |_| Expect::Opens(Then::MayFindOut(Lie::Tail));
    cases.push(Case::new(GROUP, "tail-too-far-for-a-moment", RECEIVING, deed, expect));
    // The rest of the live page, the counters and the header, in a hurry.
    let deed = |evil: Evil| {
        let raw = evil.open();
        meanwhile(raw, Raw::serve_well, |segment, turn| {
            let words = [TAIL, HEAD, FINISHED].map(|word| LIVE + word);
            let offset = (turn * 8 % crate::segment::BARE) as usize;
            if !words.contains(&offset) {
                segment.word(offset).store(turn.wrapping_mul(0x9E37_79B9_7F4A_7C15), SeqCst);
            }
        });
    };
    cases.push(Case::new(GROUP, "every-other-word-changes", ALL, deed, |_| Expect::Opens(Then::Works(2000))));
}

fn slots(cases: &mut Vec<Case>) {
    let change = |evil: Evil| {
        let raw = evil.open();
        meanwhile(raw, Raw::serve_well, |segment, turn| segment.put(turn, turn.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    };
    let endless = |evil: Evil| {
        let mut raw = evil.open();
        let mut turn = 0;
        while turn % 1024 != 0 || !wire::is_over(&raw.stream) {
            raw.serve_once(false);
            turn += 1;
        }
    };
    let changing = || {
        let expect = |_: Kind| Expect::Opens(Then::TakesAnything(5000));
        Case::new(GROUP, "slots-change-while-they-are-read", RECEIVING, change, expect)
    };
    let full = || Case::new(GROUP, "a-ring-that-is-never-empty", RECEIVING, endless, |_| Expect::Opens(Then::Bounded));
    cases.extend([changing(), changing().large(), full(), full().large()]);
}
