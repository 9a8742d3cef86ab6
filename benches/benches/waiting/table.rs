//! Pairs, their ratios, and the table of them.

use std::{fmt::Write, ops::Range};

use ipc_bench::variants::VARIANTS;

/// With fewer pairs in one state there is no result.
const FEWEST: usize = 5;

/// How far the two cores are from each other.
#[derive(Clone, Copy, Debug)]
pub(crate) enum State {
    Near,
    Between,
    Far,
}

impl State {
    const ALL: [(Self, &str, Range<f64>); 3] = [
        (Self::Near, "Near: a cache line takes less than 180 ns to the other core and back", 0.0..180.0),
        (Self::Between, "Between: 180 to 400 ns", 180.0..400.0),
        (Self::Far, "Far: more than 400 ns", 400.0..f64::INFINITY),
    ];

    /// What all probes around two runs say. None of them may be much longer than another.
    pub(crate) fn of(floors: &[f64]) -> Option<Self> {
        let [low, high] = [f64::min, f64::max].map(|choose| floors.iter().copied().reduce(choose).unwrap());
        let of_both = |range: &Range<f64>| range.contains(&low) && range.contains(&high) && high < 1.5 * low;
        Self::ALL.iter().find(|(.., range)| of_both(range)).map(|(state, ..)| *state)
    }
}

/// The pairs of one scenario and one variant, by state: nanoseconds with the full strategy, and the other figure divided by that.
#[derive(Debug, Default)]
pub(crate) struct Cell([Vec<[f64; 2]>; State::ALL.len()]);

impl Cell {
    pub(crate) fn add(&mut self, state: State, [full, other]: [f64; 2]) {
        self.0[state as usize].push([full, other / full]);
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.0.iter().any(|pairs| pairs.len() >= FEWEST)
    }

    /// The quartiles of the full strategy's nanoseconds, or of the ratios.
    fn quartiles(&self, state: State, which: usize) -> Option<[f64; 3]> {
        let mut values: Vec<f64> = self.0[state as usize].iter().map(|pair| pair[which]).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().checked_sub(1).filter(|last| last + 1 >= FEWEST)?;
        Some([last / 4, last / 2, last - last / 4].map(|index| values[index]))
    }

    fn nanoseconds(&self, state: State) -> String {
        self.quartiles(state, 0).map_or("no result".into(), |[_, median, _]| format!("{median:.1} ns"))
    }

    fn ratio(&self, state: State) -> String {
        let text = |[low, median, high]: [f64; 3]| format!("{median:.2} ± {:.2}", (high - low) / 2.0);
        self.quartiles(state, 1).map_or("no result".into(), text)
    }
}

/// Columns of cells: one a scenario.
#[derive(Debug)]
pub(crate) struct Table(Vec<(&'static str, Vec<(&'static str, Cell)>)>);

impl Table {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn add(&mut self, scenario: &'static str, cells: Vec<(&'static str, Cell)>) {
        self.0.push((scenario, cells));
    }

    /// A table for each state that was seen.
    pub(crate) fn markdown(&self) -> String {
        let mut text = String::from(
            "# What each part of the waiting strategy buys\n\n\
             Without the part, in times of what it takes with it: over 1, the part buys something. The first line is the full \
             strategy, and the second that beside itself.\n",
        );
        for (state, heading, _) in State::ALL {
            if self.0.iter().flat_map(|(_, cells)| cells).any(|(_, cell)| cell.quartiles(state, 0).is_some()) {
                write!(text, "\n## {heading}\n\n").unwrap();
                self.write_state(&mut text, state);
            }
        }
        text
    }

    fn write_state(&self, text: &mut String, state: State) {
        let names = self.0.iter().map(|(scenario, _)| (*scenario).into());
        row(text, "switched off, or other", names);
        row(text, "---", self.0.iter().map(|_| "---".into()));
        row(text, "**full strategy**", self.0.iter().map(|(_, cells)| cells[0].1.nanoseconds(state)));
        for variant in &VARIANTS {
            let cell = |cells: &[(&str, Cell)]| {
                let cell = cells.iter().find(|(name, _)| *name == variant.name);
                cell.map_or("".into(), |(_, cell)| cell.ratio(state))
            };
            let cells: Vec<String> = self.0.iter().map(|(_, cells)| cell(cells)).collect();
            if cells.iter().any(|cell| !cell.is_empty()) {
                row(text, variant.name, cells.into_iter());
            }
        }
    }
}

fn row(text: &mut String, name: &str, cells: impl Iterator<Item = String>) {
    writeln!(text, "| {name} | {} |", cells.collect::<Vec<_>>().join(" | ")).unwrap();
}
