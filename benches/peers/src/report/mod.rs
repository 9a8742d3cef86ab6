//! What is made of the samples of a run: tables, plots, and whether the goals are met.

mod bars;
mod curves;
mod goals;
mod plots;
mod results;
mod statistics;
mod svg;
mod text;
mod units;

use std::{fs, io, path::Path};

pub use {results::is_ours, statistics::ENOUGH};

use crate::record::Record;

/// Writes all files of the report into the directory of a run, and returns the tables.
pub fn write(directory: &Path) -> io::Result<String> {
    let record = Record::read(directory)?;
    let tables = results::tables(&record);
    let markdown = text::markdown(&record, &tables);
    fs::write(directory.join("tables.md"), &markdown)?;
    fs::write(directory.join("results.csv"), text::csv(&tables))?;
    fs::write(directory.join("goals.md"), goals::markdown(&tables))?;
    plots::write(&directory.join("plots"), &tables)?;
    Ok(markdown)
}
