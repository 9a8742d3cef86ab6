//! Bars: one value of one group, and the small picture of all systems.

use super::{
    curves::capital,
    results::{Row, Table, is_ours, ours},
    svg::{Anchor, Axis, FAINT, Face, GRID, OURS, Picture, mark},
};
use crate::{cores::State, table::SYSTEMS};

/// Bars of others: in two processes like ours, and in one process.
const PROCESSES: &str = "#5b8db8";
const THREADS: &str = "#b9c7d3";

const ROW: f64 = 23.0;
const BAR: f64 = 15.0;
const TOP: f64 = 92.0;
/// Room for bars and their figures, alone and in two columns.
const ALONE: f64 = 540.0;
const COLUMN: f64 = 320.0;
/// Room between two columns.
const GAP: f64 = 40.0;
/// Room for the figure behind the longest bar.
const FIGURE: f64 = 78.0;
/// Pixels of a letter, about.
const LETTER: f64 = 7.2;
/// Figures further apart than this are shown by factors.
const WIDE: f64 = 12.0;

/// Bars of one table side by side with those of others, whose names are the same.
struct Panel<'a> {
    title: String,
    table: &'a Table,
    bars: Vec<Option<f64>>,
    left: f64,
    right: f64,
}

/// A picture of a single table. `None`: nothing to compare.
pub fn picture(table: &Table, state: State) -> Option<String> {
    let mut rows: Vec<(&Row, f64)> =
        table.rows.iter().filter_map(|row| Some((row, row.runs.summary(state)?.median))).collect();
    if rows.len() < 2 {
        return None;
    }
    let sign = if table.unit.more_is_better() { -1.0 } else { 1.0 };
    rows.sort_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)));
    let names: Vec<Name> = rows.iter().map(|(row, _)| Name::of(&row.case, &row.plan.system)).collect();
    let bars = rows.iter().map(|(_, median)| Some(*median)).collect();
    let panel = Panel { title: better(table), table, bars, left: room(&names), right: room(&names) + ALONE };
    Some(drawn(&capital(&table.name()), state, &names, &[panel]))
}

/// The small picture: a round trip and a one-way rate of each system. `None`: one of the two is missing.
pub fn summary(round_trip: &Table, one_way: &Table, state: State) -> Option<String> {
    let (trips, rates) = (round_trip.best(state), one_way.best(state));
    if trips.len() < 2 || rates.len() < 2 {
        return None;
    }
    let mut rows: Vec<(&str, Option<f64>, Option<f64>)> = SYSTEMS
        .iter()
        .map(|entry| {
            let of = |rows: &[(&Row, f64)]| rows.iter().find(|(row, _)| row.plan.system == entry.name).map(|(_, x)| *x);
            (entry.name, of(&trips), of(&rates))
        })
        .filter(|(_, trip, rate)| trip.is_some() || rate.is_some())
        .collect();
    rows.sort_by(|a, b| a.1.unwrap_or(f64::INFINITY).total_cmp(&b.1.unwrap_or(f64::INFINITY)));
    let names: Vec<Name> = rows.iter().map(|(name, ..)| Name::of(name, name)).collect();
    let panel = |table, bars, left, right| Panel {
        title: format!("{}; {}", capital(&Table::name(table)), better(table)),
        table,
        bars,
        left,
        right,
    };
    let first = room(&names);
    let second = first + COLUMN + GAP;
    let panels = [
        panel(round_trip, rows.iter().map(|row| row.1).collect(), first, first + COLUMN),
        panel(one_way, rows.iter().map(|row| row.2).collect(), second, second + COLUMN),
    ];
    Some(drawn("A message of 64 bytes from one core to the other", state, &names, &panels))
}

fn better(table: &Table) -> String {
    format!("{} is better", if table.unit.more_is_better() { "more" } else { "less" })
}

struct Name {
    text: String,
    face: Face,
    ink: &'static str,
}

impl Name {
    fn of(text: &str, system: &str) -> Self {
        let threads = SYSTEMS.iter().any(|entry| entry.name == system && entry.threads);
        let (face, ink) = match (is_ours(system), threads) {
            (true, _) => (Face::OURS, OURS),
            (false, true) => (Face::WORD, THREADS),
            (false, false) => (Face::WORD, PROCESSES),
        };
        Self { text: text.to_owned(), face, ink }
    }
}

/// Room for the longest name.
fn room(names: &[Name]) -> f64 {
    let letters = names.iter().map(|name| name.text.chars().count()).max().unwrap_or_default();
    LETTER * letters as f64 + 34.0
}

fn drawn(title: &str, state: State, names: &[Name], panels: &[Panel]) -> String {
    let bottom = TOP + names.len() as f64 * ROW;
    let right = panels.iter().map(|panel| panel.right).fold(0.0, f64::max);
    let mut picture = Picture::new(right + 20.0, bottom + 36.0);
    picture.word(16.0, 28.0, Anchor::Start, Face::TITLE, title);
    key(&mut picture, state, names);
    for panel in panels {
        let figures: Vec<f64> = panel.bars.iter().flatten().copied().collect();
        let (least, most) = figures.iter().fold((f64::INFINITY, 0.0f64), |(a, b), x| (a.min(*x), b.max(*x)));
        let axis = Axis::of(figures.into_iter(), least > 0.0 && most > WIDE * least, panel.left, panel.right - FIGURE);
        // The least bar is to be seen too.
        let axis = if axis.logarithmic { Axis { least: axis.least / 2.0, ..axis } } else { axis };
        let title = format!("{}{}", panel.title, if axis.logarithmic { ", logarithmic" } else { "" });
        picture.word(panel.left, TOP - 14.0, Anchor::Start, Face::NOTE, &title);
        for figure in axis.marks() {
            let x = axis.at(figure);
            picture.line((x, TOP - 4.0), (x, bottom), GRID);
            picture.word(x, bottom + 16.0, Anchor::Middle, Face::NOTE, &mark(panel.table.unit, figure));
        }
        for (index, (figure, name)) in panel.bars.iter().zip(names).enumerate() {
            let y = TOP + index as f64 * ROW;
            let Some(figure) = figure else {
                picture.word(panel.left + 5.0, y + 12.0, Anchor::Start, Face::NOTE, "–");
                continue;
            };
            let x = axis.at(*figure);
            picture.bar(panel.left, y, (x - panel.left).max(1.0), BAR, name.ink);
            picture.word(x + 6.0, y + 12.0, Anchor::Start, name.face, &panel.table.unit.figure(*figure));
        }
        picture.line((panel.left, TOP - 4.0), (panel.left, bottom), FAINT);
    }
    let left = panels.iter().map(|panel| panel.left).fold(f64::INFINITY, f64::min);
    for (index, name) in names.iter().enumerate() {
        picture.word(left - 8.0, TOP + index as f64 * ROW + 12.0, Anchor::End, name.face, &name.text);
    }
    picture.finish()
}

/// What the colours are, as far as they occur.
fn key(picture: &mut Picture, state: State, names: &[Name]) {
    let note = format!("Cores {}, medians", state.name());
    picture.word(16.0, 51.0, Anchor::Start, Face::NOTE, &note);
    let mut x = 16.0 + LETTER * note.len() as f64 + 18.0;
    for (ink, words) in [(OURS, ours()), (PROCESSES, "between processes"), (THREADS, "between threads")] {
        if names.iter().any(|name| name.ink == ink) {
            picture.bar(x, 41.0, 12.0, 12.0, ink);
            picture.word(x + 17.0, 51.0, Anchor::Start, Face::NOTE, words);
            x += 17.0 + LETTER * words.len() as f64 + 18.0;
        }
    }
}
