//! Medians, and ratios of pairs: figures of one state only, and none from fewer runs than are enough.

use std::collections::BTreeMap;

use crate::cores::State;

/// Runs of a case in one state that make a result.
pub const ENOUGH: usize = 5;

/// The figures of one case by state and round.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Runs(BTreeMap<(State, usize), f64>);

/// What the runs of a case in one state show.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub runs: usize,
    pub median: f64,
    pub least: f64,
    pub most: f64,
}

/// The median of the ratios of two cases in the same round and state.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ratio {
    pub pairs: usize,
    pub median: f64,
}

impl Runs {
    pub fn add(&mut self, state: State, round: usize, figure: f64) {
        self.0.insert((state, round), figure);
    }

    pub fn count(&self, state: State) -> usize {
        self.of(state).count()
    }

    /// `None`: fewer runs than are enough.
    pub fn summary(&self, state: State) -> Option<Summary> {
        let figures = sorted(self.of(state).map(|(_, figure)| figure))?;
        Some(Summary {
            runs: figures.len(),
            median: median(&figures),
            least: figures[0],
            most: figures[figures.len() - 1],
        })
    }

    /// This by the other. `None`: fewer pairs than are enough.
    pub fn ratio(&self, other: &Self, state: State) -> Option<Ratio> {
        let pairs = self.of(state).filter_map(|(round, figure)| Some(figure / other.0.get(&(state, round))?));
        let ratios = sorted(pairs.filter(|ratio| ratio.is_finite()))?;
        Some(Ratio { pairs: ratios.len(), median: median(&ratios) })
    }

    fn of(&self, state: State) -> impl Iterator<Item = (usize, f64)> {
        self.0.iter().filter(move |((of, _), _)| *of == state).map(|((_, round), figure)| (*round, *figure))
    }
}

/// The figures from the least to the most, if there are enough.
fn sorted(figures: impl Iterator<Item = f64>) -> Option<Vec<f64>> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    (figures.len() >= ENOUGH).then_some(figures)
}

/// The middle one, or the mean of the two in the middle.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) { (sorted[middle - 1] + sorted[middle]) / 2.0 } else { sorted[middle] }
}

#[cfg(test)]
mod tests {
    use super::*;
    use State::{Far, Near};

    fn runs(figures: impl IntoIterator<Item = (State, usize, f64)>) -> Runs {
        let mut runs = Runs::default();
        figures.into_iter().for_each(|(state, round, figure)| runs.add(state, round, figure));
        runs
    }

    #[test]
    fn the_median_is_the_middle_whatever_the_order() {
        let odd = runs([(0, 9.0), (1, 1.0), (2, 3.0), (3, 100.0), (4, 2.0)].map(|(round, x)| (Near, round, x)));
        assert_eq!(odd.summary(Near), Some(Summary { runs: 5, median: 3.0, least: 1.0, most: 100.0 }));
        let even = runs((0..6).map(|round| (Near, round, [6.0, 5.0, 1.0, 2.0, 4.0, 3.0][round])));
        assert_eq!(even.summary(Near).map(|summary| summary.median), Some(3.5));
    }

    #[test]
    fn fewer_than_five_runs_are_no_result() {
        let four = runs((0..4).map(|round| (Near, round, 1.0)));
        assert_eq!((four.summary(Near), four.ratio(&four, Near), four.count(Near)), (None, None, 4));
    }

    #[test]
    fn states_are_never_mixed() {
        // Four runs near and four far are eight runs, and no result.
        let both = runs((0..8).map(|round| (if round < 4 { Near } else { Far }, round, 1.0)));
        assert_eq!((both.summary(Near), both.summary(Far)), (None, None));
        let near = runs((0..5).map(|round| (Near, round, 1.0)).chain([(Far, 5, 1000.0)]));
        assert_eq!(near.summary(Near).map(|summary| summary.most), Some(1.0));
        // The same rounds in different states are no pairs.
        let far = runs((0..5).map(|round| (Far, round, 1.0)));
        assert_eq!((near.ratio(&far, Near), near.ratio(&far, Far)), (None, None));
    }

    #[test]
    fn a_ratio_is_made_of_pairs_of_one_round() {
        let slow = runs((0..6).map(|round| (Near, round, 10.0 * (round + 1) as f64)));
        let fast = runs((1..7).map(|round| (Near, round, (round + 1) as f64)));
        assert_eq!(slow.ratio(&fast, Near), Some(Ratio { pairs: 5, median: 10.0 }));
        // One pair less than is enough.
        let fewer = runs((2..8).map(|round| (Near, round, 1.0)));
        assert_eq!(slow.ratio(&fewer, Near), None);
    }
}
