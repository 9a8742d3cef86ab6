//! Across pid namespaces.

use local_socket::{ListenerOptions, Name, Stream};
use rustix::process::geteuid;

use crate::{
    pid_namespace,
    rig::{Peer, Watchdog, hear, say, skipped, unique},
};

/// In a pid namespace of its own: says whom it finds at the other end.
pub(crate) fn client(name: Name) {
    let stream = Stream::connect(name).unwrap();
    let credentials = stream.peer_credentials().unwrap();
    say(format!("{:?} {} {}", credentials.pid, credentials.uid, credentials.gid));
    hear();
}

#[test]
fn who_has_no_pid_here_still_has_a_user() {
    let _watchdog = Watchdog::new();
    let Some(command) = pid_namespace::this_program() else { return skipped(pid_namespace::MISSING) };
    let text = unique();
    let listener = ListenerOptions::new(Name::namespaced(&text).unwrap()).create_sync().unwrap();
    let mut peer = Peer::start_command(command, "namespace", &[&text], |_| {}).unwrap();
    let server = listener.accept().unwrap();
    let (uid, gid) = (geteuid().as_raw(), rustix::process::getegid().as_raw());
    // The namespace inside does not see out; the one outside sees in.
    assert_eq!(peer.line(), format!("None {uid} {gid}"));
    let credentials = server.peer_credentials().unwrap();
    assert!(credentials.pid.is_some());
    assert_eq!((credentials.uid, credentials.gid), (uid, gid));
    peer.tell();
    peer.succeeds();
}
