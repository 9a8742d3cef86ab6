//! The file of recorded counts, and what differs from it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{self, Display, Formatter},
    fs,
    process::Command,
};

use crate::{COMMAND, callgrind};

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.txt");
/// So much more than recorded is no failure.
const MARGIN: f64 = 1.03;
/// Begins a line that says what the counts were made with.
const MADE: &str = "made ";

/// The instructions of each operation, and what they were made with.
pub(crate) struct Record {
    made: Vec<String>,
    counts: BTreeMap<String, f64>,
}

/// Two records side by side.
pub(crate) struct Differences {
    /// Why the counts may differ though the code does not.
    pub(crate) made: Vec<String>,
    /// A line for each operation.
    pub(crate) counts: Vec<String>,
    /// There is an operation that takes more, or that only one of the two has.
    pub(crate) worse: bool,
    /// There is one that takes fewer, by more than the margin.
    pub(crate) better: bool,
}

impl Record {
    /// Counts now.
    pub(crate) fn count() -> Result<Self, String> {
        if cfg!(debug_assertions) {
            return Err(format!("a build with debug assertions counts for nothing: {COMMAND}"));
        }
        let with = |program: &str, argument| version(program, argument).map(|version| format!("{MADE}with {version}"));
        // Beyond these two, the compiler may use instructions that not every processor has.
        let plain = !cfg!(any(target_feature = "sse3", target_feature = "lse"));
        let code = if plain { "baseline code" } else { "code for newer processors" };
        let made = vec![
            with("rustc", "--version")?,
            with("valgrind", "--version")?,
            // Batches are copied by the C library.
            with("getconf", "GNU_LIBC_VERSION")?,
            format!("{MADE}on {}, {code}, bench profile", std::env::consts::ARCH),
        ];
        Ok(Self { made, counts: callgrind::run()?.into_iter().collect() })
    }

    pub(crate) fn read() -> Result<Self, String> {
        let text = fs::read_to_string(FILE).map_err(|error| format!("{FILE}: {error}"))?;
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let (made, counts): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(MADE));
        let count = |line: &&str| {
            let (name, count) = line.rsplit_once(' ')?;
            Some((name.trim_end().to_owned(), count.parse().ok()?))
        };
        let counts = counts.iter().map(|line| count(line).ok_or(format!("{FILE}: no count: {line}")));
        Ok(Self { made: made.into_iter().map(String::from).collect(), counts: counts.collect::<Result<_, _>>()? })
    }

    pub(crate) fn write(&self) -> Result<(), String> {
        fs::write(FILE, self.to_string()).map_err(|error| format!("{FILE}: {error}"))
    }

    /// `self` is what was recorded.
    pub(crate) fn compare(&self, now: &Self) -> Differences {
        let made = self.made.iter().zip(&now.made).filter(|(recorded, now)| recorded != now);
        let made = made.map(|(recorded, now)| format!("recorded: {recorded}; now: {now}")).collect();
        let mut differences = Differences { made, counts: Vec::new(), worse: false, better: false };
        for name in self.counts.keys().chain(now.counts.keys()).collect::<BTreeSet<_>>() {
            differences.add(name, self.counts.get(name), now.counts.get(name));
        }
        differences
    }
}

impl Differences {
    fn add(&mut self, name: &str, recorded: Option<&f64>, now: Option<&f64>) {
        let verdict = match (recorded, now) {
            (Some(recorded), Some(now)) if *now > recorded * MARGIN => "  MORE",
            (Some(recorded), Some(now)) if *now < recorded / MARGIN => "  fewer",
            (Some(_), Some(_)) => "",
            (None, _) => "  NOT RECORDED",
            (_, None) => "  NOT COUNTED",
        };
        self.better |= verdict == "  fewer";
        self.worse |= !["", "  fewer"].contains(&verdict);
        let [recorded, now] = [recorded, now].map(|count| count.map_or("-".to_owned(), |count| format!("{count:.1}")));
        self.counts.push(format!("{name:<60}{recorded:>9}{now:>9}{verdict}"));
    }
}

impl Display for Record {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Instructions that one operation takes, with the loop around it, as callgrind counts them.")?;
        writeln!(f, "# Written by `{COMMAND} -- --record`; see docs/testing.md.")?;
        self.made.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f)?;
        self.counts.iter().try_for_each(|(name, count)| writeln!(f, "{name:<60}{count:>9.1}"))
    }
}

/// What a program says about its version, in one line.
fn version(program: &str, argument: &str) -> Result<String, String> {
    let output = Command::new(program).arg(argument).output().map_err(|error| format!("{program}: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
