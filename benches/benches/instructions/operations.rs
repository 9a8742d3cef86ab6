//! The operations, each on a new connection whose two ends are in one thread.
//!
//! None of them pauses longer than the shortest pause, which is none: how long the others are is measured when
//! the process starts, so a push into a full ring has no count that could be recorded. None of them rings, sleeps or asks
//! the socket: an empty ring does so at every thousandth look.

use std::{hint::black_box, os::unix::net::UnixStream, thread};

use ipc_bench::far_end::Words;
use ipc_queue::{Consumer, Producer};
use memenpsf::{Element, Interface, Options, RecvError, Support};
use nix::unistd::alarm;

use crate::callgrind::count;

const BATCH: usize = 32;
const CAPACITY: usize = 1024;
/// How often an operation on one element is repeated, and one on a batch: the ring has room for twice that.
const SINGLES: u64 = 256;
const BATCHES: u64 = 16;
/// Small enough that the sender looks for room again and again, when both ends take turns.
const SMALL: usize = 64;

/// A hang is a failure.
const LONGEST_SECONDS: u32 = 120;

/// Does everything that is counted.
pub(crate) fn all() {
    alarm::set(LONGEST_SECONDS);
    assert!(Support::probe().membarrier, "no membarrier(2) here, so only one of the two barriers can be counted");
    let membarrier = Options::new();
    let fence = membarrier.clone().force_fence();
    for (barrier, options) in [("fence", fence), ("membarrier", membarrier)] {
        Case::<1> { barrier, options: options.clone() }.count();
        Case::<8> { barrier, options }.count();
    }
}

/// Elements of `N` words, and how publishing is ordered.
struct Case<const N: usize> {
    barrier: &'static str,
    options: Options,
}

/// A sending and a receiving end, and room for a batch.
struct Ends<S, R, T> {
    sending: S,
    receiving: R,
    out: Vec<T>,
}

type Queue<T> = Ends<Producer<T>, Consumer<T>, T>;
type Pair<T> = Ends<Interface<T>, Interface<T>, T>;

impl<const N: usize> Case<N>
where
    Words<N>: Element,
{
    const VALUE: Words<N> = [7; N];
    const VALUES: [Words<N>; BATCH] = [[7; N]; BATCH];

    fn count(&self) {
        self.queue();
        self.interface();
    }

    fn name(&self, operation: &str) -> String {
        format!("{}, {:2} bytes: {operation}", self.barrier, size_of::<Words<N>>())
    }

    fn queue(&self) {
        let empty = || self.new_queue(CAPACITY);
        let full = || {
            let mut queue = empty();
            assert_eq!(queue.sending.push_slice(&[Self::VALUE; CAPACITY]).unwrap(), CAPACITY);
            queue
        };
        count(&self.name("push"), SINGLES, empty, |queue| queue.sending.push(black_box(Self::VALUE)).unwrap());
        count(&self.name("pop"), SINGLES, full, |queue| {
            black_box(queue.receiving.pop().unwrap());
        });
        count(&self.name("pop of an empty ring"), SINGLES, empty, |queue| {
            assert_eq!(black_box(queue.receiving.pop()), Err(RecvError::Empty));
        });
        count(&self.name("push_slice of 32"), BATCHES, empty, |queue| {
            assert_eq!(queue.sending.push_slice(black_box(&Self::VALUES)).unwrap(), BATCH);
        });
        count(&self.name("reserve, fill and commit 32"), BATCHES, empty, |queue| {
            let mut reservation = queue.sending.reserve(BATCH).unwrap();
            reservation.iter_mut().for_each(|slot| *slot = black_box(Self::VALUE));
            reservation.commit(BATCH);
        });
        count(&self.name("pop_slice of 32"), BATCHES, full, |queue| {
            assert_eq!(queue.receiving.pop_slice(black_box(&mut queue.out)).unwrap(), BATCH);
        });
        count(
            &self.name("push_slice and pop_all of 32 in turn"),
            BATCHES,
            || self.new_queue(SMALL),
            |queue| {
                assert_eq!(queue.sending.push_slice(black_box(&Self::VALUES)).unwrap(), BATCH);
                queue.out.clear();
                assert_eq!(queue.receiving.pop_all(&mut queue.out).unwrap(), BATCH);
                black_box(&mut queue.out);
            },
        );
    }

    fn interface(&self) {
        let empty = || self.new_pair(CAPACITY);
        let full = || {
            let mut pair = empty();
            assert_eq!(pair.sending.xmit_slice(&[Self::VALUE; CAPACITY]).unwrap(), CAPACITY);
            pair
        };
        count(&self.name("xmit"), SINGLES, empty, |pair| pair.sending.xmit(black_box(Self::VALUE)).unwrap());
        count(&self.name("recv"), SINGLES, full, |pair| {
            black_box(pair.receiving.recv().unwrap());
        });
        count(&self.name("recv of an empty ring"), SINGLES, empty, |pair| {
            assert!(black_box(pair.receiving.recv()).is_none());
        });
        count(
            &self.name("xmit and recv in turn"),
            SINGLES,
            || self.new_pair(SMALL),
            |pair| {
                pair.sending.xmit(black_box(Self::VALUE)).unwrap();
                black_box(pair.receiving.recv().unwrap());
            },
        );
    }

    fn new_queue(&self, capacity: usize) -> Queue<Words<N>> {
        let options = self.options.clone().capacity(capacity);
        let (here, there) = UnixStream::pair().unwrap();
        let (sending, receiving) = thread::scope(|scope| {
            let sending = scope.spawn(|| Producer::new(here, &options).unwrap());
            let receiving = Consumer::new(there, &options).unwrap();
            (sending.join().unwrap(), receiving)
        });
        Ends { sending, receiving, out: Self::VALUES.to_vec() }
    }

    fn new_pair(&self, capacity: usize) -> Pair<Words<N>> {
        let (sending, receiving) = Interface::pair(&self.options.clone().capacity(capacity)).unwrap();
        Ends { sending, receiving, out: Vec::new() }
    }
}
