//! The command line of both programs: a few options that mean the same everywhere, and one sentence for what is wrong with it.

use std::{
    error::Error,
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
    time::Duration,
};

use lexopt::{Arg, Parser, ValueExt};

/// How a command ends: an error is one sentence for people.
pub type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// Where the server listens and the clients look for it, unless `--socket` says otherwise.
pub const DEFAULT_SOCKET: &str = "/tmp/memenpsf.sock";

/// Something that can be asked of a program.
#[derive(Clone, Copy, Debug)]
pub struct Command {
    /// How it is called on the command line, with the program's name.
    pub name: &'static str,
    /// What `--help` prints.
    pub help: &'static str,
    /// What it accepts.
    pub takes: &'static [Takes],
    /// What it does.
    pub run: fn(&Arguments) -> Outcome,
}

/// What a command accepts. `--help` is accepted by all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takes {
    /// `--socket PATH`.
    Socket,
    /// `--seconds S`.
    Seconds,
    /// One word without an option's dashes, which must be there.
    Word,
}

/// What was given, or else its default.
#[derive(Clone, Debug)]
pub struct Arguments {
    /// `--socket`.
    pub socket: PathBuf,
    /// `--seconds`.
    pub time: Duration,
    /// The word, empty for commands that take none.
    pub word: PathBuf,
}

impl Command {
    /// Reads the rest of the command line and does what it asks.
    ///
    /// # Errors
    ///
    /// [`Usage`], or whatever the command itself meets.
    pub fn start(&self, parser: &mut Parser) -> Outcome {
        let wrong = |what: &dyn std::fmt::Display| Usage(format!("{what}; `{} --help` tells more", self.name));
        match self.parse(parser).map_err(|error| wrong(&error))? {
            None => Ok(io::stdout().write_all(self.help.as_bytes())?),
            Some(arguments) if self.takes(Takes::Word) && arguments.word.as_os_str().is_empty() => {
                Err(wrong(&"the file to send is missing").into())
            }
            Some(arguments) => (self.run)(&arguments),
        }
    }

    fn takes(&self, what: Takes) -> bool {
        self.takes.contains(&what)
    }

    /// `None` where help is asked for.
    fn parse(&self, parser: &mut Parser) -> Result<Option<Arguments>, lexopt::Error> {
        let mut arguments =
            Arguments { socket: DEFAULT_SOCKET.into(), time: Duration::from_secs(2), word: PathBuf::new() };
        while let Some(argument) = parser.next()? {
            match argument {
                Arg::Long("help") | Arg::Short('h') => return Ok(None),
                Arg::Long("socket") if self.takes(Takes::Socket) => arguments.socket = parser.value()?.into(),
                Arg::Long("seconds") if self.takes(Takes::Seconds) => {
                    arguments.time = parser.value()?.parse_with(seconds)?;
                }
                Arg::Value(word) if self.takes(Takes::Word) && arguments.word.as_os_str().is_empty() => {
                    arguments.word = word.into();
                }
                other => return Err(other.unexpected()),
            }
        }
        Ok(Some(arguments))
    }
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| *time <= Duration::from_secs(86_400)).ok_or("not a number of seconds, up to a day")
}

/// A command line that makes no sense.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// The exit code: 0, 1 after saying on standard error what went wrong, or 2 for a command line that makes no sense.
pub fn exit_code(program: &str, outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    let broken_pipe = error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    // Whoever closed the pipe that this program prints into has seen enough.
    if !broken_pipe {
        let _ = writeln!(io::stderr(), "{program}: {error}");
    }
    if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}
