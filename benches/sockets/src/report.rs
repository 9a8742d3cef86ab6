//! The table: medians of one state, and ratios of runs of one round.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    cores::State,
    plan::{Plan, System},
    statistics::{ENOUGH, Runs},
};

/// All figures, in nanoseconds.
#[derive(Default)]
pub struct Record(BTreeMap<(Plan, System), Runs>);

impl Record {
    pub fn add(&mut self, plan: Plan, system: System, state: State, round: usize, nanoseconds: f64) {
        self.0.entry((plan, system)).or_default().add(state, round, nanoseconds);
    }

    /// A table for each state in which there was anything.
    pub fn markdown(&self, plans: &[Plan]) -> String {
        let mut text = String::new();
        for state in State::ALL.into_iter().filter(|state| self.0.values().any(|runs| runs.count(*state) >= ENOUGH)) {
            write!(
                text,
                "\n| {} | local-socket | interprocess | std or tokio | ours by interprocess | pairs | ours by std or \
                 tokio |\n|---|---:|---:|---:|---:|---:|---:|\n",
                state.name()
            )
            .expect("a string takes text");
            plans.iter().for_each(|plan| text.push_str(&self.line(plan, state)));
        }
        if text.is_empty() {
            text = format!(
                "No result: fewer than {ENOUGH} rounds between two floors of one state. More rounds, or a machine with nothing else \
                 to do, would give one.\n"
            );
        }
        text
    }

    fn line(&self, plan: &Plan, state: State) -> String {
        let [ours, theirs, bare] = System::ALL.map(|system| self.0.get(&(*plan, system)).cloned().unwrap_or_default());
        let median = |runs: &Runs| runs.summary(state).map_or("no result".into(), |found| duration(found.median));
        let ratio = |other| ours.ratio(other, state);
        let (beside_theirs, beside_bare) = (ratio(&theirs), ratio(&bare));
        let figures = [&ours, &theirs, &bare].map(median).join(" | ");
        let digits = |ratio: Option<f64>| ratio.map_or("no result".into(), |ratio| format!("{ratio:.3}"));
        format!(
            "| {} | {figures} | {} | {} | {} |\n",
            plan.name(),
            digits(beside_theirs.map(|found| found.median)),
            beside_theirs.map_or(0, |found| found.pairs),
            digits(beside_bare.map(|found| found.median)),
        )
    }
}

fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 1000.0 { format!("{nanoseconds:.0} ns") } else { format!("{:.2} µs", nanoseconds / 1000.0) }
}
