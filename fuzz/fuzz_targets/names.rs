#![no_main]

#[path = "../../crates/local-socket/tests/corpus/place.rs"]
mod place;
#[path = "../../crates/local-socket/tests/corpus/target.rs"]
mod target;

use std::{cell::LazyCell, env, path::absolute, process};

use place::{Home, Place};

thread_local! {
    static HOME: LazyCell<Home> = LazyCell::new(|| Home::here().expect("a process that was started to live in a place"));
}

/// Starts this program once more, in a place of its own, and ends as that does.
fn move_in() {
    if Home::here().is_some() {
        return;
    }
    let place = Place::new().expect("a temporary directory");
    // The corpus is where it was.
    let arguments = env::args().skip(1).map(|argument| match argument.starts_with('-') {
        true => argument.into(),
        false => absolute(argument).expect("a path"),
    });
    let mut inhabitant = place.command(env::current_exe().expect("this program"));
    let status = inhabitant.args(arguments).status().expect("this program starts once more");
    drop(place);
    process::exit(status.code().unwrap_or(1));
}

libfuzzer_sys::fuzz_target!(init: move_in(), |bytes: &[u8]| {
    HOME.with(|home| target::names(home, bytes));
});
