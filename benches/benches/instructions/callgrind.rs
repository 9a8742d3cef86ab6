//! Counting: this program once more, under callgrind.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, Stdio},
};

/// The argument of the program that is counted.
pub(crate) const COUNTED: &str = "--counted";

/// Which of the C library's copies is used would depend on the processor: this leaves the one that every x86-64 has.
const PLAIN_COPIES: &str = "glibc.cpu.hwcaps=-AVX512F,-AVX_Fast_Unaligned_Load,-SSSE3,-ERMS,-FSRM";

/// In the counted program: repeats `operation` so often, and then twice as often, each on what `new` makes. The difference is what
/// so many operations take, since what comes before and after them is in both.
pub(crate) fn count<E>(name: &str, repetitions: u64, new: impl Fn() -> E, operation: impl Fn(&mut E)) {
    println!("{repetitions} {name}");
    for repetitions in [repetitions, 2 * repetitions] {
        let mut ends = fresh_ends(&new);
        counted_repetitions(repetitions, || operation(&mut ends));
    }
}

/// Callgrind knows it by its name: here it writes down what it has counted since the last time.
#[inline(never)]
fn fresh_ends<E>(new: impl Fn() -> E) -> E {
    new()
}

/// Callgrind knows it by its name: here it counts, and nowhere else.
#[inline(never)]
fn counted_repetitions(repetitions: u64, mut operation: impl FnMut()) {
    for _ in 0..repetitions {
        operation();
    }
}

/// The name of every operation and its instructions, or why they cannot be had.
pub(crate) fn run() -> Result<Vec<(String, f64)>, String> {
    let profile = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("instructions-{}", std::process::id()));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--quiet", "--combine-dumps=yes"])
        .args(["--toggle-collect=*counted_repetitions*", "--dump-before=*fresh_ends*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(env::current_exe().unwrap())
        .arg(COUNTED)
        .env("GLIBC_TUNABLES", PLAIN_COPIES)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("valgrind: {error}"))?;
    let totals = fs::read_to_string(&profile).unwrap_or_default();
    let _ = fs::remove_file(&profile);
    if !output.status.success() {
        return Err(format!("the counted program failed: {}", output.status));
    }
    counts(&String::from_utf8(output.stdout).unwrap(), &totals)
}

/// What the counted program said, line by line, and callgrind's two totals for each line behind a first of nothing.
fn counts(lines: &str, profile: &str) -> Result<Vec<(String, f64)>, String> {
    let totals = profile.lines().filter_map(|line| line.strip_prefix("totals: "));
    let totals: Vec<u64> = totals.map(|total| total.trim().parse().unwrap()).collect();
    let each = |(line, totals): (&str, &[u64])| {
        let (repetitions, name) = line.split_once(' ').unwrap();
        let repetitions: f64 = repetitions.parse().unwrap();
        (name.to_owned(), (totals[1] - totals[0]) as f64 / repetitions)
    };
    match &totals[..] {
        [0, totals @ ..] if totals.len() == 2 * lines.lines().count() => {
            Ok(lines.lines().zip(totals.chunks_exact(2)).map(each).collect())
        }
        _ => Err(format!("callgrind has {} totals for {} operations", totals.len(), lines.lines().count())),
    }
}
