//! The tables: Markdown for people, CSV for programs.

use std::{cmp::Ordering, fmt::Write};

use super::{
    ENOUGH,
    results::{Row, Table, ours},
    units::digits,
};
use crate::{cores::State, record::Record};

/// What stands where there were too few runs.
pub const NO_RESULT: &str = "no result";

/// All tables, with what was measured where.
pub fn markdown(record: &Record, tables: &[Table]) -> String {
    let machine = &record.machine;
    let crates: Vec<_> = machine.crates.iter().map(|(name, version)| format!("{name} {version}")).collect();
    let mut text = format!(
        "# {ours} beside the others\n\n\
         {}, {} cores; Linux {}; {}; {}.\n\
         {}.\n\n\
         The two cores are *near* or *far*, as a cache line takes little or much time from one to the other and back, and only runs of \
         the same state are compared. The ratio is the figure by ours, waiting in the same manner: the median over pairs of the \
         same round. Fewer than {ENOUGH} runs or pairs are *{NO_RESULT}*.\n",
        machine.processor,
        machine.cores,
        machine.kernel,
        machine.compiler,
        machine.date,
        crates.join(", "),
        ours = ours(),
    );
    for table in tables {
        write!(text, "\n## {}\n", table.name()).expect("a string takes text");
        for state in State::ALL {
            text.push_str(&of_state(table, state));
        }
        if table.between > 0 {
            write!(text, "\nNot counted: {} runs while the state was neither.\n", table.between)
                .expect("a string takes text");
        }
    }
    if !record.failures.is_empty() {
        text.push_str("\n## Failed\n\nThese were left out from then on.\n\n| group | case | round | reason |\n|---|---|---|---|\n");
    }
    for failure in &record.failures {
        let reason = failure.reason.replace('|', "\\|");
        writeln!(text, "| {} | {} | {} | {reason} |", failure.group, failure.case, failure.round)
            .expect("a string takes text");
    }
    text
}

/// The rows with runs in that state, the best first.
fn of_state(table: &Table, state: State) -> String {
    let mut rows: Vec<&Row> = table.rows.iter().filter(|row| row.runs.count(state) > 0).collect();
    if rows.is_empty() {
        return String::new();
    }
    if rows.iter().all(|row| row.runs.summary(state).is_none()) {
        let most = rows.iter().map(|row| row.runs.count(state)).max().unwrap_or_default();
        return format!("\n{}: {NO_RESULT}, {most} runs at most.\n", state.name());
    }
    rows.sort_by(|a, b| better(table, state, a, b));
    let mut text = format!(
        "\n| {} | median | least | most | runs | by ours | pairs |\n|---|---:|---:|---:|---:|---:|---:|\n",
        state.name()
    );
    for row in rows {
        let figure = |figure| table.unit.figure(figure);
        let name = if row.is_ours() { format!("**{}**", row.case) } else { row.case.clone() };
        let (median, least, most) = row.runs.summary(state).map_or_else(
            || (NO_RESULT.into(), String::new(), String::new()),
            |found| (table.unit.figure_of(found.median, row.plan.bytes), figure(found.least), figure(found.most)),
        );
        let ratio = table.ours_beside(row).map(|ours| row.runs.ratio(&ours.runs, state));
        let (ratio, pairs) = match ratio {
            None => Default::default(),
            Some(None) => (NO_RESULT.into(), String::new()),
            Some(Some(found)) => (digits(found.median), found.pairs.to_string()),
        };
        let runs = row.runs.count(state);
        writeln!(text, "| {name} | {median} | {least} | {most} | {runs} | {ratio} | {pairs} |")
            .expect("a string takes text");
    }
    text
}

/// The best first, and those without a result last.
fn better(table: &Table, state: State, a: &Row, b: &Row) -> Ordering {
    let rank = |row: &Row| {
        let median = row.runs.summary(state).map(|found| found.median);
        median.map_or(f64::INFINITY, |median| if table.unit.more_is_better() { -median } else { median })
    };
    rank(a).total_cmp(&rank(b))
}

/// A line for each case, value and state, with plain numbers.
pub fn csv(tables: &[Table]) -> String {
    let mut text = "group,case,system,bytes,value,state,runs,median,least,most,ratio,pairs\n".to_owned();
    for table in tables {
        for (row, state) in table.rows.iter().flat_map(|row| State::ALL.map(|state| (row, state))) {
            let runs = row.runs.count(state);
            if runs == 0 {
                continue;
            }
            let summary = row.runs.summary(state);
            let figures = summary.map(|found| format!("{},{},{}", found.median, found.least, found.most));
            let ratio = table.ours_beside(row).and_then(|ours| row.runs.ratio(&ours.runs, state));
            let ratio = ratio.map(|found| format!("{},{}", found.median, found.pairs));
            let names = [&table.group, &row.case, &row.plan.system].map(|name| quoted(name)).join(",");
            let (bytes, value, state) = (row.plan.bytes, quoted(&table.value), state.name());
            let figures = figures.unwrap_or_else(|| format!("{NO_RESULT},,"));
            let ratio = ratio.unwrap_or_else(|| format!("{NO_RESULT},"));
            writeln!(text, "{names},{bytes},{value},{state},{runs},{figures},{ratio}").expect("a string takes text");
        }
    }
    text
}

fn quoted(text: &str) -> String {
    if text.contains([',', '"']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}
