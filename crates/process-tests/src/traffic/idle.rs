//! Far ends that wait for a message which is long in coming.

use memenpsf::{Interface, Options, Role, crossbeam_channel};

use crate::socket_of_peer;

/// Elements in a ring and in a channel.
const CAPACITY: usize = 16;

/// Echoes what comes until the near end finishes, waiting in `recv_blocking`.
pub(super) fn far_receiver() {
    let options = Options::new().capacity(CAPACITY);
    let mut interface = Interface::<u64>::with_options(socket_of_peer(), Role::Server, &options).expect("a connection");
    // Ends by the near end.
    while let Ok(number) = interface.recv_blocking() {
        interface.xmit_blocking(number).expect("a near end that receives");
    }
}

/// Echoes what comes until the near end finishes, through `run` and two channels.
pub(super) fn far_run() {
    let (to_run, from_here) = crossbeam_channel::bounded(CAPACITY);
    let (to_here, from_run) = crossbeam_channel::bounded::<u64>(CAPACITY);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // Ends when `run` drops its sender, because the near end finished.
            for number in from_run {
                to_run.send(number).expect("a run loop that transmits");
            }
        });
        Interface::run("idle", CAPACITY, Role::Server, socket_of_peer(), from_here, to_here).expect("a run loop");
    });
}
