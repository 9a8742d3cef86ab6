//! The command line, as criterion's benchmarks have it.

use std::process::exit;

use ipc_bench::variants::Variant;

use crate::scenarios::Scenario;

const USAGE: &str = "\
usage: waiting [--test] [FILTER]

  --test   do each thing once, for a moment, and measure nothing
  FILTER   only what has this in its name, which is SCENARIO/VARIANT";

#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) test: bool,
    pub(crate) filter: Option<String>,
}

impl Arguments {
    pub(crate) fn parse(words: impl Iterator<Item = String>) -> Self {
        let mut arguments = Self::default();
        for word in words {
            match word.as_str() {
                // From cargo.
                "--bench" => {}
                "--test" => arguments.test = true,
                "--help" | "-h" => {
                    println!("{USAGE}");
                    exit(0)
                }
                option if option.starts_with('-') => wrong(&format!("unknown option {option}")),
                _ if arguments.filter.is_some() => wrong(&format!("a second filter, {word}")),
                _ => arguments.filter = Some(word),
            }
        }
        arguments
    }

    pub(crate) fn want(&self, scenario: &Scenario, variant: &Variant) -> bool {
        let name = format!("{}/{}", scenario.name, variant.name);
        scenario.has(variant) && self.filter.as_ref().is_none_or(|filter| name.contains(filter))
    }
}

fn wrong(what: &str) -> ! {
    eprintln!("{what}\n{USAGE}");
    exit(2)
}
