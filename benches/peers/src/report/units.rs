//! Figures that can be read.

/// What a value is counted in. Its name tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    Nanoseconds,
    PerSecond,
    Bytes,
    Other,
}

const TIMES: &[(f64, &str)] = &[(1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns")];
const RATES: &[(f64, &str)] = &[(1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1.0, "/s")];
const MEMORY: &[(f64, &str)] = &[(1_048_576.0, "MiB"), (1024.0, "KiB"), (1.0, "B")];

impl Unit {
    pub fn of(value: &str) -> Self {
        let last = value.rsplit(' ').next().unwrap_or_default();
        match last {
            "ns" => Self::Nanoseconds,
            "second" if value.ends_with("per second") => Self::PerSecond,
            "bytes" => Self::Bytes,
            _ => Self::Other,
        }
    }

    /// Whether the name of that value is nothing but its unit.
    pub fn says_all(self, value: &str) -> bool {
        matches!(value, "ns" | "per second" | "bytes")
    }

    pub fn more_is_better(self) -> bool {
        self == Self::PerSecond
    }

    /// `104 ns`, `1.20 M/s`.
    pub fn figure(self, figure: f64) -> String {
        let scales = match self {
            Self::Nanoseconds => TIMES,
            Self::PerSecond => RATES,
            Self::Bytes => MEMORY,
            Self::Other => return digits(figure),
        };
        // What rounds to a thousand of one unit is one of the next.
        let scale =
            scales.iter().find(|(scale, _)| figure.abs() >= 0.9995 * scale).unwrap_or(&scales[scales.len() - 1]);
        format!("{} {}", digits(figure / scale.0), scale.1)
    }

    /// The same, and what that is in bytes, where messages are so large that it matters.
    pub fn figure_of(self, figure: f64, bytes: usize) -> String {
        if self == Self::PerSecond && bytes >= 1024 {
            format!("{} ({} GB/s)", self.figure(figure), digits(figure * bytes as f64 / 1e9))
        } else {
            self.figure(figure)
        }
    }
}

/// Three digits that count, and no more after the point than are needed for them.
pub fn digits(figure: f64) -> String {
    let places = match figure.abs() {
        0.0 => 0,
        size if size >= 99.95 => 0,
        size if size >= 9.995 => 1,
        size if size >= 0.9995 => 2,
        _ => 3,
    };
    format!("{figure:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_a_unit() {
        let cases = [
            ("ns", 104.4, "104 ns"),
            ("p99 ns", 1234.0, "1.23 µs"),
            ("ns", 999.7, "1.00 µs"),
            ("per second", 873_456_789.0, "873 M/s"),
            ("messages per second", 12.34, "12.3 /s"),
            ("bytes", 2048.0, "2.00 KiB"),
            ("system calls", 0.0, "0"),
            ("descriptors", 4.0, "4.00"),
            ("cpu", 0.01234, "0.012"),
        ];
        for (value, figure, text) in cases {
            assert_eq!(Unit::of(value).figure(figure), text);
        }
    }

    #[test]
    fn large_messages_have_bytes_a_second_too() {
        assert_eq!(Unit::PerSecond.figure_of(1e6, 1024), "1.00 M/s (1.02 GB/s)");
        assert_eq!(Unit::PerSecond.figure_of(1e6, 64), "1.00 M/s");
    }
}
