//! `tokio::time::timeout` around whatever waits.

use std::time::{Duration, Instant};

use local_socket::{ConnectOptions, ConnectWaitMode, ListenerOptions};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::{
    names,
    rig::{Directory, HANG, Watchdog},
    streams::{fill, pair},
};

const TIME: Duration = Duration::from_millis(100);

async fn assert_ends_in_time<F: Future>(future: F) {
    let start = Instant::now();
    assert!(timeout(TIME, future).await.is_err());
    let took = start.elapsed();
    assert!(took >= TIME && took < HANG * TIME, "{took:?} instead of {TIME:?}");
}

#[tokio::test]
async fn every_wait_ends_with_the_timeout_around_it() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let listener = ListenerOptions::new(name.clone()).backlog(0).create_tokio().unwrap();
        assert_ends_in_time(listener.accept()).await;
        let connect = ConnectOptions::new(name);
        let _first = connect.clone().wait_mode(ConnectWaitMode::Deferred).connect_tokio().await.unwrap();
        assert_ends_in_time(connect.connect_tokio()).await;
    }
    let (mut ours, _theirs) = pair();
    assert_ends_in_time(ours.read(&mut [0])).await;
    fill(&ours).await;
    assert_ends_in_time(ours.write(b"x")).await;
}
