//! A figure by the size of messages, with a line for each system.

use std::collections::BTreeMap;

use super::{
    results::{Table, ours},
    svg::{Anchor, Axis, FAINT, Face, GRID, OURS, Picture, mark},
};
use crate::{cores::State, groups::size, table::SYSTEMS};

/// Colours that are told apart also by those who see few, for a white ground; after the last one dashes begin.
const COLOURS: [&str; 7] = ["#0072b2", "#009e73", "#cc79a7", "#56b4e9", "#9a7d0a", "#4b3f72", "#7f7f7f"];
const DASHES: [&str; 3] = ["", "7 4", "1.5 4"];

const WIDTH: f64 = 940.0;
const HEIGHT: f64 = 520.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 690.0;
const TOP: f64 = 74.0;
const BOTTOM: f64 = 462.0;
/// Pixels from one name to the next.
const LEADING: f64 = 18.0;
/// The lowest name.
const LOWEST: f64 = BOTTOM + 20.0;

struct Line<'a> {
    system: &'a str,
    points: Vec<(f64, f64)>,
}

/// One picture for tables that differ in size only. `None`: nothing to see.
pub fn picture(tables: &[&Table], state: State) -> Option<String> {
    let (first, unit) = (tables.first()?, tables.first()?.unit);
    let lines = lines(tables, state);
    let figures = || lines.iter().flat_map(|line| line.points.iter());
    let sizes = Axis {
        least: figures().map(|point| point.0).fold(f64::INFINITY, f64::min),
        most: figures().map(|point| point.0).fold(0.0, f64::max),
        from: LEFT + 14.0,
        to: RIGHT - 14.0,
        logarithmic: true,
    };
    if lines.len() < 2 || sizes.least >= sizes.most {
        return None;
    }
    let heights = Axis::of(figures().map(|point| point.1).collect::<Vec<_>>().into_iter(), true, BOTTOM, TOP);

    let mut picture = Picture::new(WIDTH, HEIGHT);
    picture.word(
        LEFT,
        28.0,
        Anchor::Start,
        Face::TITLE,
        &format!("{} by size of message", capital(&first.family_name())),
    );
    let better = if unit.more_is_better() { "more" } else { "less" };
    let note = format!("Cores {}, medians, each system in its better way of waiting; {better} is better", state.name());
    picture.word(LEFT, 49.0, Anchor::Start, Face::NOTE, &note);
    for height in heights.marks() {
        let y = heights.at(height);
        picture.line((LEFT, y), (RIGHT, y), GRID);
        picture.word(LEFT - 8.0, y + 4.0, Anchor::End, Face::NOTE, &mark(unit, height));
    }
    let drawn = |bytes: &usize| (sizes.least..=sizes.most).contains(&(*bytes as f64));
    for bytes in tables.iter().filter_map(|table| table.size).filter(drawn) {
        let x = sizes.at(bytes as f64);
        picture.line((x, BOTTOM), (x, BOTTOM + 5.0), FAINT);
        picture.word(x, BOTTOM + 20.0, Anchor::Middle, Face::NOTE, &size(bytes));
    }
    picture.line((LEFT, BOTTOM), (RIGHT, BOTTOM), FAINT);

    let ends: Vec<f64> = lines.iter().map(|line| heights.at(line.points[line.points.len() - 1].1)).collect();
    let names = spread(&ends);
    // Ours last, so that it lies on top.
    let mut order: Vec<usize> = (0..lines.len()).collect();
    order.sort_by_key(|index| lines[*index].system == ours());
    for index in order {
        let line = &lines[index];
        let points: Vec<_> = line.points.iter().map(|(x, y)| (sizes.at(*x), heights.at(*y))).collect();
        let Style { ink, width, dashes, face, name } = Style::of(line.system);
        picture.curve(&points, ink, width, dashes);
        points.iter().for_each(|point| picture.dot(*point, width + 1.25, ink));
        let y = names[index];
        picture.curve(&[(RIGHT + 18.0, y), (RIGHT + 44.0, y)], ink, width, dashes);
        picture.word(RIGHT + 52.0, y + 4.0, Anchor::Start, face, &name);
    }
    Some(picture.finish())
}

/// How a system is drawn, the same in every picture.
struct Style {
    ink: &'static str,
    width: f64,
    dashes: &'static str,
    face: Face,
    name: String,
}

impl Style {
    fn of(system: &str) -> Self {
        if system == ours() {
            return Self { ink: OURS, width: 3.5, dashes: "", face: Face::OURS, name: system.to_owned() };
        }
        // The first in the list is ours.
        let at = SYSTEMS.iter().skip(1).position(|entry| entry.name == system).unwrap_or_default();
        let threads = SYSTEMS.iter().any(|entry| entry.name == system && entry.threads);
        Self {
            ink: COLOURS[at % COLOURS.len()],
            width: 1.75,
            dashes: DASHES[at / COLOURS.len() % DASHES.len()],
            face: Face::WORD,
            name: if threads { format!("{system} (threads)") } else { system.to_owned() },
        }
    }
}

/// The best result of each system at each size.
fn lines<'a>(tables: &[&'a Table], state: State) -> Vec<Line<'a>> {
    let mut systems: BTreeMap<&str, BTreeMap<usize, f64>> = BTreeMap::new();
    for table in tables {
        let Some(bytes) = table.size else { continue };
        for (row, median) in table.best(state) {
            systems.entry(&row.plan.system).or_default().insert(bytes, median);
        }
    }
    let line = |(system, points): (&'a str, BTreeMap<usize, f64>)| {
        let points = points.into_iter().map(|(bytes, median)| (bytes as f64, median)).collect();
        Line { system, points }
    };
    systems.into_iter().map(line).collect()
}

/// Heights for names near these, so that none covers another, and in the same order.
fn spread(wanted: &[f64]) -> Vec<f64> {
    let leading = LEADING.min((LOWEST - TOP) / wanted.len() as f64);
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|a, b| wanted[*a].total_cmp(&wanted[*b]));
    let mut heights = wanted.to_vec();
    let mut lowest = TOP;
    for index in &order {
        heights[*index] = heights[*index].max(lowest);
        lowest = heights[*index] + leading;
    }
    // Those that were pushed out at the bottom push back.
    let mut highest = LOWEST;
    for index in order.iter().rev() {
        heights[*index] = heights[*index].min(highest);
        highest = heights[*index] - leading;
    }
    heights
}

pub fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_distance_and_their_order() {
        let wanted = [BOTTOM, BOTTOM, BOTTOM - 1.0, TOP, TOP];
        let mut found: Vec<_> = spread(&wanted).into_iter().zip(wanted).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(found.windows(2).all(|pair| pair[1].0 - pair[0].0 >= LEADING - 1e-9 && pair[0].1 <= pair[1].1));
    }
}
