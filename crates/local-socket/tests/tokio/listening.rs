//! Accepting.

use std::{fs::File, os::fd::AsRawFd};

use local_socket::{ListenerOptions, Name, tokio::Stream};
use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
};

use crate::rig::{Peer, Watchdog, unique};

#[test]
fn a_client_who_comes_when_there_is_no_descriptor_left_is_not_lost() {
    let _watchdog = Watchdog::new();
    Peer::start("out of descriptors", &[]).succeeds();
}

/// In a process of its own.
pub(crate) fn out_of_descriptors() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let name = Name::namespaced(unique()).unwrap();
        let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
        let mut client = Stream::connect(name).await.unwrap();
        client.write_all(b"still here").await.unwrap();
        client.shutdown().await.unwrap();
        let mut limit = getrlimit(Resource::Nofile);
        let before = limit.current;
        // The lowest free number is the next to be given out.
        limit.current = Some(File::open("/dev/null").unwrap().as_raw_fd() as u64);
        setrlimit(Resource::Nofile, limit).unwrap();
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::MFILE.raw_os_error()), "{error}");
        }
        limit.current = before;
        setrlimit(Resource::Nofile, limit).unwrap();
        let mut received = String::new();
        listener.accept().await.unwrap().read_to_string(&mut received).await.unwrap();
        assert_eq!(received, "still here");
    });
}
