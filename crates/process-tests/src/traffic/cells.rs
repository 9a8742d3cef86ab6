//! Torture: elements of one size through rings of one capacity, by every operation in a deterministic mix, every byte checked.

use std::{fmt, os::unix::net::UnixStream, str::FromStr, time::Duration};

use ipc_queue::{
    Consumer, Element, Options, Producer, RecvError, Role, XmitError, XmitErrorKind, duplex,
    zerocopy::{FromBytes, Immutable, IntoBytes},
};

use super::{Args, Program, with_fence};
use crate::socket_of_peer;

/// Sizes of elements, in bytes.
pub(super) const SIZES: [usize; 8] = [1, 2, 8, 12, 24, 64, 1000, 65536];
/// Capacities asked for, in elements.
pub(super) const CAPACITIES: [usize; 6] = [1, 2, 3, 256, 1024, 65536];
/// The largest ring, in bytes.
pub(super) const LARGEST_RING: usize = 64 << 20;
/// Elements from this size on are passed by reference.
const LARGE: usize = 4096;
/// The longest batch, in elements and in bytes.
const BATCH: (usize, usize) = (100, 4 * 65536);
/// Positions that pass the wrap of 2^32 and of 2^64 after a few elements.
const BELOW_WRAPS: [u64; 2] = [(1 << 32) - 5, u64::MAX - 4];
/// Fruitless rounds before the processor is given to others.
const PATIENCE: u32 = 32;
/// A wait that lasts so long is a hang.
const HANG: Duration = Duration::from_secs(100);

/// Which way the elements go, seen from the near end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Both ways at once, on one thread at each end that never waits.
    Both,
    /// From the near end to the far end, with waiting forms among the operations.
    Out,
    /// From the far end to the near end, with waiting forms among the operations.
    In,
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Both => "both",
            Self::Out => "out",
            Self::In => "in",
        })
    }
}

impl FromStr for Flow {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::Both, Self::Out, Self::In].into_iter().find(|flow| flow.to_string() == text).ok_or(())
    }
}

/// One kind of traffic.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// Bytes of an element.
    pub size: usize,
    /// Elements that a ring is asked to hold.
    pub capacity: usize,
    /// Elements sent, each way.
    pub count: u64,
    /// Which way.
    pub flow: Flow,
    /// The position at which the rings start.
    pub start: u64,
    /// Whether both sides use a fence at each publish.
    pub fence: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { size, capacity, count, flow, start, fence } = self;
        let barrier = if *fence { "fence" } else { "membarrier" };
        write!(f, "{count:>9} of {size:>5} bytes, ring of {capacity:>5}, {flow:<4}, from {start:#x}, {barrier}")
    }
}

/// Every size with every capacity, with both wraps and both barriers each, both ways at once and one way at a time: `count`
/// elements, or fewer of those of which so many are more than `bytes`. Rings over 64 MiB are left out.
pub fn all(count: u64, bytes: u64) -> Vec<Cell> {
    let mut cells = Vec::new();
    for size in SIZES {
        for capacity in CAPACITIES {
            if size * capacity.next_power_of_two() > LARGEST_RING {
                continue;
            }
            let count = count.min(bytes / size as u64);
            let odd = cells.len() % 8 != 0;
            let [low, high] = BELOW_WRAPS;
            for (flow, start, fence) in
                [(Flow::Both, low, odd), (Flow::Both, high, !odd), (Flow::Out, high, odd), (Flow::In, low, !odd)]
            {
                cells.push(Cell { size, capacity, count, flow, start, fence });
            }
        }
    }
    cells
}

/// Has a cell's traffic with a far end. Panics when either end finds a fault.
pub fn run(program: Program<'_>, cell: &Cell) {
    let Cell { size, capacity, count, flow, start, fence } = cell;
    let args = [size.to_string(), capacity.to_string(), count.to_string(), flow.to_string(), start.to_string()];
    let args: Vec<String> = args.into_iter().chain([fence.to_string()]).collect();
    let (mut peer, stream) = program.start("cell", &args);
    play(cell, stream, true);
    assert!(peer.wait().success(), "the far end found a fault: {cell}");
}

pub(super) fn far<I: Iterator<Item = String>>(args: &mut Args<I>) {
    let cell = Cell {
        size: args.next(),
        capacity: args.next(),
        count: args.next(),
        flow: args.next(),
        start: args.next(),
        fence: args.next(),
    };
    play(&cell, socket_of_peer(), false);
}

/// An element with fields of several widths.
#[derive(FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "ipc_queue::zerocopy")]
#[repr(C)]
struct Twelve {
    wide: u32,
    narrow: [u16; 2],
    bytes: [u8; 4],
}

fn play(cell: &Cell, stream: UnixStream, near: bool) {
    with_element(cell.size, Ends { cell, stream, near });
}

/// Something that is done with elements of one type.
pub(super) trait WithElement {
    type Output;
    fn with<T: Element>(self) -> Self::Output;
}

/// Does it with the type whose elements have `size` bytes.
pub(super) fn with_element<W: WithElement>(size: usize, work: W) -> W::Output {
    match size {
        1 => work.with::<u8>(),
        2 => work.with::<u16>(),
        8 => work.with::<u64>(),
        12 => work.with::<Twelve>(),
        24 => work.with::<[u64; 3]>(),
        64 => work.with::<[u64; 8]>(),
        1000 => work.with::<[u8; 1000]>(),
        65536 => work.with::<[u64; 8192]>(),
        size => panic!("no element of {size} bytes"),
    }
}

struct Ends<'a> {
    cell: &'a Cell,
    stream: UnixStream,
    near: bool,
}

impl WithElement for Ends<'_> {
    type Output = ();

    fn with<T: Element>(self) {
        assert_eq!(size_of::<T>(), self.cell.size);
        play_with::<T>(self.cell, self.stream, self.near);
    }
}

/// The settings of a cell.
pub(super) fn options(cell: &Cell) -> Options {
    with_fence(Options::new().capacity(cell.capacity).start_position(cell.start), cell.fence)
}

fn play_with<T: Element>(cell: &Cell, stream: UnixStream, near: bool) {
    let options = options(cell);
    match (cell.flow, near) {
        (Flow::Both, _) => {
            let role = if near { Role::Client } else { Role::Server };
            let (producer, consumer) = duplex::<T>(stream, role, &options).expect("a connection");
            assert_eq!(producer.capacity(), cell.capacity.next_power_of_two());
            let mut sending = Sending::new(producer, cell, near);
            let mut receiving = Receiving::new(consumer, cell, near);
            let mut fruitless = 0;
            // Ends by progress: each end takes what the other sends whether or not it can send itself.
            while !(sending.done && receiving.done) {
                let progress = [sending.step(), receiving.step()];
                fruitless = if progress == [false; 2] { fruitless + 1 } else { 0 };
                yield_at(fruitless);
            }
        }
        (Flow::Out, true) | (Flow::In, false) => {
            let producer = Producer::<T>::new(stream, &options).expect("a connection");
            let mut sending = Sending::new(producer, cell, near);
            let mut fruitless = 0;
            while !sending.done {
                fruitless = if sending.step() { 0 } else { fruitless + 1 };
                yield_at(fruitless);
            }
        }
        (Flow::In, true) | (Flow::Out, false) => {
            let consumer = Consumer::<T>::new(stream, &options).expect("a connection");
            let mut receiving = Receiving::new(consumer, cell, near);
            let mut fruitless = 0;
            while !receiving.done {
                fruitless = if receiving.step() { 0 } else { fruitless + 1 };
                yield_at(fruitless);
            }
        }
    }
}

pub(super) fn yield_at(fruitless: u32) {
    if fruitless >= PATIENCE {
        std::thread::yield_now();
    }
}

/// Fills every byte of an element from its number.
fn fill<T: Element>(value: &mut T, number: u64) {
    let (words, rest) = value.as_mut_bytes().as_chunks_mut();
    let mut word = number;
    for place in words {
        *place = word.to_le_bytes();
        word = word.wrapping_add(STEP);
    }
    rest.copy_from_slice(&word.to_le_bytes()[..rest.len()]);
}

/// Whether every byte of an element is as [`fill`] made it.
fn is_whole<T: Element>(value: &T, number: u64) -> bool {
    let (words, rest) = value.as_bytes().as_chunks();
    let mut word = number;
    let mut differences = 0;
    for place in words {
        differences |= u64::from_le_bytes(*place) ^ word;
        word = word.wrapping_add(STEP);
    }
    differences == 0 && *rest == word.to_le_bytes()[..rest.len()]
}

/// What a word of an element is more than the one before it.
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// xorshift64: the same sequence in every run.
pub(super) struct Mix(u64);

impl Mix {
    fn new(cell: &Cell, near: bool, sending: bool) -> Self {
        let end = (cell.size * 4 + usize::from(near) * 2 + usize::from(sending)) as u64;
        Self::from_seed(end << 32 | cell.capacity as u64)
    }

    pub(super) fn from_seed(seed: u64) -> Self {
        Self(seed.wrapping_mul(STEP) | 1)
    }

    /// A number from 0 to `bound - 1`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 32) % bound as u64) as usize
    }
}

fn longest_batch<T>() -> usize {
    BATCH.0.min(BATCH.1 / size_of::<T>())
}

/// A buffer for the longest batch.
fn buffer<T: Element>() -> Vec<T> {
    (0..longest_batch::<T>()).map(|_| T::new_zeroed()).collect()
}

/// The peer is gone before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gone;

pub(super) struct Sending<T> {
    pub(super) producer: Producer<T>,
    buffer: Vec<T>,
    next: u64,
    count: u64,
    /// Operations to choose from: the last ones wait.
    operations: usize,
    mix: Mix,
    pub(super) done: bool,
}

impl<T: Element> Sending<T> {
    fn new(producer: Producer<T>, cell: &Cell, near: bool) -> Self {
        let operations = if cell.flow == Flow::Both { 5 } else { 7 };
        Self::with_mix(producer, cell.count, operations, Mix::new(cell, near, true))
    }

    /// One that has a thread to itself, and so may wait.
    pub(super) fn on_its_own(producer: Producer<T>, count: u64, seed: u64) -> Self {
        Self::with_mix(producer, count, 7, Mix::from_seed(seed))
    }

    fn with_mix(producer: Producer<T>, count: u64, operations: usize, mix: Mix) -> Self {
        Self { producer, buffer: buffer(), next: 0, count, operations, mix, done: false }
    }

    /// One operation. `false`: nothing went.
    fn step(&mut self) -> bool {
        self.try_step().expect("a peer that lives")
    }

    /// One operation, with a peer that may die.
    pub(super) fn try_step(&mut self) -> Result<bool, Gone> {
        let left = self.count - self.next;
        if left == 0 {
            if !self.done {
                self.producer.finish().expect("an open ring");
                self.done = true;
            }
            return Ok(false);
        }
        let n = (1 + self.mix.below(self.buffer.len())).min(usize::try_from(left).unwrap_or(usize::MAX));
        let operation = self.mix.below(self.operations);
        let sent = match operation {
            0 if size_of::<T>() < LARGE => {
                let value = self.one();
                one_or_full(self.producer.push(value))
            }
            0 | 1 => {
                fill(&mut self.buffer[0], self.next);
                one_or_full(self.producer.push_ref(&self.buffer[0]))
            }
            2 => {
                for (number, value) in (self.next..).zip(&mut self.buffer[..n]) {
                    fill(value, number);
                }
                some_or_full(self.producer.push_slice(&self.buffer[..n]))
            }
            3 => self.reserve_and_commit(n),
            4 => self.reserve_and_abort(n),
            5 if size_of::<T>() < LARGE => {
                let value = self.one();
                one_or_full(self.producer.push_blocking(value))
            }
            _ => {
                some_or_full(self.producer.wait_for(1, HANG))?;
                fill(&mut self.buffer[0], self.next);
                one_or_full(self.producer.push_ref(&self.buffer[0]))
            }
        }?;
        self.next += sent as u64;
        Ok(sent != 0)
    }

    fn one(&self) -> T {
        let mut value = T::new_zeroed();
        fill(&mut value, self.next);
        value
    }

    fn reserve_and_commit(&mut self, n: usize) -> Result<usize, Gone> {
        let n = n.min(self.producer.capacity());
        let committed = 1 + self.mix.below(n);
        match self.producer.reserve(n) {
            Ok(mut reservation) => {
                for (number, value) in (self.next..).zip(reservation.iter_mut()) {
                    fill(value, number);
                }
                reservation.commit(committed);
                Ok(committed)
            }
            Err(error) => some_or_full(Err(error)),
        }
    }

    /// What lies in reserved slots that are not committed never arrives.
    fn reserve_and_abort(&mut self, n: usize) -> Result<usize, Gone> {
        let n = n.min(self.producer.capacity());
        match self.producer.reserve(n) {
            Ok(mut reservation) => {
                for value in reservation.iter_mut() {
                    fill(value, !self.next);
                }
                Ok(0)
            }
            Err(error) => some_or_full(Err(error)),
        }
    }
}

fn one_or_full<V>(result: Result<(), XmitError<V>>) -> Result<usize, Gone> {
    some_or_full(result.map(|()| 1))
}

fn some_or_full<V>(result: Result<usize, XmitError<V>>) -> Result<usize, Gone> {
    match result {
        Ok(n) => Ok(n),
        Err(error) if error.is_full() => Ok(0),
        Err(XmitError { kind: XmitErrorKind::Disconnected, .. }) => Err(Gone),
        Err(error) => panic!("sending failed: {:?}", error.kind),
    }
}

pub(super) struct Receiving<T> {
    consumer: Consumer<T>,
    buffer: Vec<T>,
    all: Vec<T>,
    pub(super) next: u64,
    count: u64,
    /// Operations to choose from: the last ones wait.
    operations: usize,
    mix: Mix,
    pub(super) done: bool,
}

impl<T: Element> Receiving<T> {
    fn new(consumer: Consumer<T>, cell: &Cell, near: bool) -> Self {
        let operations = if cell.flow == Flow::Both { 6 } else { 8 };
        Self::with_mix(consumer, cell.count, operations, Mix::new(cell, near, false))
    }

    /// One that has a thread to itself, and so may wait.
    pub(super) fn on_its_own(consumer: Consumer<T>, count: u64, seed: u64) -> Self {
        Self::with_mix(consumer, count, 8, Mix::from_seed(seed))
    }

    fn with_mix(consumer: Consumer<T>, count: u64, operations: usize, mix: Mix) -> Self {
        Self { consumer, buffer: buffer(), all: Vec::new(), next: 0, count, operations, mix, done: false }
    }

    /// One operation. `false`: nothing came.
    fn step(&mut self) -> bool {
        self.try_step().expect("a peer that lives")
    }

    /// One operation, with a peer that may die.
    pub(super) fn try_step(&mut self) -> Result<bool, Gone> {
        let left = usize::try_from(self.count - self.next).unwrap_or(usize::MAX);
        if left == 0 {
            self.done = self.done || self.is_finished();
            return Ok(false);
        }
        let n = 1 + self.mix.below(self.buffer.len());
        let operation = self.mix.below(self.operations);
        let taken = match operation {
            0 if size_of::<T>() < LARGE => self.consumer.pop().map(|value| expect(&[value], self.next)),
            0 | 1 => {
                let taken = self.consumer.pop_into(&mut self.buffer[0]);
                taken.map(|()| expect(&self.buffer[..1], self.next))
            }
            2 => {
                let taken = self.consumer.pop_slice(&mut self.buffer[..n]);
                taken.map(|taken| expect(&self.buffer[..taken], self.next))
            }
            3 => {
                self.all.clear();
                let taken = self.consumer.pop_all(&mut self.all);
                taken.map(|taken| {
                    assert_eq!(taken, self.all.len());
                    expect(&self.all, self.next)
                })
            }
            4 if size_of::<T>() < LARGE => self.consumer.drain().map(|drain| {
                (self.next..).zip(drain.take(n)).fold(0, |taken, (number, value)| taken + expect(&[value], number))
            }),
            4 | 5 => self.peek_and_consume(n),
            6 if size_of::<T>() < LARGE => self.consumer.pop_blocking().map(|value| expect(&[value], self.next)),
            _ => {
                let n = n.min(left).min(self.consumer.capacity());
                self.wait_and_take(n)
            }
        };
        match taken {
            Ok(taken) => {
                self.next += taken as u64;
                assert!(self.next <= self.count, "{} elements, {} were sent", self.next, self.count);
                Ok(taken != 0)
            }
            Err(RecvError::Empty) => Ok(false),
            Err(RecvError::Disconnected) => Err(Gone),
            Err(error) => panic!("receiving failed before number {}: {error:?}", self.next),
        }
    }

    /// Fewer than `n` come only behind the peer's end.
    fn wait_and_take(&mut self, n: usize) -> Result<usize, RecvError> {
        let there = self.consumer.wait_for(n, HANG)?;
        let taken = self.consumer.pop_slice(&mut self.buffer[..n])?;
        assert_eq!(taken, there.min(n));
        if taken < n {
            assert!(!self.consumer.is_connected(), "{taken} elements after waiting for {n}");
        }
        Ok(expect(&self.buffer[..taken], self.next))
    }

    fn peek_and_consume(&mut self, n: usize) -> Result<usize, RecvError> {
        let peek = self.consumer.peek()?;
        let n = n.min(peek.len());
        for index in 0..n {
            expect(&[peek.get(index).expect("an element that was counted")], self.next + index as u64);
        }
        assert!(peek.get(peek.len()).is_none());
        // Half of what was seen stays.
        let taken = n.div_ceil(2);
        peek.consume(taken);
        Ok(taken)
    }

    /// Whether the end is there, right behind the last element.
    fn is_finished(&mut self) -> bool {
        match self.consumer.pop() {
            Err(RecvError::Empty) => false,
            Err(RecvError::Finished) => true,
            Err(error) => panic!("no proper end: {error:?}"),
            Ok(_) => panic!("one more than the {} that were sent", self.count),
        }
    }
}

/// Checks a run of elements and returns its length.
fn expect<T: Element>(values: &[T], first: u64) -> usize {
    for (number, value) in (first..).zip(values) {
        assert!(
            is_whole(value, number),
            "not number {number}, or not whole: {:02x?}..",
            &value.as_bytes()[..size_of::<T>().min(24)]
        );
    }
    values.len()
}
