//! The victim of a storm: streams until it is killed.

use memenpsf::{Interface, Listener, Options, Role, Wait, crossbeam_channel::bounded};
use nix::sys::signal::Signal;

use super::forms::{Form, Storm};
use crate::{
    numbered::{assert_next, element},
    progress::{Progress, Word},
    socket_of_peer,
    steps::{acts::Actor, ends::End, for_size},
};

/// Plays the victim that the arguments tell of.
pub fn play(args: impl Iterator<Item = String>) {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).expect("a signal at the parent's death");
    let args: Vec<String> = args.collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["stream", number, progress] => {
            let storm = Storm::number(number.parse().expect("a number"));
            let progress = Progress::open(progress);
            for_size!(storm.words, stream, &storm, &progress);
        }
        ["listen", path] => listen(path),
        other => panic!("no part {other:?}"),
    }
}

fn stream<const WORDS: usize>(storm: &Storm, progress: &Progress) {
    let stream = socket_of_peer();
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null").expect("nothing to read"))
        .expect("another standard input");
    let options = Options::new().capacity(storm.capacity).name("victim");
    let (next, due) = (storm.end.first_number(), storm.end.opposite().first_number());
    if storm.form == Form::RunLoop {
        let role = if storm.end == End::Client { Role::Client } else { Role::Server };
        let interface = Interface::with_options(stream, role, &options).expect("a peer");
        return run_loop::<WORDS>(interface, progress, next, due);
    }
    let halves = storm.end.connect::<WORDS>(stream, &options).expect("a peer");
    let batch = Vec::with_capacity(256);
    let mut actor = Actor { halves, progress, next: (next, next), due: (due, due), marks: false, batch };
    let acts = storm.acts();
    // Ends by the kill.
    loop {
        acts.iter().for_each(|&act| actor.act(act));
    }
}

/// What is in the channel when the victim dies was not sent; so how much was sent is not told.
fn run_loop<const WORDS: usize>(interface: Interface<[u64; WORDS]>, progress: &Progress, first: u64, due: u64) {
    let (to_peer, from_here) = bounded(16);
    let (to_here, from_peer) = bounded(16);
    progress.set(Word::TakingUpTo, u64::MAX);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0.. {
                progress.set(Word::SendingUpTo, number + 1);
                if to_peer.send(element(first + number)).is_err() {
                    return;
                }
            }
        });
        scope.spawn(move || {
            let mut next = due;
            for element in from_peer {
                next = assert_next(next, &[element]);
                progress.set(Word::Taken, next - due);
            }
        });
        interface.runner(from_here, to_here).expect("a run loop").run().expect("a run loop");
    });
}

/// Lets in whoever comes, one thread each, until it is killed.
#[allow(clippy::print_stdout, reason = "its standard output is how it answers")]
fn listen(path: &str) {
    let listener = Listener::bind(path).expect("the place of a dead listener");
    println!("listening");
    loop {
        let pending = listener.accept().expect("a client");
        std::thread::spawn(move || {
            // Its client may be gone by now.
            if let Ok(mut client) = pending.open::<u64>(&Options::new().capacity(2).wait(Wait::Sleep)) {
                while let Ok(number) = client.recv_blocking() {
                    let _ = client.xmit_blocking(number);
                }
            }
        });
    }
}
