//! Which pictures are drawn, and how their files are called.

use std::{fs, io, path::Path};

use super::{bars, curves, results::Table};
use crate::cores::State;

/// Tables of one family in at least so many sizes are lines.
const SIZES: usize = 3;
/// What the small picture shows.
const SUMMARY: (&str, &str) = ("round trip 64 B", "one way single 64 B");

/// Draws all tables, in each state that has results. Pictures of an earlier report go.
pub fn write(directory: &Path, tables: &[Table]) -> io::Result<()> {
    if directory.exists() {
        let is_picture = |path: &Path| path.extension().is_some_and(|extension| extension == "svg");
        for file in
            fs::read_dir(directory)?.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| is_picture(path))
        {
            fs::remove_file(file)?;
        }
    }
    fs::create_dir_all(directory)?;
    let save = |name: &str, state: State, picture: Option<String>| {
        picture.map_or(Ok(()), |picture| fs::write(directory.join(file_name(name, state)), picture))
    };
    let group = |name| tables.iter().find(|table| table.group == name && table.unit.says_all(&table.value));
    for state in State::ALL {
        if let (Some(round_trip), Some(one_way)) = (group(SUMMARY.0), group(SUMMARY.1)) {
            save("summary", state, bars::summary(round_trip, one_way, state))?;
        }
        for table in tables {
            // What has a size and a percentile is shown by size only.
            if table.size.is_none() || table.unit.says_all(&table.value) {
                save(&table.name(), state, bars::picture(table, state))?;
            }
            let family: Vec<&Table> = tables.iter().filter(|other| other.is_of_family(table)).collect();
            if table.size.is_some() && family.len() >= SIZES && family[0].group == table.group {
                save(&format!("{} by size", table.family_name()), state, curves::picture(&family, state))?;
            }
        }
    }
    Ok(())
}

/// `round-trip-64-b-near.svg`.
fn file_name(name: &str, state: State) -> String {
    let letters: String =
        name.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { ' ' }).collect();
    let words: Vec<_> = letters.split_whitespace().chain([state.name()]).collect();
    format!("{}.svg", words.join("-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_have_letters_digits_and_dashes_only() {
        assert_eq!(
            file_name("one way batches of 32, 4 MiB 8 B: p99.9 ns", State::Far),
            "one-way-batches-of-32-4-mib-8-b-p99-9-ns-far.svg"
        );
    }
}
