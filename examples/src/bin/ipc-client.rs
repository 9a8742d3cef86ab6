//! `ipc-client`: one subcommand for each way of talking to `ipc-server`. Each lies in a module of the library of the same name.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use lexopt::{Arg, Parser};
use memenpsf_examples::{
    arguments::{Command, Outcome, Usage, exit_code},
    bridge, demo, doctor, ping, send,
    show::{member, processes},
    stream,
};

const HELP: &str = "\
Two unrelated processes talk through shared memory: this one, and a server.

Usage: ipc-client COMMAND [OPTIONS]

See it work, without anything else:
  demo         starts a server of its own and does all of the below, with numbers at the end
  doctor       what this machine gives, and what is lost without

Talk to a server (`ipc-server` in another terminal):
  ping         round trips one after the other, and how long they took
  stream       one way, as fast as it goes
  bridge       the run loop between crossbeam channels and the server
  send FILE    a file, compared by checksum

`ipc-client COMMAND --help` tells more. The exit code is 0 if all went well, 1 if not, and 2 if
the command line makes no sense.
";

const COMMANDS: [Command; 8] = [
    demo::COMMAND,
    doctor::COMMAND,
    ping::COMMAND,
    stream::COMMAND,
    bridge::COMMAND,
    send::COMMAND,
    // What `demo` starts as processes of their own.
    processes::SERVE,
    member::COMMAND,
];

fn main() -> ExitCode {
    exit_code("ipc-client", start(&mut Parser::from_env()))
}

fn start(parser: &mut Parser) -> Outcome {
    let wrong = |what: String| Usage(format!("{what}; `ipc-client --help` lists the commands"));
    match parser.next().map_err(|error| wrong(error.to_string()))? {
        Some(Arg::Long("help") | Arg::Short('h')) => Ok(io::stdout().write_all(HELP.as_bytes())?),
        Some(Arg::Value(word)) => {
            let called = |command: &&Command| command.name.strip_prefix("ipc-client ").is_some_and(|name| word == name);
            match COMMANDS.iter().find(called) {
                Some(command) => command.start(parser),
                None => Err(wrong(format!("there is no command {word:?}")).into()),
            }
        }
        Some(other) => Err(wrong(other.unexpected().to_string()).into()),
        None => Err(wrong("a command is missing".to_owned()).into()),
    }
}
