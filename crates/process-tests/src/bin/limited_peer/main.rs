//! A process that the machine or a sandbox limits: small commands, one a process, so that no limit reaches another test.
#![allow(clippy::print_stdout, reason = "its standard output is how it answers the test")]
#![allow(clippy::unwrap_used, reason = "a panic fails the test that started it")]

mod end;
mod flow;
mod inheritance;
mod limit;
mod meetings;
mod namespaces;
mod recorder;
mod sandbox;
mod secrets;
mod threads;

use nix::sys::signal::Signal;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    if words == ["linger"] {
        return inheritance::linger();
    }
    end_by_any_panic();
    // A test that is aborted leaves nothing running.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).unwrap();
    match words.as_slice() {
        ["meet", kind, path, limit, value, times] => meetings::run(kind, path, limit, value, times.parse().unwrap()),
        ["in-flight", kind] => meetings::in_flight(kind),
        ["none-left"] => meetings::none_left(),
        ["secretive", kind, size, capacity, doing] => {
            secrets::by_size(size, secrets::Secretive { kind, capacity: capacity.parse().unwrap(), doing });
        }
        ["recorder", kind, size, capacity] => {
            secrets::by_size(size, recorder::Recorder { kind, capacity: capacity.parse().unwrap() });
        }
        ["flow", forks] => flow::run(forks.parse().unwrap()),
        ["race", programs] => inheritance::race(programs.parse().unwrap()),
        ["list"] => inheritance::list(),
        ["parent", role] => inheritance::with_a_child_that_lives_on(role),
        ["threads", how] => threads::run(how),
        ["world", kind, world] => namespaces::run(kind, world),
        ["sandbox", kind, when, call, errno] => sandbox::run(kind, when, call, errno),
        other => panic!("no command {other:?}"),
    }
}

/// Whatever other threads wait for: the test is over.
fn end_by_any_panic() {
    let say = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        say(panic);
        std::process::exit(101);
    }));
}
