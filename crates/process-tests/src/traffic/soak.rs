//! Soaking: round after round with a new far end, whose traffic is drawn by lot. Sizes, capacities, bursts, idle times, strategies,
//! barriers and start positions vary; some rounds end because the far end is killed.

use std::{os::unix::net::UnixStream, thread, time::Duration};

use ipc_queue::{Consumer, Element, Producer, Role, Wait, duplex};

use super::{
    Args, Program,
    cells::{
        self, CAPACITIES, Cell, Flow, Gone, LARGEST_RING, Mix, Receiving, SIZES, Sending, WithElement, with_element,
    },
};
use crate::{Peer, socket_of_peer};

/// Messages each way in a round whose far end is killed: more than can go in its time.
const NO_END: u64 = 1 << 60;
/// Bytes each way in other rounds, at most.
const BYTES: usize = 2 << 30;
/// The longest life of a far end that is killed.
const LIFE: Duration = Duration::from_millis(1500);
/// How many operations come between two idle times, on average (0: there are none), and how many messages then take a few seconds.
const IDLE_TIMES: [(usize, usize); 4] = [(0, 50_000_000), (100_000, 50_000_000), (3_000, 10_000_000), (50, 300_000)];
/// The longest idle time, in microseconds: many times what `Wait::Adaptive` looks for.
const IDLE: usize = 2_000;

/// What is drawn for one round.
#[derive(Clone, Copy, Debug)]
pub struct Round {
    cell: Cell,
    wait: u8,
    idle: usize,
    seed: u64,
    life: Option<Duration>,
}

/// What came of one round.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Messages that arrived, each way together.
    pub messages: u64,
    /// Whether the far end was killed.
    pub killed: bool,
}

/// Draws rounds, the same ones from the same seed.
pub struct Lot(Mix);

impl std::fmt::Debug for Lot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Lot")
    }
}

impl Lot {
    /// All that will be drawn follows from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mix::from_seed(seed))
    }

    /// Draws the next round. Half of the rounds carry small elements, which make the numbers.
    pub fn draw(&mut self) -> Round {
        let mix = &mut self.0;
        let sizes = if mix.below(2) == 0 { &SIZES[..3] } else { &SIZES };
        let size = sizes[mix.below(sizes.len())];
        let fitting = CAPACITIES.iter().filter(|capacity| size * capacity.next_power_of_two() <= LARGEST_RING).count();
        let capacity = CAPACITIES[mix.below(fitting)];
        let killed = mix.below(4) == 0;
        let (between, at_most) = IDLE_TIMES[mix.below(IDLE_TIMES.len())];
        // Single slots are slow: a bell, or a look, for each element.
        let most = (BYTES / size).min(if capacity < 16 { at_most / 100 } else { at_most });
        let count = if killed { NO_END } else { 1 + mix.below(most) as u64 };
        let starts = [0, (1 << 32) - 5, u64::MAX - 4];
        let start = starts[mix.below(starts.len())];
        let cell = Cell { size, capacity, count, flow: Flow::Both, start, fence: mix.below(4) == 0 };
        let life = killed.then(|| LIFE.mul_f64(mix.below(1000) as f64 / 1000.0));
        // Spinning for ever takes whole processors from the other three threads, so it is rare.
        let wait = [0, 0, 0, 2, 2, 1][mix.below(6)];
        Round { cell, wait, idle: between, seed: mix.below(1 << 30) as u64, life }
    }
}

/// Has a round's traffic with a new far end. Panics when either end finds a fault.
pub fn run(program: Program<'_>, round: &Round) -> Outcome {
    let Round { cell, wait, idle, seed, life } = *round;
    let Cell { size, capacity, count, start, fence, .. } = cell;
    let numbers = [size as u64, capacity as u64, count, start, u64::from(wait), idle as u64, seed];
    let args: Vec<String> = numbers.iter().map(u64::to_string).chain([fence.to_string()]).collect();
    let (mut peer, stream) = program.start("soak", &args);
    let end = End { round, stream, role: Role::Client, killed: life.map(|life| (&mut peer, life)) };
    let messages = with_element(size, end);
    let exit = peer.wait();
    assert!(life.is_some() || exit.success(), "the far end found a fault: {round:?}");
    Outcome { messages, killed: life.is_some() }
}

pub(super) fn far<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let (size, capacity, count, start, wait, idle, seed, fence) =
        (args.next(), args.next(), args.next(), args.next(), args.next(), args.next(), args.next(), args.next());
    let cell = Cell { size, capacity, count, flow: Flow::Both, start, fence };
    let round = Round { cell, wait, idle, seed, life: None };
    with_element(size, End { round: &round, stream: socket_of_peer(), role: Role::Server, killed: None });
}

/// One end of a round.
struct End<'a> {
    round: &'a Round,
    stream: UnixStream,
    role: Role,
    killed: Option<(&'a mut Peer, Duration)>,
}

impl WithElement for End<'_> {
    type Output = u64;

    /// A thread sends and a thread receives. Returns how many messages arrived, as far as this end knows.
    fn with<T: Element>(self) -> u64 {
        let Round { cell, wait, idle, seed, .. } = *self.round;
        let wait = [Wait::Adaptive, Wait::Spin, Wait::Sleep][usize::from(wait)];
        let options = cells::options(&cell).wait(wait);
        let (producer, consumer) = duplex::<T>(self.stream, self.role, &options).expect("a connection");
        let seed = seed * 4 + if self.role == Role::Client { 2 } else { 0 };
        let mortal = self.killed.is_some();
        thread::scope(|scope| {
            let sender = scope.spawn(move || send(producer, &cell, seed, idle, mortal));
            let receiver = scope.spawn(move || receive(consumer, &cell, seed + 1, idle, mortal));
            if let Some((peer, life)) = self.killed {
                thread::sleep(life);
                peer.kill();
            }
            sender.join().expect("the sender's end") + receiver.join().expect("the receiver's end")
        })
    }
}

/// Returns how many of its messages the peer took.
fn send<T: Element>(producer: Producer<T>, cell: &Cell, seed: u64, idle: usize, mortal: bool) -> u64 {
    let mut sending = Sending::on_its_own(producer, cell.count, seed);
    let mut idling = Idling::new(seed, idle);
    while !sending.done && idling.after(sending.try_step(), mortal) {}
    // Elements that were never taken do not count; nor do they exist when the peer lives.
    let taken = sending.producer.acknowledged().wrapping_sub(cell.start);
    if !mortal && cell.count != taken {
        sending.producer.flush(Duration::from_secs(100)).expect("a peer that takes everything");
        return cell.count;
    }
    taken
}

/// Returns how many messages it received.
fn receive<T: Element>(consumer: Consumer<T>, cell: &Cell, seed: u64, idle: usize, mortal: bool) -> u64 {
    let mut receiving = Receiving::on_its_own(consumer, cell.count, seed);
    let mut idling = Idling::new(seed, idle);
    while !receiving.done && idling.after(receiving.try_step(), mortal) {}
    receiving.next
}

/// The idle times of one thread.
struct Idling {
    mix: Mix,
    between: usize,
    fruitless: u32,
}

impl Idling {
    fn new(seed: u64, between: usize) -> Self {
        Self { mix: Mix::from_seed(!seed), between, fruitless: 0 }
    }

    /// What comes after an operation. `false`: nothing more, the peer is dead.
    fn after(&mut self, step: Result<bool, Gone>, mortal: bool) -> bool {
        let Ok(progress) = step else {
            assert!(mortal, "the peer is gone before its time");
            return false;
        };
        self.fruitless = if progress { 0 } else { self.fruitless + 1 };
        cells::yield_at(self.fruitless);
        if self.between != 0 && self.mix.below(self.between) == 0 {
            // The load itself: the other end runs dry and goes to sleep.
            thread::sleep(Duration::from_micros(self.mix.below(IDLE) as u64));
        }
        true
    }
}
