//! loom models: the ring and the waiting that ship, over loom's memory and a doorbell made of a mutex and a condition variable.
//!
//! loom runs every interleaving with so many preemptions, and every value that the memory model allows a load to see. It reports a
//! slot that is read while it may be written, a failed assertion, and a thread that sleeps for ever. Each model says how many
//! executions it has at least, so that it cannot shrink unseen; together they are over a million.

use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    barrier::Barrier,
    layout::Word,
    ring::{End, Memory, Receiving, Sending, Side},
    strategy::Strategy,
    sync::AtomicU64,
    wait::{Bursts, Wait, Waiter, wait},
};
use std::{sync::atomic, time::Duration};

/// One side's live words.
#[derive(Debug)]
struct Page([AtomicU64; 5]);

impl Page {
    fn new(start: u64) -> Arc<Self> {
        let word = |value| AtomicU64::new(value);
        Arc::new(Self([word(start), word(start), word(start), word(start), word(0)]))
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        match word {
            Word::Tail => &self.0[0],
            Word::Head => &self.0[1],
            Word::WakeTail => &self.0[2],
            Word::WakeHead => &self.0[3],
            Word::Finished => &self.0[4],
            Word::SendingCounters | Word::ReceivingCounters => unreachable!("the ring counts nothing"),
        }
    }
}

#[derive(Clone, Debug)]
struct Pages {
    own: Arc<Page>,
    peer: Arc<Page>,
}

impl Memory for Pages {
    fn own(&self, word: Word) -> &AtomicU64 {
        self.own.word(word)
    }
    fn peer(&self, word: Word) -> &AtomicU64 {
        self.peer.word(word)
    }
}

/// What a socket does for one direction of bells: they stay until they are taken.
#[derive(Clone, Debug)]
struct Bells(Arc<(Mutex<u32>, Condvar)>);

impl Bells {
    fn new() -> Self {
        Self(Arc::new((Mutex::new(0), Condvar::new())))
    }

    fn ring(&self) {
        *self.0.0.lock().expect("no panic holds it") += 1;
        self.0.1.notify_one();
    }

    fn sleep(&self) {
        let mut bells = self.0.0.lock().expect("no panic holds it");
        while *bells == 0 {
            bells = self.0.1.wait(bells).expect("no panic holds it");
        }
        *bells = 0;
    }

    fn rung(&self) -> u32 {
        *self.0.0.lock().expect("no panic holds it")
    }
}

/// The slots of a ring: loom reports a read that is not ordered behind the write, and the other way round.
type Slots = Arc<Vec<UnsafeCell<u64>>>;

struct Half<S> {
    end: End<Pages, S>,
    slots: Slots,
    /// Bells for this end, and for the other.
    mine: Bells,
    theirs: Bells,
}

/// Both ends of a ring of `count` slots. Models in which nobody sleeps run without any fence in `publish`, as with `membarrier`;
/// loom has no `membarrier`, so the others run with the fences.
fn ring(count: u64, barrier: Barrier) -> (Half<Sending>, Half<Receiving>) {
    let start = START;
    let (a, b) = (Page::new(start), Page::new(start));
    let slots: Slots = Arc::new((0..count).map(|_| UnsafeCell::new(0)).collect());
    let (to_producer, to_consumer) = (Bells::new(), Bells::new());
    let producer = Half {
        end: End::new(Pages { own: a.clone(), peer: b.clone() }, barrier, count, start),
        slots: slots.clone(),
        mine: to_producer.clone(),
        theirs: to_consumer.clone(),
    };
    let end = End::new(Pages { own: b, peer: a }, barrier, count, start);
    (producer, Half { end, slots, mine: to_consumer, theirs: to_producer })
}

impl<S: Side> Half<S> {
    fn slot(&self, offset: u64) -> &UnsafeCell<u64> {
        &self.slots[(self.end.position().wrapping_add(offset) % self.slots.len() as u64) as usize]
    }

    fn publish(&mut self, n: u64) {
        if self.end.publish(n) {
            self.theirs.ring();
        }
    }

    fn pay(&mut self) {
        if self.end.pay() {
            self.theirs.ring();
        }
    }

    fn look(&mut self) -> u64 {
        self.end.look().expect("a correct peer")
    }

    /// Looks until `n` slots are available.
    fn spin_for(&mut self, n: u64) {
        while self.look() < n {
            thread::yield_now();
        }
    }

    /// Waits as a blocking operation with `Wait::Sleep` does.
    fn wait_for(&mut self, n: u64) {
        self.wait_until(|half| half.look() >= n, n);
    }

    /// Waits until `enough`, with an announcement for `n`.
    fn wait_until(&mut self, enough: impl Fn(&mut Self) -> bool, n: u64) {
        struct Waiting<'a, S, E>(&'a mut Half<S>, E, u64, Bursts);
        impl<S: Side, E: Fn(&mut Half<S>) -> bool> Waiter for Waiting<'_, S, E> {
            type End = ();
            fn look(&mut self) -> Result<bool, ()> {
                Ok((self.1)(self.0))
            }
            fn rest(&mut self) -> Result<u32, ()> {
                Ok(0)
            }
            fn announce(&mut self) -> bool {
                self.0.end.announce(self.2)
            }
            fn bursts(&mut self) -> &mut Bursts {
                &mut self.3
            }
            fn sleep(&mut self, _: Option<Duration>) -> Result<(), ()> {
                self.0.mine.sleep();
                Ok(())
            }
        }
        assert_eq!(
            wait(&mut Waiting(self, enough, n, Bursts::new(&Strategy::DEFAULT)), Wait::Sleep.into(), None),
            Ok(true)
        );
    }
}

#[allow(unsafe_code, reason = "loom's cells are reached through raw pointers")]
impl Half<Sending> {
    fn fill(&self, values: impl IntoIterator<Item = u64>) -> u64 {
        let mut n = 0;
        for value in values {
            // SAFETY: loom checks that nobody else is at this cell.
            self.slot(n).with_mut(|slot| unsafe { *slot = value });
            n += 1;
        }
        n
    }
}

impl Half<Sending> {
    /// Pushes while the system has no memory for a bell.
    fn push_without_a_bell(&mut self, value: u64) {
        self.fill([value]);
        if self.end.publish(1) {
            self.end.owe(self.end.count());
        }
    }

    fn push(&mut self, values: impl IntoIterator<Item = u64>) {
        let n = self.fill(values);
        self.publish(n);
    }

    /// Says that no more will come, and rings whether or not anybody asked.
    fn finish(&mut self) {
        self.end.finish();
        self.theirs.ring();
    }
}

#[allow(unsafe_code, reason = "loom's cells are reached through raw pointers")]
impl Half<Receiving> {
    /// Takes all that is available, as `pop` and `pop_slice` do: one publish.
    fn pop(&mut self, out: &mut Vec<u64>) {
        let n = self.end.available();
        for offset in 0..n {
            // SAFETY: loom checks that nobody writes to this cell.
            out.push(self.slot(offset).with(|slot| unsafe { *slot }));
        }
        self.publish(n);
    }

    /// Takes all that is available as `drain` does: element by element, told at the end.
    fn drain(&mut self, out: &mut Vec<u64>) {
        for _ in 0..self.end.available() {
            // SAFETY: loom checks that nobody writes to this cell.
            out.push(self.slot(0).with(|slot| unsafe { *slot }));
            self.end.withhold(1);
        }
        self.pay();
    }

    /// Takes what is left behind `finish`, if that is there.
    fn pop_the_last(&mut self, out: &mut Vec<u64>) -> bool {
        let finished = self.end.finished_word() == 1;
        if finished {
            self.look();
            self.pop(out);
        }
        finished
    }
}

/// Runs a model with at most so many preemptions of a thread, and counts its executions.
fn model(preemptions: usize, at_least: u64, body: impl Fn() + Sync + Send + 'static) {
    let executions = std::sync::Arc::new(atomic::AtomicU64::new(0));
    let counter = executions.clone();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(move || {
        counter.fetch_add(1, atomic::Ordering::Relaxed);
        body();
    });
    let executions = executions.load(atomic::Ordering::Relaxed);
    println!("{executions} executions");
    assert!(executions >= at_least, "{executions} executions only");
}

/// Positions just below the end of the counter, so that every model also wraps.
const START: u64 = u64::MAX;

#[test]
fn slots_are_handed_over_and_back_without_a_race() {
    model(12, 18_000, || {
        let (mut producer, mut consumer) = ring(1, Barrier::Membarrier);
        let other = thread::spawn(move || {
            for value in 1..=3 {
                producer.spin_for(1);
                producer.push([value]);
            }
        });
        let mut got = Vec::new();
        while got.len() < 3 {
            consumer.spin_for(1);
            consumer.pop(&mut got);
        }
        assert_eq!(got, [1, 2, 3]);
        other.join().expect("no panic");
    });
}

#[test]
fn batches_are_handed_over_and_back_without_a_race() {
    model(12, 18_000, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Membarrier);
        let other = thread::spawn(move || {
            for batch in [&[1, 2][..], &[3], &[4, 5]] {
                producer.spin_for(batch.len() as u64);
                producer.push(batch.iter().copied());
            }
        });
        let mut got = Vec::new();
        while got.len() < 5 {
            consumer.spin_for(1);
            consumer.drain(&mut got);
        }
        assert_eq!(got, [1, 2, 3, 4, 5]);
        other.join().expect("no panic");
    });
}

#[test]
fn a_consumer_that_sleeps_is_woken() {
    model(8, 500_000, || {
        let (mut producer, mut consumer) = ring(4, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.push([2]);
            producer.push([3]);
        });
        let mut got = Vec::new();
        while got.len() < 3 {
            consumer.wait_for(1);
            consumer.pop(&mut got);
        }
        assert_eq!(got, [1, 2, 3]);
        other.join().expect("no panic");
    });
}

#[test]
fn a_producer_that_sleeps_on_a_full_ring_is_woken() {
    model(5, 400_000, || {
        let (mut producer, mut consumer) = ring(1, Barrier::Fence);
        let other = thread::spawn(move || {
            for value in 1..=3 {
                producer.wait_for(1);
                producer.push([value]);
            }
        });
        let mut got = Vec::new();
        while got.len() < 3 {
            consumer.wait_for(1);
            consumer.pop(&mut got);
        }
        assert_eq!(got, [1, 2, 3]);
        other.join().expect("no panic");
    });
}

#[test]
fn both_ends_sleep_between_batches_and_are_woken() {
    model(6, 40_000, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            for batch in [[1, 2], [3, 4]] {
                producer.wait_for(2);
                producer.push(batch);
            }
        });
        let mut got = Vec::new();
        while got.len() < 4 {
            consumer.wait_for(1);
            consumer.drain(&mut got);
        }
        assert_eq!(got, [1, 2, 3, 4]);
        other.join().expect("no panic");
    });
}

#[test]
fn question_and_answer_between_two_who_sleep() {
    model(5, 80_000, || {
        let (mut asking, mut asked) = ring(1, Barrier::Fence);
        let (mut answering, mut answered) = ring(1, Barrier::Fence);
        let other = thread::spawn(move || {
            let mut got = Vec::new();
            for _ in 0..2 {
                asked.wait_for(1);
                asked.pop(&mut got);
                let answer = got[got.len() - 1] + 10;
                answering.push([answer]);
            }
        });
        let mut got = Vec::new();
        for question in 1..=2 {
            assert_eq!(asking.look(), 1, "the last question was taken before it was answered");
            asking.push([question]);
            answered.wait_for(1);
            answered.pop(&mut got);
        }
        assert_eq!(got, [11, 12]);
        other.join().expect("no panic");
    });
}

#[test]
fn a_bell_asked_for_at_the_second_message_comes_with_the_second() {
    model(12, 4_000, || {
        let (mut producer, mut consumer) = ring(4, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1]);
            assert_eq!(producer.theirs.rung(), 0, "nobody asked for a bell at the first");
            producer.push([2]);
            producer.push([3]);
            assert!(producer.theirs.rung() <= 1, "one bell is enough");
        });
        consumer.wait_for(2);
        assert!(consumer.end.available() >= 2);
        other.join().expect("no panic");
    });
}

#[test]
fn a_bell_that_the_system_had_no_memory_for_is_rung_by_the_next_try() {
    model(7, 50_000, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push_without_a_bell(1);
            producer.pay();
            producer.push_without_a_bell(2);
            producer.pay();
        });
        let mut got = Vec::new();
        while got.len() < 2 {
            consumer.wait_for(1);
            consumer.pop(&mut got);
        }
        assert_eq!(got, [1, 2]);
        other.join().expect("no panic");
    });
}

#[test]
fn the_last_message_before_finish_is_never_lost_and_finish_wakes() {
    model(6, 120_000, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.push([2]);
            producer.finish();
        });
        let mut got = Vec::new();
        loop {
            consumer.wait_until(|half| half.look() > 0 || half.end.finished_word() == 1, 1);
            if consumer.end.available() > 0 {
                consumer.pop(&mut got);
            } else if consumer.pop_the_last(&mut got) {
                break;
            }
        }
        assert_eq!(got, [1, 2]);
        other.join().expect("no panic");
    });
}

#[test]
fn the_last_message_before_finish_is_never_lost_to_one_who_spins() {
    model(20, 400, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Membarrier);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.push([2]);
            producer.end.finish();
        });
        let mut got = Vec::new();
        loop {
            if consumer.look() > 0 {
                consumer.pop(&mut got);
            } else if consumer.pop_the_last(&mut got) {
                break;
            } else {
                thread::yield_now();
            }
        }
        assert_eq!(got, [1, 2]);
        other.join().expect("no panic");
    });
}

#[test]
fn who_flushes_is_woken_when_everything_is_taken() {
    model(12, 3_000, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1, 2]);
            producer.finish();
            // All slots are available again: everything was taken.
            producer.wait_for(2);
        });
        let mut got = Vec::new();
        while got.len() < 2 {
            consumer.wait_for(1);
            consumer.pop(&mut got);
        }
        assert_eq!(got, [1, 2]);
        other.join().expect("no panic");
    });
}
