//! memenpsf beside everything else that moves messages on one machine, alternately in one run.

mod command_line;
mod cores;
mod dispatch;
mod far_end;
mod groups;
mod interrupt;
mod machine;
mod measures;
mod near_end;
mod plan;
mod record;
mod report;
mod rounds;
mod scratch;
mod system;
mod systems;
mod table;

use std::{
    env,
    io::{self, Write},
    process::ExitCode,
    thread,
};

use command_line::{Command, HELP, Run};
use interrupt::Interrupt;
use machine::Machine;
use record::{Journal, Line};

fn main() -> ExitCode {
    if on_a_large_stack(|| far_end::play() || near_end::play()) {
        return ExitCode::SUCCESS;
    }
    let done = match command_line::parse(env::args_os().skip(1)) {
        Ok(Command::Run(run)) => measure(&run),
        Ok(Command::Report(directory)) => report::write(&directory).and_then(print).map(|()| ExitCode::SUCCESS),
        Ok(Command::List) => print(command_line::list()).map(|()| ExitCode::SUCCESS),
        Ok(Command::Help) => print(HELP.into()).map(|()| ExitCode::SUCCESS),
        Err(message) => {
            eprintln!("peers: {message}\nTry `peers --help`.");
            return ExitCode::from(2);
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("peers: {error}");
        ExitCode::FAILURE
    })
}

/// Large messages are values on the stack.
fn on_a_large_stack<T: Send + 'static>(function: fn() -> T) -> T {
    let thread = thread::Builder::new().stack_size(far_end::STACK).spawn(function).expect("a thread");
    thread.join().unwrap_or_else(|_| std::process::exit(1))
}

/// Writes to standard output; a reader that has seen enough is no error.
fn print(text: String) -> io::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result,
    }
}

/// Runs what is asked for, keeps every figure at once, and reports in the end, also after an interruption.
fn measure(run: &Run) -> io::Result<ExitCode> {
    let interrupt = Interrupt::watch()?;
    let mut journal = Journal::create(&run.directory, Machine::this())?;
    let mut all_well = true;
    for group in &run.groups {
        if interrupt.came() {
            break;
        }
        if let Some(missing) = group.cases.iter().find_map(|case| case.plan.measure.missing()) {
            eprintln!("{} is left out: {missing}", group.name);
            continue;
        }
        rounds::run(group, run.rounds, &interrupt, |line| {
            all_well &= !matches!(line, Line::Failure(_));
            journal.write(&line)
        })?;
    }
    print(report::write(&run.directory)?)?;
    Ok(match (interrupt.came(), all_well) {
        (true, _) => ExitCode::from(130),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::FAILURE,
    })
}
