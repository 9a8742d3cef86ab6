//! `ipc-server`: echoes to many clients at the same time. What it does is in the library's module `server`.

use std::process::ExitCode;

use memenpsf_examples::{
    arguments::{Command, Takes, exit_code},
    server,
};

const HELP: &str = "\
Serves any number of clients through shared memory: sends back what they send, and reports who
joins, who leaves and why. Ctrl-C ends it.

Usage: ipc-server [--socket PATH]

  --socket PATH    where to listen     [/tmp/memenpsf.sock]

The path needs a `/` in it and is removed at the end. `ipc-client ping` in another terminal is a
client to begin with.
";

fn main() -> ExitCode {
    let serve = Command {
        name: "ipc-server",
        help: HELP,
        takes: &[Takes::Socket],
        run: |arguments| server::serve(&arguments.socket),
    };
    exit_code("ipc-server", serve.start(&mut lexopt::Parser::from_env()))
}
