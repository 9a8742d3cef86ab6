//! Pictures as SVG: shapes and words, and axes whose decades are alike.

use std::fmt::{Display, Write};

use super::units::Unit;

/// Ink of words, of what is less important, and of lines that lead the eye.
pub const INK: &str = "#1f2328";
pub const FAINT: &str = "#59636e";
pub const GRID: &str = "#e3e6ea";
/// Ours.
pub const OURS: &str = "#c2410c";

/// Pixels of a decade in which there is room for marks at 2 and 5.
const WIDE_DECADE: f64 = 170.0;

/// A picture in the making.
#[derive(Debug)]
pub struct Picture {
    width: f64,
    height: f64,
    body: String,
}

/// Where a word stands beside its point.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// How a word looks.
#[derive(Clone, Copy, Debug)]
pub struct Face {
    pub size: f64,
    pub ink: &'static str,
    pub bold: bool,
}

impl Face {
    pub const TITLE: Self = Self { size: 17.0, ink: INK, bold: true };
    pub const WORD: Self = Self { size: 12.5, ink: INK, bold: false };
    pub const NOTE: Self = Self { size: 12.0, ink: FAINT, bold: false };
    pub const OURS: Self = Self { size: 12.5, ink: OURS, bold: true };
}

impl Picture {
    pub fn new(width: f64, height: f64) -> Self {
        Self { width, height, body: String::new() }
    }

    pub fn word(&mut self, x: f64, y: f64, anchor: Anchor, face: Face, word: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let weight = if face.bold { " font-weight=\"600\"" } else { "" };
        let (size, ink, word) = (face.size, face.ink, escaped(word));
        self.add(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" fill=\"{ink}\"{weight}>{word}</text>"
        ));
    }

    pub fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), ink: &str) {
        self.add(format_args!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{ink}\" stroke-width=\"1\"/>"
        ));
    }

    pub fn bar(&mut self, x: f64, y: f64, width: f64, height: f64, ink: &str) {
        self.add(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\" fill=\"{ink}\"/>"
        ));
    }

    /// A line through points; `dashes` as SVG has them, empty for a whole line.
    pub fn curve(&mut self, points: &[(f64, f64)], ink: &str, width: f64, dashes: &str) {
        let points: Vec<_> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        self.add(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{ink}\" stroke-width=\"{width}\" stroke-dasharray=\"{dashes}\" \
             stroke-linejoin=\"round\" stroke-linecap=\"round\"/>",
            points.join(" ")
        ));
    }

    pub fn dot(&mut self, (x, y): (f64, f64), radius: f64, ink: &str) {
        self.add(format_args!(
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{ink}\" stroke=\"#ffffff\" stroke-width=\"1\"/>"
        ));
    }

    pub fn finish(self) -> String {
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" \
             font-family=\"system-ui, 'Segoe UI', 'DejaVu Sans', sans-serif\">\n\
             <rect width=\"{w}\" height=\"{h}\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body,
            w = self.width,
            h = self.height
        )
    }

    fn add(&mut self, element: impl Display) {
        writeln!(self.body, "{element}").expect("a string takes text");
    }
}

fn escaped(word: &str) -> String {
    word.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// An axis on which a factor is a distance, or, if it begins at zero, a difference is.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub least: f64,
    pub most: f64,
    /// Where the two are in the picture.
    pub from: f64,
    pub to: f64,
    pub logarithmic: bool,
}

impl Axis {
    /// Room for all these figures, with whole steps at both ends.
    pub fn of(figures: impl Iterator<Item = f64> + Clone, logarithmic: bool, from: f64, to: f64) -> Self {
        let most = figures.clone().fold(f64::MIN_POSITIVE, f64::max);
        let least = figures.filter(|figure| *figure > 0.0).fold(most, f64::min);
        let axis = if logarithmic {
            let (below, above) = (10f64.powf(least.log10().floor()), 10f64.powf(most.log10().ceil()));
            let least = [5.0, 2.0, 1.0].map(|step| step * below).into_iter().find(|step| *step <= least);
            let most = [0.2, 0.5, 1.0].map(|step| step * above).into_iter().find(|step| *step >= most);
            (least.unwrap_or(below), most.unwrap_or(above))
        } else {
            (0.0, most)
        };
        Self { least: axis.0, most: axis.1.max(axis.0 * 2.0), from, to, logarithmic }
    }

    pub fn at(&self, figure: f64) -> f64 {
        let part = if self.logarithmic {
            (figure.max(self.least) / self.least).ln() / (self.most / self.least).ln()
        } else {
            figure / self.most
        };
        self.from + part * (self.to - self.from)
    }

    /// Round figures in between, few enough to be read.
    pub fn marks(&self) -> Vec<f64> {
        if !self.logarithmic {
            let rough = self.most / 4.0;
            let decade = 10f64.powf(rough.log10().floor());
            let step = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade).into_iter().find(|step| *step >= rough);
            let step = step.unwrap_or(rough);
            return (0..).map(|index| f64::from(index) * step).take_while(|mark| *mark <= self.most).collect();
        }
        let decade = (self.to - self.from).abs() / (self.most / self.least).log10();
        let steps: &[f64] = if decade > WIDE_DECADE { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let first = self.least.log10().floor() as i32;
        let figures = (first..=self.most.log10().ceil() as i32)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)));
        figures.filter(|mark| (self.least * 0.999..=self.most * 1.001).contains(mark)).collect()
    }
}

/// What stands at a mark of an axis: as short as it can be.
pub fn mark(unit: Unit, figure: f64) -> String {
    let text = unit.figure(figure);
    let (number, rest) = text.split_once(' ').map_or((&*text, ""), |(number, rest)| (number, rest));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number };
    format!("{number} {rest}").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_holds_its_figures_between_round_ones() {
        let axis = Axis::of([83.0, 61_000.0].into_iter(), true, 0.0, 100.0);
        assert_eq!((axis.least, axis.most), (50.0, 100_000.0));
        assert_eq!((axis.at(50.0), axis.at(100_000.0)), (0.0, 100.0));
        assert_eq!(axis.marks(), [100.0, 1000.0, 10_000.0, 100_000.0]);
        assert_eq!(Axis::of([3.0, 9.0].into_iter(), false, 0.0, 90.0).at(3.0), 30.0);
    }

    #[test]
    fn words_cannot_end_the_picture() {
        let mut picture = Picture::new(10.0, 10.0);
        picture.word(0.0, 0.0, Anchor::Start, Face::WORD, "</svg> & <b>");
        assert!(picture.finish().contains("&lt;/svg&gt; &amp; &lt;b&gt;"));
    }
}
