//! The server: echoes to many clients at the same time, each on a thread of its own.

use std::{
    io::{self, Write},
    os::fd::AsFd,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use memenpsf::{Interface, Listener, Pending, RecvError};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    arguments::Outcome,
    message::{KEEP, Message, SUMMARY, Summary, options},
    signals::Signals,
};

/// Serves at `socket` until SIGINT, SIGTERM or SIGHUP, and removes it. Clients that are still there then see that the server is gone.
///
/// # Errors
///
/// The socket's path cannot be had, or the system is out of descriptors.
pub fn serve(socket: &Path) -> Outcome {
    let signals = Signals::block()?;
    let listener = Listener::bind(socket).map_err(|error| format!("cannot serve at {}: {error}", socket.display()))?;
    report(&format!("listening at {}, Ctrl-C ends it", listener.path().display()));

    let connected = Arc::new(AtomicUsize::new(0));
    let mut number = 0u64;
    loop {
        let mut fds =
            [PollFd::new(listener.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(errno.into()),
        }
        if fds[1].any() == Some(true) {
            break;
        }
        number += 1;
        let connected = Arc::clone(&connected);
        // It has connected and nothing more. Should it fall silent in the handshake, only its own thread notices.
        let started = listener.accept().map_err(io::Error::from).and_then(|pending| {
            thread::Builder::new().spawn(move || {
                connected.fetch_add(1, Relaxed);
                serve_client(pending, number);
                connected.fetch_sub(1, Relaxed);
            })
        });
        if let Err(error) = started {
            report(&format!("client {number} was turned away: {error}"));
            // Out of descriptors or threads: a client that leaves is what helps.
            thread::sleep(Duration::from_millis(50));
        }
    }
    report(&format!("ended by {}, clients still connected: {}", signals.wait()?, connected.load(Relaxed)));
    Ok(())
}

/// One client from the handshake to its end.
fn serve_client(pending: Pending, number: u64) {
    let process = pending.credentials().pid.map_or_else(|| "outside".to_owned(), |pid| pid.to_string());
    let mut interface = match pending.open::<Message>(&options("ipc-server")) {
        Ok(interface) => interface,
        Err(error) => return report(&format!("client {number} (process {process}) did not join: {error}")),
    };
    report(&format!("client {number} (process {process}, {}) joined", interface.peer_name().escape_debug()));
    let mut served = 0;
    let why = match answer(&mut interface, &mut served) {
        RecvError::Finished => "it has finished".to_owned(),
        RecvError::Disconnected => "it is gone without a word".to_owned(),
        other => other.to_string(),
    };
    report(&format!("client {number} left after {served} messages: {why}"));
}

/// Answers until the client ends, and returns how it ended.
fn answer(interface: &mut Interface<Message>, served: &mut u64) -> RecvError {
    let mut kept = Summary::default();
    let mut batch = Vec::new();
    loop {
        // Sleeps while there is nothing, without using the processor.
        match interface.recv_blocking() {
            Ok(message) => batch.push(message),
            Err(end) => {
                // Everything it sent has been answered: "no more from me" either. If it is gone, nobody hears it.
                let _ = interface.finish();
                return end;
            }
        }
        // Whatever else is there already. That there is nothing, or that it is over, the next round tells.
        let _ = interface.recv_slice(&mut batch);
        *served += batch.len() as u64;
        for message in batch.drain(..) {
            let answer = match message.kind {
                KEEP => {
                    kept.keep(&message);
                    continue;
                }
                SUMMARY => std::mem::take(&mut kept).to_message(),
                _ => message,
            };
            // Waits for room. Why there will never be any, receiving tells.
            let _ = interface.xmit_blocking(answer);
        }
    }
}

/// One line on standard output, from whichever thread. The server goes on when nobody reads them any more.
fn report(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
