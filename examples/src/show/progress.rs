//! Which part of the demo is on, for people who watch; only the results where output is not a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

/// A part of the demo that is on.
#[derive(Debug)]
pub struct Part {
    title: &'static str,
    spinner: ProgressBar,
}

impl Part {
    /// Shows that it is on.
    pub fn begin(title: &'static str) -> Self {
        if !io::stdout().is_terminal() {
            return Self { title, spinner: ProgressBar::hidden() };
        }
        let spinner = ProgressBar::new_spinner().with_message(title);
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
            spinner.set_style(style);
        }
        // Ten wake-ups a second: the numbers do not notice.
        spinner.enable_steady_tick(Duration::from_millis(100));
        Self { title, spinner }
    }

    /// Shows what it came to.
    ///
    /// # Errors
    ///
    /// Standard output cannot be written to.
    pub fn end(self, result: impl std::fmt::Display) -> io::Result<()> {
        self.spinner.finish_and_clear();
        writeln!(io::stdout(), "{:<11}{}", self.title, result.to_string().trim_start().replace('\n', "\n           "))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.spinner.finish_and_clear();
    }
}
