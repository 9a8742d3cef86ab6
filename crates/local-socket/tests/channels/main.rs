//! Channels, sync: for bytes, for values, and the meeting point at which a child gets its first one.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod adopting;
mod ahead;
mod allocations;
mod answers;
mod bootstrapping;
mod by_hand;
mod crowd;
mod decoding;
mod ends;
mod example;
mod frames;
mod handles;
mod ipc_mode;
mod leaks;
mod limits;
mod matrix;
mod memories;
mod nested;
mod python;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../sync/rig.rs"]
mod rig;
#[path = "../sync/signal_storm.rs"]
mod signal_storm;
mod times;
mod values;
mod victims;

use std::{
    env,
    os::fd::{AsFd, OwnedFd},
    process::Command,
};

use rustix::process::geteuid;

/// The other process of the tests: this program again, with another part to play.
#[test]
#[ignore = "a part that the tests here start in a process of its own"]
fn role() {
    let Some((role, args)) = rig::my_role() else { return };
    let _watchdog = rig::Watchdog::new();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    match (role.as_str(), args.as_slice()) {
        ("payload ahead", []) => ahead::payload_ahead(),
        ("answering", []) => answers::answering(),
        ("crowd", [sender]) => crowd::sender(sender.parse().unwrap()),
        ("storm", []) => ends::storm(),
        ("sink", []) => ends::sink(),
        ("holder", []) => ends::holder(),
        ("too many in flight", []) => limits::too_many_in_flight(),
        ("adding up", [path]) => bootstrapping::adding_up(path),
        ("connecting and leaving", [path]) => bootstrapping::connecting_and_leaving(path),
        ("starting at", []) => bootstrapping::starting_at(),
        ("stranger", [path]) => bootstrapping::stranger(path),
        other => panic!("no such part: {other:?}"),
    }
}

/// The socket with which a peer was started.
fn inherited() -> OwnedFd {
    std::io::stdin().as_fd().try_clone_to_owned().unwrap()
}

/// Has a peer inherit this socket.
fn inheriting(socket: impl Into<OwnedFd>) -> impl FnOnce(&mut Command) {
    let socket = socket.into();
    move |command| {
        command.stdin(socket);
    }
}

/// Starts a peer with one socket.
fn start(role: &str, args: &[&str], socket: impl Into<OwnedFd>) -> rig::Peer {
    rig::Peer::start_with(&env::current_exe().unwrap(), role, args, inheriting(socket))
}

/// Who has no rights at all.
const NOBODY: u32 = 65534;

/// Starts a peer that is nobody, where that is possible: only root can. `directory` holds the program, which nobody else might reach.
fn start_as_nobody(directory: &rig::Directory, role: &str, args: &[&str]) -> Option<rig::Peer> {
    use std::os::unix::{fs::PermissionsExt, process::CommandExt};
    if !geteuid().is_root() {
        rig::skipped("another user: only root can be one");
        return None;
    }
    std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path("program");
    if !program.exists() {
        std::fs::copy(env::current_exe().unwrap(), &program).unwrap();
    }
    Some(rig::Peer::start_with(&program, role, args, |command| {
        command.uid(NOBODY);
    }))
}
