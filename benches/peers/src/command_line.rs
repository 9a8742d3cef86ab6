//! What the program is told to do.

use std::{ffi::OsString, fmt::Write, path::PathBuf};

use lexopt::{
    Arg::{Long, Short, Value},
    ValueExt,
};

use crate::{
    groups::{self, Group},
    table::SYSTEMS,
};

/// What `peers --help` says.
pub const HELP: &str = "\
memenpsf beside everything else that moves messages on one machine, alternately in one run

peers [run] [GROUP-PART...]   measures the groups whose names contain one of the parts, or all groups
    --systems A,B             only these systems; keep memenpsf among them to get ratios
    --rounds N                rounds at most (20); a group ends when all its cases have enough runs in one state
    --quick                   two short rounds: shows that everything works, and gives no results
    --out DIR                 where everything goes (target/peers in the package); an earlier run there is replaced
peers report DIR              makes the tables and plots again from the samples in DIR
peers list                    the groups with their cases
peers --help                  this
";

/// Rounds at most, if nothing else is said.
const ROUNDS: usize = 20;
/// Rounds of a quick run.
const QUICK: usize = 2;

#[derive(Debug)]
pub enum Command {
    Run(Run),
    Report(PathBuf),
    List,
    Help,
}

#[derive(Debug)]
pub struct Run {
    pub groups: Vec<Group>,
    pub rounds: usize,
    pub directory: PathBuf,
}

/// The command, or what is wrong with the arguments.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut words: Vec<String> = Vec::new();
    let (mut systems, mut rounds, mut quick, mut directory) = (Vec::new(), None, false, None);
    let mut parser = lexopt::Parser::from_args(arguments);
    let text = |error: lexopt::Error| error.to_string();
    while let Some(argument) = parser.next().map_err(text)? {
        match argument {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("systems") => systems = names(&parser.value().and_then(|value| value.string()).map_err(text)?)?,
            Long("rounds") => rounds = Some(parser.value().and_then(|value| value.parse()).map_err(text)?),
            Long("quick") => quick = true,
            Long("out") => directory = Some(parser.value().map_err(text)?.into()),
            Value(word) => words.push(word.string().map_err(text)?),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let options = !systems.is_empty() || rounds.is_some() || quick || directory.is_some();
    match words.first().map(String::as_str) {
        Some("report" | "list") if options => return Err("options belong to `run`".into()),
        Some("list") if words.len() == 1 => return Ok(Command::List),
        Some("list") => return Err("`list` takes no arguments".into()),
        Some("report") if words.len() == 2 => return Ok(Command::Report(words.remove(1).into())),
        Some("report") => return Err("`report` takes one directory".into()),
        Some("run") => drop(words.remove(0)),
        _ => {}
    }
    let rounds = rounds.unwrap_or(if quick { QUICK } else { ROUNDS });
    if rounds == 0 {
        return Err("no rounds, no figures".into());
    }
    let directory = directory.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers").into());
    let mut groups = chosen(&words, &systems)?;
    groups.iter_mut().flat_map(|group| &mut group.cases).for_each(|case| case.plan.quick = quick);
    Ok(Command::Run(Run { groups, rounds, directory }))
}

/// The names of systems in a list with commas. Names may contain commas themselves.
fn names(list: &str) -> Result<Vec<&'static str>, String> {
    let mut rest = list;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let ends = |after: &str| after.is_empty() || after.starts_with(',');
        let named = SYSTEMS.iter().filter(|entry| rest.strip_prefix(entry.name).is_some_and(ends));
        let Some(entry) = named.max_by_key(|entry| entry.name.len()) else {
            let all: Vec<_> = SYSTEMS.iter().map(|entry| entry.name).collect();
            return Err(format!("no system `{rest}`; there are: {}", all.join("; ")));
        };
        found.push(entry.name);
        rest = rest[entry.name.len()..].trim_start_matches(',').trim_start();
    }
    Ok(found)
}

/// The groups that one of the parts names, with the cases of those systems. No parts and no systems stand for all.
fn chosen(parts: &[String], systems: &[&str]) -> Result<Vec<Group>, String> {
    let mut groups = groups::all();
    if let Some(part) = parts.iter().find(|part| !groups.iter().any(|group| group.name.contains(*part))) {
        return Err(format!("no group has `{part}` in its name; `peers list` shows them"));
    }
    groups.retain(|group| parts.is_empty() || parts.iter().any(|part| group.name.contains(part)));
    for group in &mut groups {
        group.cases.retain(|case| systems.is_empty() || systems.contains(&case.plan.system.as_str()));
    }
    groups.retain(|group| !group.cases.is_empty());
    if groups.is_empty() {
        return Err("these groups have no case of these systems".into());
    }
    Ok(groups)
}

/// All groups with their cases.
pub fn list() -> String {
    let mut text = String::new();
    for group in groups::all() {
        let cases: Vec<_> = group.cases.iter().map(|case| case.name.as_str()).collect();
        writeln!(text, "{}\n    {}", group.name, cases.join("; ")).expect("a string takes text");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<Command, String> {
        parse(line.iter().map(OsString::from))
    }

    #[test]
    fn a_part_of_a_name_chooses_groups_and_run_is_the_default() {
        for line in [&["run", "round trip", "--rounds", "7"][..], &["round trip", "--rounds=7"]] {
            let Ok(Command::Run(run)) = parsed(line) else { panic!("{line:?} is a run") };
            assert_eq!(run.rounds, 7);
            assert!(run.groups.iter().all(|group| group.name.contains("round trip")));
        }
    }

    #[test]
    fn a_system_whose_name_has_a_comma_can_be_chosen() {
        assert_eq!(names("rtrb, paced,memenpsf").expect("two systems"), ["rtrb, paced", "memenpsf"]);
        assert_eq!(names("rtrb,memenpsf").expect("two systems"), ["rtrb", "memenpsf"]);
    }

    #[test]
    fn wrong_arguments_are_named() {
        let lines: [(&[&str], &str); 6] = [
            (&["no such group"], "no such group"),
            (&["--systems", "none"], "none"),
            (&["--rounds", "many"], "many"),
            (&["--rounds", "0"], "no rounds"),
            (&["report"], "one directory"),
            (&["--frob"], "--frob"),
        ];
        for (line, word) in lines {
            let message = parsed(line).expect_err("a wrong line");
            assert!(message.contains(word), "{message}");
        }
    }
}
