//! What an operation costs on its own: both ends on one core, where nothing waits and every line is near.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark")]

use std::hint::black_box;

use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main, measurement::WallTime,
};
use ipc_bench::far_end::Words;
use memenpsf::{Element, Interface, Options};

fn pair<const N: usize>(capacity: usize) -> (Interface<Words<N>>, Interface<Words<N>>)
where
    Words<N>: Element,
{
    Interface::pair(&Options::new().capacity(capacity)).unwrap()
}

fn size<const N: usize>(group: &mut BenchmarkGroup<'_, WallTime>)
where
    Words<N>: Element,
{
    const BATCH: usize = 32;
    let bytes = size_of::<Words<N>>();
    let id = |name: &str| BenchmarkId::new(name, format!("{bytes} bytes"));
    let (mut here, mut there) = pair::<N>(64);
    let (value, mut out) = ([7; N], [0; N]);

    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function(id("xmit and recv"), |bencher| {
        bencher.iter(|| {
            here.xmit_ref(black_box(&value)).unwrap();
            there.recv_into(&mut out).unwrap();
            black_box(&mut out);
        });
    });

    group.throughput(Throughput::Bytes((BATCH * bytes) as u64));
    let (values, mut all) = (vec![value; BATCH], Vec::with_capacity(BATCH));
    group.bench_function(id("a batch of 32"), |bencher| {
        bencher.iter(|| {
            assert_eq!(here.xmit_slice(black_box(&values)).unwrap(), BATCH);
            all.clear();
            assert_eq!(there.recv_slice(&mut all).unwrap(), BATCH);
            black_box(&mut all);
        });
    });
    group.bench_function(id("32 reserved and committed"), |bencher| {
        bencher.iter(|| {
            let mut reservation = here.reserve(BATCH).unwrap();
            reservation.iter_mut().for_each(|slot| slot.fill(7));
            reservation.commit(BATCH);
            all.clear();
            assert_eq!(there.recv_slice(&mut all).unwrap(), BATCH);
            black_box(&mut all);
        });
    });
}

fn operations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("operations");
    size::<1>(&mut group);
    size::<8>(&mut group);
    size::<128>(&mut group);
    group.finish();

    let (mut here, _there) = pair::<1>(64);
    criterion.bench_function("recv of an empty ring", |bencher| bencher.iter(|| assert!(here.recv().is_none())));
}

criterion_group!(benches, operations);
criterion_main!(benches);
