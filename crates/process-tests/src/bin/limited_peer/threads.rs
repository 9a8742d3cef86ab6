//! No thread can be started.

use memenpsf::{Interface, Options, Role, crossbeam_channel::unbounded};
use nix::{libc, unistd::Uid};
use process_tests::{
    Holdings,
    seccomp::{Calls, fail},
    socket_of_peer,
};

use crate::limit::{Limit, fill_the_heap};

/// Elements in the channel, and in the ring.
const WAITING: u64 = 3;

/// Makes a connection, then lets no thread start in the way named, and says what a run loop and a pair answer.
pub(crate) fn run(how: &str) {
    let options = Options::new().capacity(8);
    let interface = Interface::<u64>::with_options(socket_of_peer(), Role::Server, &options).unwrap();
    let ((to_peer, recvr), (sender, from_peer)) = (unbounded(), unbounded());
    (0..WAITING).for_each(|number| to_peer.send(number).unwrap());
    let before = Holdings::now();
    fill_the_heap();
    let runner = interface.runner(recvr.clone(), sender).unwrap();
    let limit = limit(how);
    println!("{}", runner.run().expect_err("a thread"));
    println!("{}", Interface::<u64>::pair(&options).expect_err("a thread"));
    drop(limit);
    // Its connection is gone, and the channels are as they were.
    assert_eq!(recvr.try_iter().collect::<Vec<_>>(), (0..WAITING).collect::<Vec<_>>());
    assert_eq!(from_peer.try_iter().count(), 0);
    let after = Holdings::now();
    // Two sockets and the pidfd, where there is one; two segments.
    assert!(after.descriptors < before.descriptors && after.mappings + 2 == before.mappings, "{before:?}, {after:?}");
    assert_eq!(after.threads, before.threads);
    if how != "seccomp" {
        works_again(&options);
    }
}

fn limit(how: &str) -> Option<Limit> {
    match how {
        "address-space" => Some(Limit::new("address-space", 64 << 10)),
        "processes" => {
            // The limit binds those without CAP_SYS_RESOURCE and CAP_SYS_ADMIN.
            let nobody = Uid::from_raw(65534);
            nix::unistd::setresuid(nobody, nobody, nobody).unwrap();
            Some(Limit::new("processes", 0))
        }
        "seccomp" => {
            fail(libc::SYS_clone3, Calls::All, libc::EPERM);
            fail(libc::SYS_clone, Calls::All, libc::EPERM);
            None
        }
        _ => panic!("no way {how}"),
    }
}

fn works_again(options: &Options) {
    let (one, other) = Interface::<u64>::pair(options).unwrap();
    let ((to_other, from_user), (to_user, _from_other)) = (unbounded(), unbounded());
    let ((back, forth), (arrived, arriving)) = (unbounded(), unbounded());
    drop(back);
    (0..WAITING).for_each(|number| to_other.send(number).unwrap());
    drop(to_other);
    std::thread::scope(|scope| {
        scope.spawn(|| other.runner(forth, arrived).unwrap().run().unwrap());
        one.runner(from_user, to_user).unwrap().run().unwrap();
    });
    assert_eq!(arriving.iter().collect::<Vec<_>>(), (0..WAITING).collect::<Vec<_>>());
}
