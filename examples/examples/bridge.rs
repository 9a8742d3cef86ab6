//! The run loop: whatever a program puts into a crossbeam channel comes out of a channel in another one. Here both are threads of one
//! process with a socket pair between them; a socket that came from anywhere else does as well.
//!
//! `cargo run --release --example bridge`

#![allow(clippy::print_stdout, reason = "it is a program")]

use std::{error::Error, os::unix::net::UnixStream, thread};

use crossbeam_channel::bounded;
use memenpsf::{Interface, RunEnd};

const QUESTIONS: u64 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let (client, server) = UnixStream::pair()?;

    // One side answers: it knows nothing but its two channels, and ends when the first of them does.
    let (sender, questions) = bounded::<u64>(256);
    let (answers, recvr) = bounded::<u64>(256);
    thread::spawn(move || questions.iter().try_for_each(|question| answers.send(question * 2)));
    let serving = thread::spawn(move || Interface::run("answers", 1024, 1, server, recvr, sender));

    // The other asks. The role 0 is the client, any other the server.
    let (questions, recvr) = bounded::<u64>(256);
    let (sender, answers) = bounded::<u64>(256);
    let asking = thread::spawn(move || Interface::run("questions", 1024, 0, client, recvr, sender));
    // Dropping `questions` at its end says that no more will come, and that travels through both loops.
    thread::spawn(move || (0..QUESTIONS).try_for_each(|question| questions.send(question)));

    let mut due = 0;
    for answer in answers {
        if answer != due * 2 {
            return Err(format!("{answer} came where {} was due", due * 2).into());
        }
        due += 1;
    }
    let report = asking.join().map_err(|_| "the asking side panicked")??;
    serving.join().map_err(|_| "the answering side panicked")??;
    println!("{} questions, {} answers, all in order", report.transmitted, report.received);
    println!("transmitting ended because {}, receiving because {}", report.xmit_end, report.recv_end);
    let whole = due == QUESTIONS && (report.xmit_end, report.recv_end) == (RunEnd::LocalGone, RunEnd::Finished);
    if whole { Ok(()) } else { Err("not everything came back".into()) }
}
