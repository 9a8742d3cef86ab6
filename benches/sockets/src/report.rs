//! The tables: medians of one state, and ratios of runs of one round.

use std::{collections::BTreeMap, fmt::Write};

use crate::{
    cores::State,
    plan::Plan,
    statistics::{ENOUGH, Runs},
};

/// All figures by plan and place of the system, in nanoseconds.
#[derive(Default)]
pub struct Record(BTreeMap<(Plan, usize), Runs>);

impl Record {
    pub fn add(&mut self, plan: Plan, place: usize, state: State, round: usize, nanoseconds: f64) {
        self.0.entry((plan, place)).or_default().add(state, round, nanoseconds);
    }

    /// A table for the plans with the same systems, in each state in which there was anything.
    pub fn markdown(&self, plans: &[Plan]) -> String {
        let mut text = String::new();
        for state in State::ALL.into_iter().filter(|state| self.0.values().any(|runs| runs.count(*state) >= ENOUGH)) {
            for plans in plans.chunk_by(|one, next| one.subject.systems() == next.subject.systems()) {
                let systems = plans[0].subject.systems();
                let ratios: String = systems[1..].iter().map(|other| format!(" ours by {other} | pairs |")).collect();
                let columns = "---:|".repeat(systems.len() + 2 * (systems.len() - 1));
                write!(text, "\n| {} | {} |{ratios}\n|---|{columns}\n", state.name(), systems.join(" | "))
                    .expect("a string takes text");
                plans.iter().for_each(|plan| text.push_str(&self.line(plan, state)));
            }
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
        let runs: Vec<Runs> = (0..plan.subject.systems().len())
            .map(|place| self.0.get(&(*plan, place)).cloned().unwrap_or_default())
            .collect();
        let mut line = format!("| {} |", plan.name());
        for runs in &runs {
            line +=
                &runs.summary(state).map_or(" no result |".into(), |found| format!(" {} |", duration(found.median)));
        }
        for other in &runs[1..] {
            line += &runs[0]
                .ratio(other, state)
                .map_or(" no result | 0 |".into(), |found| format!(" {:.3} | {} |", found.median, found.pairs));
        }
        line + "\n"
    }
}

fn duration(nanoseconds: f64) -> String {
    if nanoseconds < 1000.0 { format!("{nanoseconds:.0} ns") } else { format!("{:.2} µs", nanoseconds / 1000.0) }
}
