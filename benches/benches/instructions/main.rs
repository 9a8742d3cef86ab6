//! How many instructions an operation takes, which depends on the compiler and not on the machine's mood.
//!
//! `cargo bench -p ipc-bench --bench instructions` counts with callgrind and compares with `benches/instructions.txt`;
//! `-- --record` writes that file.
#![allow(clippy::print_stdout, clippy::unwrap_used, missing_docs, reason = "a benchmark")]

mod callgrind;
mod operations;
mod record;

use std::{env, process::ExitCode};

use record::Record;

const COMMAND: &str = "cargo bench -p ipc-bench --bench instructions";

fn main() -> ExitCode {
    // Cargo adds `--bench`.
    let words: Vec<String> = env::args().skip(1).filter(|word| word != "--bench").collect();
    let result = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [callgrind::COUNTED] => {
            operations::all();
            Ok(true)
        }
        ["--record"] => record(),
        [] => check(),
        _ => Err(format!("not understood: {}\nusage: {COMMAND} [-- --record]", words.join(" "))),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::from(2)
        }
    }
}

fn record() -> Result<bool, String> {
    let found = Record::count()?;
    found.write()?;
    print!("{found}");
    Ok(true)
}

/// Whether no operation takes more than was recorded.
fn check() -> Result<bool, String> {
    let (recorded, found) = (Record::read()?, Record::count()?);
    let differences = recorded.compare(&found);
    for line in &differences.made {
        println!("{line}");
    }
    println!("{:<60}{:>9}{:>9}", "instructions of", "recorded", "now");
    for line in &differences.counts {
        println!("{line}");
    }
    if differences.worse {
        println!("`{COMMAND} -- --record` records what is now, if it is meant to be so.");
    } else if differences.better {
        println!("Fewer than recorded: `{COMMAND} -- --record` holds them to it.");
    }
    Ok(!differences.worse)
}
