//! The samples in the order of their groups, values and cases.

use super::{statistics::Runs, units::Unit};
use crate::{cores::State, groups::size, plan::Plan, record::Record, table::SYSTEMS};

/// One value that the cases of a group have in common.
#[derive(Clone, Debug)]
pub struct Table {
    pub group: String,
    /// The group's name without the size of the messages.
    pub family: String,
    /// Bytes of a message, if that is in the group's name.
    pub size: Option<usize>,
    pub value: String,
    pub unit: Unit,
    pub rows: Vec<Row>,
    /// Runs while the state changed, which count nowhere.
    pub between: usize,
}

/// One case.
#[derive(Clone, Debug)]
pub struct Row {
    pub case: String,
    pub plan: Plan,
    pub runs: Runs,
}

/// The name of the system that the others are compared with.
pub fn ours() -> &'static str {
    SYSTEMS[0].name
}

/// What ours are called, alone or before a comma and the way in which they are used.
const OURS: [&str; 2] = ["memenpsf", "fdpass"];

/// Whether that system is one of ours.
pub fn is_ours(system: &str) -> bool {
    OURS.contains(&system.split(", ").next().unwrap_or_default())
}

impl Row {
    pub fn is_ours(&self) -> bool {
        is_ours(&self.plan.system)
    }

    /// What the case's name says after the system's.
    fn manner(&self) -> &str {
        self.case.strip_prefix(&self.plan.system).unwrap_or_default()
    }
}

impl Table {
    /// As a heading: the group, and the value where its unit does not say what it is.
    pub fn name(&self) -> String {
        self.named(&self.group)
    }

    /// Our case that does the same in the same manner; the first of ours where there is none.
    pub fn ours_beside(&self, row: &Row) -> Option<&Row> {
        let ours = || self.rows.iter().filter(|row| row.is_ours());
        ours().find(|of| of.manner() == row.manner()).or_else(|| ours().next())
    }

    /// The same in other sizes, and itself.
    pub fn is_of_family(&self, other: &Self) -> bool {
        self.size.is_some() && self.family == other.family && self.value == other.value
    }

    /// The name of all that are of its family.
    pub fn family_name(&self) -> String {
        self.named(&self.family)
    }

    fn named(&self, name: &str) -> String {
        if self.unit.says_all(&self.value) { name.to_owned() } else { format!("{name}: {}", self.value) }
    }

    /// The best case of each system with its median, in the order of the rows.
    pub fn best(&self, state: State) -> Vec<(&Row, f64)> {
        let mut best: Vec<(&Row, f64)> = Vec::new();
        for row in &self.rows {
            let Some(median) = row.runs.summary(state).map(|found| found.median) else { continue };
            match best.iter_mut().find(|(other, _)| other.plan.system == row.plan.system) {
                Some(other) if (median > other.1) == self.unit.more_is_better() => *other = (row, median),
                Some(_) => {}
                None => best.push((row, median)),
            }
        }
        best
    }

    pub fn row(&self, case: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.case == case)
    }
}

/// All of them.
pub fn tables(record: &Record) -> Vec<Table> {
    let mut tables: Vec<Table> = Vec::new();
    for sample in &record.samples {
        for (value, figure) in &sample.values {
            let is = |table: &Table| table.group == sample.group && table.value == *value;
            let at = tables.iter().position(is).unwrap_or_else(|| {
                tables.push(empty(&sample.group, value, &sample.plan));
                tables.len() - 1
            });
            let table = &mut tables[at];
            let row = table.rows.iter().position(|row| row.case == sample.case).unwrap_or_else(|| {
                let (case, plan) = (sample.case.clone(), sample.plan.clone());
                table.rows.push(Row { case, plan, runs: Runs::default() });
                table.rows.len() - 1
            });
            match sample.state() {
                Some(state) => table.rows[row].runs.add(state, sample.round, *figure),
                None => table.between += 1,
            }
        }
    }
    tables
}

fn empty(group: &str, value: &str, plan: &Plan) -> Table {
    let named = group.strip_suffix(&size(plan.bytes)).and_then(|family| family.strip_suffix(' '));
    Table {
        group: group.to_owned(),
        family: named.unwrap_or(group).to_owned(),
        size: named.map(|_| plan.bytes),
        value: value.to_owned(),
        unit: Unit::of(value),
        rows: Vec::new(),
        between: 0,
    }
}
