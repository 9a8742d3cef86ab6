//! Making links, one after the other, and what they hold on to.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    time::Instant,
};

use super::{STOP, Values, latencies::Latencies, receive, send};
use crate::{
    far_end::FarProcess,
    plan::{Drive, Measure, Plan},
    system::{Meeting, Receiver, Sender, Side},
};

/// Links that are made before the clock starts.
const WARM_UP: usize = 3;
/// Links in a run.
const LINKS: usize = 64;

/// How many links are measured.
fn links(plan: &Plan) -> usize {
    if plan.quick { 5 } else { LINKS }
}

pub fn near<M: Meeting>(plan: &Plan) -> Values {
    let (far, stream) = FarProcess::start(plan);
    let mut control = stream.try_clone().expect("a descriptor");
    let mut meeting = M::meet(Side::Near, stream);
    let mut values = match plan.measure {
        Measure::SetUp => set_up(plan, &mut meeting, &mut control),
        Measure::Footprint => footprint(Side::Near, plan, &mut meeting, &mut control),
        measure => panic!("{measure:?} is not about links"),
    };
    values.extend(far.end());
    values
}

pub fn far<M: Meeting>(plan: &Plan, stream: UnixStream) -> Values {
    let mut control = stream.try_clone().expect("a descriptor");
    let mut meeting = M::meet(Side::Far, stream);
    if plan.measure == Measure::Footprint {
        return footprint(Side::Far, plan, &mut meeting, &mut control);
    }
    for _ in 0..WARM_UP + links(plan) {
        let link = linked(Side::Far, plan, &mut meeting);
        drop(link);
        say(&mut control);
    }
    Values::new()
}

/// Nanoseconds from nothing to the first message that went there and back. Neither dropping a link nor waiting until
/// the other process has dropped its end is counted.
fn set_up<M: Meeting>(plan: &Plan, meeting: &mut M, control: &mut UnixStream) -> Values {
    let mut latencies = Latencies::new();
    let mut sum = 0.0;
    for index in 0..WARM_UP + links(plan) {
        let start = Instant::now();
        let link = linked(Side::Near, plan, meeting);
        let elapsed = start.elapsed();
        if index >= WARM_UP {
            latencies.add(elapsed);
            sum += elapsed.as_nanos() as f64;
        }
        drop(link);
        hear(control);
    }
    let mut values = latencies.percentiles();
    values.insert("ns".into(), sum / links(plan) as f64);
    values
}

/// Descriptors, mappings and memory of a link in this process, each of which has carried one message. The processes
/// count while all links are there.
fn footprint<M: Meeting>(side: Side, plan: &Plan, meeting: &mut M, control: &mut UnixStream) -> Values {
    // The first one brings what all share.
    let first = linked(side, plan, meeting);
    let before = Held::now();
    let all: Vec<_> = (0..links(plan)).map(|_| linked(side, plan, meeting)).collect();
    say(control);
    hear(control);
    let held = Held::now();
    say(control);
    hear(control);
    drop((first, all));
    let name = |name: &str| if side == Side::Near { name.to_owned() } else { format!("far {name}") };
    let a_link = |before: u64, after: u64| (after as f64 - before as f64) / links(plan) as f64;
    Values::from([
        (name("descriptors"), a_link(before.descriptors, held.descriptors)),
        (name("mappings"), a_link(before.mappings, held.mappings)),
        (name("bytes"), a_link(before.bytes, held.bytes)),
    ])
}

/// A link that a message has gone through, there and back.
fn linked<M: Meeting>(
    side: Side,
    plan: &Plan,
    meeting: &mut M,
) -> (impl Sender<8> + use<M>, impl Receiver<8> + use<M>) {
    let (mut sender, mut receiver) = meeting.link::<8>(plan.shape());
    if side == Side::Near {
        send(Drive::Spin, &mut sender, STOP).expect("the far end is there");
    }
    let number = receive(Drive::Spin, &mut receiver).expect("the other end is there");
    assert_eq!(number, STOP);
    if side == Side::Far {
        send(Drive::Spin, &mut sender, STOP).expect("the near end is there");
    }
    (sender, receiver)
}

/// Tells the other process that this one has come so far.
fn say(control: &mut UnixStream) {
    control.write_all(b".").expect("the other process is there");
}

/// Waits until the other process has come so far.
fn hear(control: &mut UnixStream) {
    control.read_exact(&mut [0]).expect("the other process is there");
}

/// What this process holds on to.
struct Held {
    descriptors: u64,
    mappings: u64,
    /// Memory, where what is shared with others counts in proportion.
    bytes: u64,
}

impl Held {
    fn now() -> Self {
        let read = |path| fs::read_to_string(path).expect("proc(5)");
        let smaps = read("/proc/self/smaps_rollup");
        let pss = smaps.lines().find_map(|line| line.strip_prefix("Pss:")).expect("a proportional size");
        Self {
            descriptors: fs::read_dir("/proc/self/fd").expect("proc(5)").count() as u64,
            mappings: read("/proc/self/maps").lines().count() as u64,
            bytes: pss.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10,
        }
    }
}
