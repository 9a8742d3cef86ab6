//! What passes between two processes, each on a core of its own: round trips, one way, wake-up, set-up.
//!
//! The floor (see `ipc_bench::machine`) is printed before and after each group: compare only what has the same one around it.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use ipc_bench::{
    far_end::{self, ANSWER, FarEnd, Part, Words},
    machine::{HERE, floor, pin},
};
use memenpsf::{Element, Interface, Options, Wait};

/// Bytes of a ring, whatever its elements are.
const RING: usize = 1 << 18;

type Group<'a> = BenchmarkGroup<'a, WallTime>;

fn capacity<const N: usize>() -> usize {
    (RING / size_of::<Words<N>>()).max(16)
}

fn main() {
    if far_end::play() {
        return;
    }
    pin(HERE);
    let mut criterion = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    bracketed(&mut criterion, "round trip", |group| {
        round_trip::<1>(group);
        round_trip::<8>(group);
        round_trip::<128>(group);
    });
    bracketed(&mut criterion, "one way", |group| {
        one_way::<1>(group);
        one_way::<8>(group);
        one_way::<128>(group);
        one_way::<8192>(group);
    });
    bracketed(&mut criterion, "wake-up", wake_up);
    bracketed(&mut criterion, "set-up", set_up);
    criterion.final_summary();
}

fn bracketed(criterion: &mut Criterion, name: &str, run: impl Fn(&mut Group<'_>)) {
    println!("{name}: floor {:.0} ns", floor());
    let mut group = criterion.benchmark_group(name);
    run(&mut group);
    group.finish();
    println!("{name}: floor {:.0} ns", floor());
}

fn bytes<const N: usize>() -> String {
    format!("{} bytes", size_of::<Words<N>>())
}

fn there_and_back<const N: usize>(interface: &mut Interface<Words<N>>, times: u64) -> Duration
where
    Words<N>: Element,
{
    let start = Instant::now();
    for number in 0..times {
        interface.xmit([number; N]).unwrap();
        let answer = interface.recv_blocking().unwrap();
        assert!(answer.iter().all(|word| *word == number));
    }
    start.elapsed()
}

fn round_trip<const N: usize>(group: &mut Group<'_>)
where
    Words<N>: Element,
{
    let (far_end, mut interface) = FarEnd::start::<N>(Part::Echo, Wait::Spin, capacity::<N>());
    group.throughput(Throughput::Elements(1));
    group.bench_function(bytes::<N>(), |bencher| bencher.iter_custom(|times| there_and_back(&mut interface, times)));
    drop(interface);
    far_end.end();
}

/// Both sides ask to be woken for each message.
fn wake_up(group: &mut Group<'_>) {
    for (name, wait) in [("adaptive", Wait::Adaptive), ("asleep", Wait::Sleep)] {
        let (far_end, mut interface) = FarEnd::start::<1>(Part::Echo, wait, capacity::<1>());
        group.throughput(Throughput::Elements(1));
        group.bench_function(name, |bencher| bencher.iter_custom(|times| there_and_back(&mut interface, times)));
        drop(interface);
        far_end.end();
    }
}

/// How elements are sent.
type Send<const N: usize> = fn(&mut Interface<Words<N>>, u64);

fn one_way<const N: usize>(group: &mut Group<'_>)
where
    Words<N>: Element,
{
    let ways: [(&str, Part, Send<N>); 4] = [
        ("single", Part::Take, single),
        ("batches of 32", Part::TakeAll, |interface, count| batches(interface, count, 32)),
        ("batches of 256", Part::TakeAll, |interface, count| batches(interface, count, 256)),
        ("in place", Part::TakeAll, in_place),
    ];
    for (name, part, send) in ways {
        let (far_end, mut interface) = FarEnd::start::<N>(part, Wait::Spin, capacity::<N>());
        group.throughput(Throughput::Bytes(size_of::<Words<N>>() as u64));
        group.bench_function(BenchmarkId::new(name, bytes::<N>()), |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                send(&mut interface, count);
                interface.xmit_blocking([ANSWER; N]).unwrap();
                assert_eq!(interface.recv_blocking().unwrap()[0], ANSWER);
                start.elapsed()
            });
        });
        drop(interface);
        far_end.end();
    }
}

fn single<const N: usize>(interface: &mut Interface<Words<N>>, count: u64)
where
    Words<N>: Element,
{
    for number in 0..count {
        let value = [number; N];
        while interface.xmit_ref(&value).is_err() {}
    }
}

fn batches<const N: usize>(interface: &mut Interface<Words<N>>, count: u64, most: u64)
where
    Words<N>: Element,
{
    let mut batch = Vec::with_capacity(most as usize);
    let mut next = 0;
    while next < count {
        batch.clear();
        batch.extend((next..count.min(next + most)).map(|number| [number; N]));
        next += batch.len() as u64;
        let mut rest = &batch[..];
        while !rest.is_empty() {
            rest = &rest[interface.xmit_slice(rest).unwrap_or(0)..];
        }
    }
}

/// Written where the far end reads it, a quarter of the ring at a time.
fn in_place<const N: usize>(interface: &mut Interface<Words<N>>, count: u64)
where
    Words<N>: Element,
{
    let most = interface.capacity() as u64 / 4;
    let mut next = 0;
    while next < count {
        let n = most.min(count - next);
        let Ok(mut reservation) = interface.reserve(n as usize) else { continue };
        reservation.iter_mut().zip(next..).for_each(|(slot, number)| slot.fill(number));
        reservation.commit(n as usize);
        next += n;
    }
}

/// A client that connects to a path, has its interface, and leaves.
fn set_up(group: &mut Group<'_>) {
    let path = std::env::temp_dir().join(format!("memenpsf-bench-{}.sock", std::process::id()));
    let far_end = FarEnd::serve(&path);
    let options = Options::new().capacity(1 << 13);
    group.throughput(Throughput::Elements(1));
    group.bench_function("interface of 64 KiB each way", |bencher| {
        bencher.iter(|| Interface::<u64>::connect(&path, &options).unwrap());
    });
    Interface::<u64>::connect(&path, &options).unwrap().xmit(ANSWER).unwrap();
    far_end.end();
}
