//! Peers that are gone: before the other side looks, while it waits, and after they have said everything.

use std::{
    io::{ErrorKind, IoSlice},
    sync::Arc,
};

use local_socket::{ListenerOptions, tokio::Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    spawn,
    task::yield_now,
};

use crate::{
    names,
    rig::{Directory, Watchdog, raises_sigpipe},
    streams::{fill, pair},
};

#[tokio::test]
async fn a_peer_that_goes_wakes_who_reads_and_who_writes() {
    let _watchdog = Watchdog::new();
    // Before.
    let (mut ours, theirs) = pair();
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    assert_eq!(ours.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    // Meanwhile.
    let (ours, theirs) = pair();
    let ours = Arc::new(ours);
    fill(&ours).await;
    let reader = spawn({
        let ours = Arc::clone(&ours);
        async move { (&*ours).read(&mut [0]).await }
    });
    let writer = spawn({
        let ours = Arc::clone(&ours);
        async move { (&*ours).write(b"x").await }
    });
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(!reader.is_finished() && !writer.is_finished());
    drop(theirs);
    // It has not read what was sent to it, so its end is a reset.
    assert_eq!(reader.await.unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(writer.await.unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    // After it has sent.
    let (mut ours, mut theirs) = pair();
    theirs.write_all(b"goodbye").await.unwrap();
    drop(theirs);
    let mut text = String::new();
    ours.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "goodbye");
}

#[test]
fn no_write_to_a_peer_that_is_gone_raises_a_signal() {
    let _watchdog = Watchdog::new();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let raised = raises_sigpipe(|| {
        runtime.block_on(async {
            let (mut ours, theirs) = pair();
            drop(theirs);
            assert_eq!(ours.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
            let written = ours.write_vectored(&[IoSlice::new(b"x")]).await;
            assert_eq!(written.unwrap_err().kind(), ErrorKind::BrokenPipe);
        });
    });
    assert!(!raised);
}

#[tokio::test]
async fn a_client_that_is_gone_before_it_is_accepted_can_still_be_heard() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
        let mut client = Stream::connect(name).await.unwrap();
        client.write_all(b"goodbye").await.unwrap();
        drop(client);
        let mut text = String::new();
        listener.accept().await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "goodbye");
    }
}
