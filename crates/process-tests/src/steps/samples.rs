//! Which of all the points are tried: some, evenly over everything, or all.

use super::{
    acts::Act,
    ends::End,
    fates::{self, Fate},
    handshake::{self, Survived},
    scene::{By, Cell, Situation},
    standing::{self, Looked},
};
use crate::{progress::Progress, storm::random::Random};

/// The golden ratio: multiples of it, without their whole parts, lie as evenly as can be, however many they are.
const EVEN: f64 = 0.618_033_988_749_894_9;

/// What was tried.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    /// Operations of an end, size, capacity and situation.
    pub cells: usize,
    /// Victims.
    pub victims: usize,
}

/// `count` victims, each at one point of one cell, as even over the cells and over the points of each operation as can be.
pub fn some(program: &str, by: By, fate: Fate, count: usize, seed: u64) -> Tried {
    let cells: Vec<Cell> = Cell::all().into_iter().filter(|cell| fate.fits(cell)).collect();
    let mut tried = Tried::default();
    let progress = Progress::create();
    for (index, cell) in cells.iter().enumerate() {
        let (from, to) = (index * count / cells.len(), (index + 1) * count / cells.len());
        if from == to {
            continue;
        }
        let points = fates::points(program, cell, &progress, by);
        for victim in (from..to).filter(|_| !points.is_empty()) {
            let part = ((victim as f64 + seed as f64) * EVEN).fract();
            let point = points[(part * points.len() as f64) as usize];
            at(program, cell, &progress, by, point, fate, victim);
            tried.victims += 1;
        }
        tried.cells += 1;
    }
    tried
}

/// Every point of every `nth` cell.
pub fn all(program: &str, by: By, fate: Fate, nth: usize) -> Tried {
    let cells: Vec<Cell> = Cell::all().into_iter().filter(|cell| fate.fits(cell)).step_by(nth).collect();
    every(program, by, fate, &cells)
}

/// Every point of these cells.
pub fn every(program: &str, by: By, fate: Fate, cells: &[Cell]) -> Tried {
    let mut tried = Tried::default();
    let progress = Progress::create();
    for cell in cells {
        for point in fates::points(program, cell, &progress, by) {
            at(program, cell, &progress, by, point, fate, tried.victims);
            tried.victims += 1;
        }
        tried.cells += 1;
    }
    tried
}

/// The operations in which a wake-up could be lost between two instructions: those that may have to ring, and those that may sleep.
pub fn wakers_and_sleepers() -> [Cell; 4] {
    let cell = |end, act, situation| Cell { end, words: super::SIZES[0], capacity: 4, act, situation };
    [
        cell(End::Producer, Act::Push, Situation::Ready),
        cell(End::Consumer, Act::Pop, Situation::Ready),
        cell(End::Producer, Act::PushBlocking, Situation::Starved),
        cell(End::Consumer, Act::PopBlocking, Situation::Starved),
    ]
}

/// Says where it was, should it fail.
fn at(program: &str, cell: &Cell, progress: &Progress, by: By, point: usize, fate: Fate, way: usize) {
    let _place = Place { cell, by, point, fate, way };
    fates::meet(program, cell, progress, by, point, fate, way);
}

#[derive(Debug)]
#[allow(dead_code, reason = "read by Debug when a check fails")]
struct Place<'a> {
    cell: &'a Cell,
    by: By,
    point: usize,
    fate: Fate,
    way: usize,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {self:?}");
        }
    }
}

/// Victims of every end, size and capacity, looked at `checks` times in all.
pub fn looks(program: &str, checks: u64, seed: u64) -> Looked {
    let mut random = Random::new(seed);
    let cells = End::ALL.into_iter().flat_map(|end| super::SIZES.map(|words| (end, words)));
    let cells: Vec<_> = cells.flat_map(|(end, words)| super::scene::CAPACITIES.map(|c| (end, words, c))).collect();
    let mut sum = Looked::default();
    for &(end, words, capacity) in &cells {
        let looked = standing::look(program, end, words, capacity, checks.div_ceil(cells.len() as u64), &mut random);
        sum.checks += looked.checks;
        sum.steps += looked.steps;
        sum.elements += looked.elements;
        sum.asleep += looked.asleep;
    }
    sum
}

/// What became of survivors of handshakes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Met {
    /// Stops at which a victim met its fate.
    pub stops: usize,
    /// Survivors that were open.
    pub open: usize,
    /// Survivors that saw the victim go.
    pub disconnected: usize,
    /// Survivors that gave up.
    pub timed_out: usize,
}

/// Every `nth` stop of the handshake of that end.
pub fn handshakes(program: &str, end: End, fate: handshake::Fate, nth: usize) -> Met {
    let mut met = Met::default();
    for stop in (0..).step_by(nth) {
        let Some(survived) = handshake::meet(program, end, stop, fate) else { break };
        met.stops += 1;
        match (survived, fate) {
            (Survived::Open, _) => met.open += 1,
            (Survived::Failed(ipc_queue::Error::Disconnected), handshake::Fate::Killed) => met.disconnected += 1,
            (Survived::Failed(ipc_queue::Error::TimedOut { .. }), handshake::Fate::GivenUp) => met.timed_out += 1,
            (other, _) => panic!("{end:?}, stop {stop}, {fate:?}: {other:?}"),
        }
    }
    met
}
