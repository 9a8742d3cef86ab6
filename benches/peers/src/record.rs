//! What a run found, as it is kept: a line of JSON for the machine, and one for each run of a case.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{cores::State, machine::Machine, measures::Values, plan::Plan};

/// The file in the directory of a run.
const FILE: &str = "samples.jsonl";

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    Machine(Machine),
    Sample(Sample),
    Failure(Failure),
}

/// One run of one case.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sample {
    pub group: String,
    pub case: String,
    pub plan: Plan,
    pub round: usize,
    /// The floor before and behind it, in nanoseconds.
    pub floors: (f64, f64),
    pub values: Values,
}

impl Sample {
    pub fn state(&self) -> Option<State> {
        State::of(self.floors.0, self.floors.1)
    }
}

/// A run that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Failure {
    pub group: String,
    pub case: String,
    pub plan: Plan,
    pub round: usize,
    pub reason: String,
}

/// The file while the run goes on. Each line is written at once.
#[derive(Debug)]
pub struct Journal(File);

impl Journal {
    pub fn create(directory: &Path, machine: Machine) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let mut journal = Self(File::create(directory.join(FILE))?);
        journal.write(&Line::Machine(machine))?;
        Ok(journal)
    }

    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        self.0.write_all(format!("{}\n", serde_json::to_string(line)?).as_bytes())
    }
}

/// All that was kept.
#[derive(Debug)]
pub struct Record {
    pub machine: Machine,
    pub samples: Vec<Sample>,
    pub failures: Vec<Failure>,
}

impl Record {
    pub fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join(FILE);
        let bad = |what: String| io::Error::other(format!("{}: {what}", path.display()));
        let text = fs::read_to_string(&path).map_err(|error| bad(error.to_string()))?;
        let (mut machine, mut samples, mut failures) = (None, Vec::new(), Vec::new());
        for (number, line) in text.lines().enumerate() {
            match serde_json::from_str(line).map_err(|error| bad(format!("line {}: {error}", number + 1)))? {
                Line::Machine(found) => machine = Some(found),
                Line::Sample(sample) => samples.push(sample),
                Line::Failure(failure) => failures.push(failure),
            }
        }
        let machine = machine.ok_or_else(|| bad("it does not say on which machine".into()))?;
        Ok(Self { machine, samples, failures })
    }
}
