//! What is done with each way of waiting. Elements have eight bytes.

use std::{
    thread,
    time::{Duration, Instant},
};

use ipc_bench::{
    far_end::{ANSWER, FarEnd, Part, Setting, Words},
    machine::{HERE, THERE, nanoseconds_each},
    variants::Variant,
};
use memenpsf::{Interface, Wait};
use nix::{sys::prctl::set_timerslack, time::ClockId};

type Element = Words<1>;

/// So many messages are sent between two looks at the clock.
const CHUNK: u64 = 64;
/// Pairs of processes that share two cores.
const PAIRS: usize = 4;
/// From one message to the next at a steady 10 000 a second.
const TICK: Duration = Duration::from_micros(100);

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    wait: Wait,
    capacity: usize,
    /// Where the far end runs; this end is `HERE`.
    core: usize,
    /// How long a run takes.
    pub(crate) time: Duration,
    /// Nanoseconds of one message.
    pub(crate) run: fn(&Setting, Duration) -> f64,
}

/// On two cores, waiting as by default.
const USUAL: Scenario = Scenario {
    name: "round trip",
    wait: Wait::Adaptive,
    capacity: 1024,
    core: THERE,
    time: Duration::from_millis(10),
    run: round_trips,
};

pub(crate) const SCENARIOS: [Scenario; 9] = [
    Scenario { name: "round trip, spinning", wait: Wait::Spin, ..USUAL },
    USUAL,
    Scenario { name: "round trip, one core", core: HERE, ..USUAL },
    Scenario { name: "four pairs", time: Duration::from_millis(100), run: pairs, ..USUAL },
    Scenario { name: "one way", capacity: 4096, run: one_way, ..USUAL },
    Scenario { name: "slow consumer", run: slow_consumer, ..USUAL },
    Scenario { name: "asleep", wait: Wait::Sleep, ..USUAL },
    Scenario { name: "10 000/s, processor", time: Duration::from_millis(100), run: steady_processor, ..USUAL },
    Scenario { name: "10 000/s, round trip", time: Duration::from_millis(100), run: steady_round_trip, ..USUAL },
];

impl Scenario {
    /// Whether there is such a thing as this: a variant that has another `Wait` is beside the point where that is fixed.
    pub(crate) fn has(&self, variant: &Variant) -> bool {
        self.wait == Wait::Adaptive || variant.wait.is_none()
    }

    pub(crate) fn setting(&self, variant: &'static Variant) -> Setting {
        let wait = variant.wait.unwrap_or(self.wait);
        Setting { wait, variant, capacity: self.capacity, core: self.core }
    }
}

/// Sends for that long, numbered from 0; returns how many.
fn send_for(time: Duration, mut send: impl FnMut(u64)) -> u64 {
    let start = Instant::now();
    let mut count = 0;
    while count == 0 || start.elapsed() < time {
        (count..count + CHUNK).for_each(&mut send);
        count += CHUNK;
    }
    count
}

fn there_and_back(interface: &mut Interface<Element>, number: u64) {
    interface.xmit([number]).unwrap();
    assert_eq!(interface.recv_blocking(), Ok([number]));
}

fn round_trips(setting: &Setting, time: Duration) -> f64 {
    let (far_end, mut interface) = FarEnd::start_as(Part::Echo, setting);
    (0..CHUNK).for_each(|number| there_and_back(&mut interface, number));
    let start = Instant::now();
    let count = send_for(time, |number| there_and_back(&mut interface, number));
    let figure = nanoseconds_each(start, count);
    drop(interface);
    far_end.end();
    figure
}

/// The mean of all pairs.
fn pairs(setting: &Setting, time: Duration) -> f64 {
    let sum: f64 = thread::scope(|scope| {
        let pairs = [(); PAIRS].map(|()| scope.spawn(|| round_trips(setting, time)));
        pairs.map(|pair| pair.join().unwrap()).iter().sum()
    });
    sum / PAIRS as f64
}

/// Waits until the far end has everything.
fn ask(interface: &mut Interface<Element>) {
    interface.xmit_blocking([ANSWER]).unwrap();
    assert_eq!(interface.recv_blocking(), Ok([ANSWER]));
}

/// Both in a loop that never sleeps.
fn one_way(setting: &Setting, time: Duration) -> f64 {
    stream(Part::Take, setting, time, |interface, number| while interface.xmit_ref(&[number]).is_err() {})
}

/// A ring that is full.
fn slow_consumer(setting: &Setting, time: Duration) -> f64 {
    stream(Part::Slow, setting, time, |interface, number| interface.xmit_blocking([number]).unwrap())
}

fn stream(part: Part, setting: &Setting, time: Duration, send: fn(&mut Interface<Element>, u64)) -> f64 {
    let (far_end, mut interface) = FarEnd::start_as(part, setting);
    (0..2 * setting.capacity as u64).for_each(|number| send(&mut interface, number));
    ask(&mut interface);
    let start = Instant::now();
    let count = send_for(time, |number| send(&mut interface, number));
    ask(&mut interface);
    let figure = nanoseconds_each(start, count);
    drop(interface);
    far_end.end();
    figure
}

/// Sends at a steady rate for that long, sleeping in between; returns how many.
fn send_steadily(time: Duration, mut send: impl FnMut(u64)) -> u64 {
    set_timerslack(1).unwrap();
    let count = time.div_duration_f64(TICK).ceil() as u64;
    let start = Instant::now();
    for number in 0..count {
        let due = start + TICK * number as u32;
        let early = due.saturating_duration_since(Instant::now());
        if !early.is_zero() {
            thread::sleep(early);
        }
        send(number);
    }
    count
}

/// The processor time of a message, of both ends together.
fn steady_processor(setting: &Setting, time: Duration) -> f64 {
    let (far_end, mut interface) = FarEnd::start_as(Part::Receive, setting);
    ask(&mut interface);
    let used = || far_end.processor_time() + Duration::from(ClockId::CLOCK_PROCESS_CPUTIME_ID.now().unwrap());
    let before = used();
    let count = send_steadily(time, |number| interface.xmit_blocking([number]).unwrap());
    let figure = (used() - before).as_nanos() as f64 / count as f64;
    ask(&mut interface);
    drop(interface);
    far_end.end();
    figure
}

/// The median round trip, which finds the far end as it waits for the next message.
fn steady_round_trip(setting: &Setting, time: Duration) -> f64 {
    let (far_end, mut interface) = FarEnd::start_as(Part::Echo, setting);
    let mut took = Vec::new();
    send_steadily(time, |number| {
        let start = Instant::now();
        there_and_back(&mut interface, number);
        took.push(start.elapsed());
    });
    drop(interface);
    far_end.end();
    took.sort();
    took[took.len() / 2].as_nanos() as f64
}
