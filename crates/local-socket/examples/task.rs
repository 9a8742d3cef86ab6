//! A parent has a child add numbers up: the first example of the crate `unix-ipc`, with another `use` line.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::while_let_loop,
    clippy::zombie_processes,
    missing_docs,
    unused_mut,
    unused_variables,
    reason = "the example is as it stands there"
)]

use local_socket::{Bootstrapper, Receiver, Sender, channel};
use serde::{Deserialize, Serialize};
use std::env;
use std::process;

const ENV_VAR: &str = "PROC_CONNECT_TO";

#[derive(Serialize, Deserialize, Debug)]
pub enum Task {
    Sum(Vec<i64>, Sender<i64>),
    Shutdown,
}

fn main() {
    if let Ok(path) = env::var(ENV_VAR) {
        let receiver = Receiver::<Task>::connect(path).unwrap();
        loop {
            match receiver.recv().unwrap() {
                Task::Sum(values, tx) => {
                    tx.send(values.into_iter().sum::<i64>()).unwrap();
                }
                Task::Shutdown => break,
            }
        }
    } else {
        let bootstrapper = Bootstrapper::new().unwrap();
        let mut child =
            process::Command::new(env::current_exe().unwrap()).env(ENV_VAR, bootstrapper.path()).spawn().unwrap();

        let (tx, rx) = channel().unwrap();
        bootstrapper.send(Task::Sum(vec![23, 42], tx)).unwrap();
        println!("sum: {}", rx.recv().unwrap());
        bootstrapper.send(Task::Shutdown).unwrap();
    }
}
