//! The hot loop: `xmit` and `try_recv` directly, never asleep, one processor core each. Here the two sides are threads; in a pair of
//! processes only the making of the interface differs.
//!
//! `cargo run --release --example hot_loop`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::{
    error::Error,
    thread,
    time::{Duration, Instant},
};

use memenpsf::{Interface, Options, RecvError};

const TIME: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let (mut here, there) = Interface::<u64>::pair(&Options::new().capacity(64))?;
    let other = thread::spawn(move || echo(there).map_err(|error| error.to_string()));

    let start = Instant::now();
    let mut number = 0;
    while start.elapsed() < TIME {
        here.xmit(number)?;
        let answer = loop {
            match here.try_recv() {
                Ok(answer) => break answer,
                // The place for other work.
                Err(RecvError::Empty) => {}
                Err(end) => return Err(end.into()),
            }
        };
        if answer != number {
            return Err(format!("{answer} came where {number} was due").into());
        }
        number += 1;
    }
    println!("{number} round trips, {} ns each", start.elapsed().as_nanos() / u128::from(number));
    here.finish()?;
    Ok(other.join().map_err(|_| "the other side panicked")??)
}

/// Sends back what comes, until there will be no more.
fn echo(mut interface: Interface<u64>) -> Result<(), Box<dyn Error>> {
    loop {
        match interface.try_recv() {
            // Never full: there is only one number on its way.
            Ok(number) => interface.xmit(number)?,
            Err(RecvError::Empty) => {}
            Err(RecvError::Finished) => return Ok(interface.finish()?),
            // Gone without a word, or worse.
            Err(end) => return Err(end.into()),
        }
    }
}
