//! The socket that keeps messages whole: that which waits, and that of tokio where the feature is on.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod adopting;
mod allocations;
mod both;
#[cfg(feature = "tokio")]
mod cancelled;
mod crowd;
mod descriptors;
mod ends;
mod every_form;
mod files;
mod hostile;
mod matrix;
#[path = "../sync/pid_namespace.rs"]
mod pid_namespace;
mod python;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../sync/rig.rs"]
mod rig;
mod senders;
#[path = "../sync/signal_storm.rs"]
mod signal_storm;
mod splits;
mod there_and_back;
mod waiting;

/// The other process of the tests: this program again, with another part to play.
#[test]
#[ignore = "a part that the tests here start in a process of its own"]
fn role() {
    let Some((role, args)) = rig::my_role() else { return };
    let _watchdog = rig::Watchdog::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), args.as_slice()) {
        ("sends before it is adopted", []) => ends::sends_before_it_is_adopted(),
        ("out of descriptors", [form]) => descriptors::out_of_descriptors(form),
        ("inherits", [kept, other]) => adopting::inherits(kept, other),
        ("sends its pid", []) => senders::sends_its_pid(),
        ("in another namespace", []) => senders::in_another_namespace(),
        #[cfg(feature = "tokio")]
        ("waits", []) => crowd::waits(),
        other => panic!("no such part: {other:?}"),
    }
}
