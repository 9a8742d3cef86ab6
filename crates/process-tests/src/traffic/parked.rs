//! Traffic in which both sides sleep between messages: one lost wake-up and it stands still.

use std::{
    hint::spin_loop,
    os::unix::net::UnixStream,
    thread::scope,
    time::{Duration, Instant},
};

use ipc_queue::{Consumer, Producer};
use memenpsf::{Interface, Options, RecvError, Role, Wait};

use super::{
    Args, Program,
    litmus::{stay_on_first, stay_on_last},
    with_fence,
};
use crate::socket_of_peer;

/// A peer that does nothing for so long was not woken.
const LOST: Duration = Duration::from_secs(20);
/// The longest delay before a publish or before a wait, in PAUSE instructions, as a power of two: about as long as an announcement
/// takes.
const LONGEST_DELAY: u64 = 7;

fn connect(stream: UnixStream, role: Role, capacity: usize, fence: bool) -> Interface<u64> {
    let options = with_fence(Options::new().capacity(capacity).wait(Wait::Sleep), fence);
    Interface::with_options(stream, role, &options).expect("a connection")
}

/// Single messages there and back, with `Wait::Sleep` at both ends. Returns how many times the receiving half here slept.
pub fn ping_pong(program: Program<'_>, count: u64, fence: bool) -> u64 {
    let (mut peer, stream) = program.start("ping-pong", &[count.to_string(), fence.to_string()]);
    let mut interface = connect(stream, Role::Client, 2, fence);
    for number in 0..count {
        interface.xmit_blocking(number).expect("a far end that receives");
        assert_eq!(interface.recv_blocking(), Ok(number));
    }
    assert!(peer.wait().success(), "the far end found a fault");
    interface.stats().1.parks
}

pub(super) fn far_ping_pong<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (count, fence) = (args.next(), args.next());
    let mut interface = connect(socket_of_peer(), Role::Server, 2, fence);
    for number in 0..count {
        assert_eq!(interface.recv_blocking(), Ok(number));
        interface.xmit_blocking(number).expect("a near end that receives");
    }
}

/// `count` messages each way at once through rings of capacity 1, each end split into two threads that both wait with
/// `Wait::Sleep`. Returns how many times the two halves here slept.
pub fn split(program: Program<'_>, count: u64, fence: bool) -> (u64, u64) {
    let (mut peer, stream) = program.start("split", &[count.to_string(), fence.to_string()]);
    let parks = both_halves(connect(stream, Role::Client, 1, fence), count);
    assert!(peer.wait().success(), "the far end found a fault");
    parks
}

pub(super) fn far_split<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (count, fence) = (args.next(), args.next());
    both_halves(connect(socket_of_peer(), Role::Server, 1, fence), count);
}

fn both_halves(interface: Interface<u64>, count: u64) -> (u64, u64) {
    let (mut xmit, mut recv) = interface.split();
    scope(|scope| {
        let transmitting = scope.spawn(move || {
            for number in 0..count {
                xmit.xmit_blocking(number).expect("a peer that receives");
            }
            xmit.finish().expect("a peer that receives");
            xmit.stats().parks
        });
        for number in 0..count {
            assert_eq!(recv.recv_blocking(), Ok(number));
        }
        assert_eq!(recv.recv_blocking(), Err(RecvError::Finished));
        (transmitting.join().expect("the transmitting thread"), recv.stats().parks)
    })
}

/// `count` messages, each published by this end, which never sleeps, just while the far end is about to sleep: after a delay that
/// is never the same. Panics when a wake-up is lost.
pub fn publish_into_the_announcement(program: Program<'_>, count: u64, fence: bool) {
    let (mut peer, stream) = program.start("sleepy consumer", &[count.to_string(), fence.to_string()]);
    on_a_processor_of_its_own(|| {
        let mut producer = Producer::<u64>::new(stream, &sleepy(fence)).expect("a connection");
        let mut delay = Delay(0x9E37_79B9_7F4A_7C15);
        for number in 0..count {
            delay.pass();
            producer.push(number).expect("room");
            until_not_lost(number, || producer.acknowledged() > number);
        }
    });
    assert!(peer.wait().success(), "the far end found a fault");
}

pub(super) fn far_consumer<I: Iterator<Item = String>>(args: &mut Args<I>) {
    stay_on_last();
    let (count, fence) = (args.next(), args.next());
    let mut consumer = Consumer::<u64>::new(socket_of_peer(), &sleepy(fence)).expect("a connection");
    let mut delay = Delay(0xD1B5_4A32_D192_ED03);
    for number in 0..count {
        delay.pass();
        assert_eq!(consumer.pop_blocking(), Ok(number));
    }
}

/// As [`publish_into_the_announcement`], but the far end sleeps until there is room, and this end takes.
pub fn take_into_the_announcement(program: Program<'_>, count: u64, fence: bool) {
    let (mut peer, stream) = program.start("sleepy producer", &[count.to_string(), fence.to_string()]);
    on_a_processor_of_its_own(|| {
        let mut consumer = Consumer::<u64>::new(stream, &sleepy(fence)).expect("a connection");
        let mut delay = Delay(0x9E37_79B9_7F4A_7C15);
        for number in 0..count {
            // The ring holds one: when there is an element, the far end is about to sleep until it is gone.
            until_not_lost(number, || consumer.peek().is_ok());
            delay.pass();
            assert_eq!(consumer.pop(), Ok(number));
        }
    });
    assert!(peer.wait().success(), "the far end found a fault");
}

pub(super) fn far_producer<I: Iterator<Item = String>>(args: &mut Args<I>) {
    stay_on_last();
    let (count, fence) = (args.next(), args.next());
    let mut producer = Producer::<u64>::new(socket_of_peer(), &sleepy(fence)).expect("a connection");
    let mut delay = Delay(0xD1B5_4A32_D192_ED03);
    for number in 0..count {
        delay.pass();
        producer.push_blocking(number).expect("a near end that receives");
    }
}

/// Runs it on a thread that stays on the first processor; the far end stays on the last.
fn on_a_processor_of_its_own(near: impl FnOnce() + Send) {
    scope(|scope| {
        let near = scope.spawn(|| {
            stay_on_first();
            near();
        });
        if let Err(panic) = near.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn sleepy(fence: bool) -> Options {
    with_fence(Options::new().capacity(1).wait(Wait::Sleep), fence)
}

/// Spins until it is so. Ends by that or, with a panic, when a wake-up was lost.
fn until_not_lost(number: u64, mut is_so: impl FnMut() -> bool) {
    let mut since = None;
    while !is_so() {
        let since = *since.get_or_insert_with(Instant::now);
        assert!(since.elapsed() < LOST, "message {number}: the far end sleeps on");
        spin_loop();
    }
}

/// Delays from xorshift64, the same in every run: short ones more often than long ones.
struct Delay(u64);

impl Delay {
    fn pass(&mut self) {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let bits = (self.0 >> 56) % (LONGEST_DELAY + 1);
        for _ in 0..(self.0 >> 32) % (1 << bits) {
            spin_loop();
        }
    }
}
