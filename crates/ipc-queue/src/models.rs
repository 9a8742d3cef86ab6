//! loom models: the ring and the waiting that ship, over loom's memory and a doorbell made of a mutex and a condition variable.
//!
//! loom runs every interleaving, and every value that the memory model allows a load to see. It reports a slot that is read while it
//! may be written, a failed assertion, and a thread that sleeps for ever.

use loom::{
    cell::UnsafeCell,
    sync::{Arc, Condvar, Mutex},
    thread,
};

use crate::{
    barrier::Barrier,
    layout::Word,
    ring::{End, Memory, Receiving, Sending, Side},
    sync::AtomicU64,
    wait::{Bursts, Wait, Waiter, wait},
};
use std::time::Duration;

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

    /// Waits as a blocking operation with `Wait::Sleep` does.
    fn wait_for(&mut self, n: u64) {
        struct Waiting<'a, S>(&'a mut Half<S>, u64, Bursts);
        impl<S: Side> Waiter for Waiting<'_, S> {
            type End = ();
            fn look(&mut self) -> Result<bool, ()> {
                Ok(self.0.end.look().expect("a correct peer") >= self.1)
            }
            fn rest(&mut self) -> Result<(), ()> {
                Ok(())
            }
            fn announce(&mut self) -> bool {
                self.0.end.announce(self.1)
            }
            fn bursts(&mut self) -> &mut Bursts {
                &mut self.2
            }
            fn sleep(&mut self, _: Option<Duration>) -> Result<(), ()> {
                self.0.mine.sleep();
                Ok(())
            }
        }
        assert_eq!(wait(&mut Waiting(self, n, Bursts::new()), Wait::Sleep, None), Ok(true));
    }
}

#[allow(unsafe_code, reason = "loom's cells are reached through raw pointers")]
impl Half<Sending> {
    fn push(&mut self, values: impl IntoIterator<Item = u64>) {
        let mut n = 0;
        for value in values {
            // SAFETY: loom checks that nobody else is at this cell.
            self.slot(n).with_mut(|slot| unsafe { *slot = value });
            n += 1;
        }
        self.publish(n);
    }
}

#[allow(unsafe_code, reason = "loom's cells are reached through raw pointers")]
impl Half<Receiving> {
    /// Takes all that is available.
    fn pop(&mut self, out: &mut Vec<u64>) {
        let n = self.end.available();
        for offset in 0..n {
            // SAFETY: loom checks that nobody writes to this cell.
            out.push(self.slot(offset).with(|slot| unsafe { *slot }));
        }
        self.publish(n);
    }
}

fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(body);
}

/// Positions just below the end of the counter, so that every model also wraps.
const START: u64 = u64::MAX;

#[test]
fn slots_are_handed_over_and_back_without_a_race() {
    model(3, || {
        let (mut producer, mut consumer) = ring(1, Barrier::Membarrier);
        let other = thread::spawn(move || {
            for value in 1..=3 {
                while producer.end.look().expect("a correct peer") == 0 {
                    thread::yield_now();
                }
                producer.push([value]);
            }
        });
        let mut got = Vec::new();
        while got.len() < 3 {
            match consumer.end.look().expect("a correct peer") {
                0 => thread::yield_now(),
                _ => consumer.pop(&mut got),
            }
        }
        assert_eq!(got, [1, 2, 3]);
        other.join().expect("no panic");
    });
}

#[test]
fn batches_are_handed_over_and_back_without_a_race() {
    model(3, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Membarrier);
        let other = thread::spawn(move || {
            for batch in [[1, 2], [3, 4]] {
                while producer.end.look().expect("a correct peer") < 2 {
                    thread::yield_now();
                }
                producer.push(batch);
            }
        });
        let mut got = Vec::new();
        while got.len() < 4 {
            match consumer.end.look().expect("a correct peer") {
                0 => thread::yield_now(),
                _ => consumer.pop(&mut got),
            }
        }
        assert_eq!(got, [1, 2, 3, 4]);
        other.join().expect("no panic");
    });
}

#[test]
fn a_consumer_that_sleeps_is_woken() {
    model(4, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.push([2]);
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
fn a_producer_that_sleeps_on_a_full_ring_is_woken() {
    model(3, || {
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
fn a_bell_asked_for_at_the_second_message_comes_with_the_second() {
    model(4, || {
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
fn the_last_message_before_finish_is_never_lost_and_finish_wakes() {
    model(4, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Fence);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.end.finish();
            producer.theirs.ring();
        });
        let mut got = Vec::new();
        loop {
            if consumer.end.look().expect("a correct peer") > 0 {
                consumer.pop(&mut got);
            } else if consumer.end.finished_word() == 1 {
                consumer.end.look().expect("a correct peer");
                consumer.pop(&mut got);
                break;
            } else {
                consumer.end.announce(1);
                if consumer.end.look().expect("a correct peer") == 0 && consumer.end.finished_word() == 0 {
                    consumer.mine.sleep();
                }
            }
        }
        assert_eq!(got, [1]);
        other.join().expect("no panic");
    });
}

#[test]
fn the_last_message_before_finish_is_never_lost_to_one_who_spins() {
    model(4, || {
        let (mut producer, mut consumer) = ring(2, Barrier::Membarrier);
        let other = thread::spawn(move || {
            producer.push([1]);
            producer.end.finish();
        });
        let mut got = Vec::new();
        loop {
            if consumer.end.look().expect("a correct peer") > 0 {
                consumer.pop(&mut got);
            } else if consumer.end.finished_word() == 1 {
                consumer.end.look().expect("a correct peer");
                consumer.pop(&mut got);
                break;
            } else {
                thread::yield_now();
            }
        }
        assert_eq!(got, [1]);
        other.join().expect("no panic");
    });
}
