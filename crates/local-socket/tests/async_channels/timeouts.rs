//! `tokio::time::timeout` around whatever waits.

use std::time::{Duration, Instant};

use local_socket::tokio::{Bootstrapper, channel, raw_channel};
use tokio::time::timeout;

use crate::{
    full, held,
    rig::{HANG, Watchdog},
    runtimes,
};

const TIME: Duration = Duration::from_millis(50);

async fn assert_ends_in_time<F: Future>(future: F) {
    let start = Instant::now();
    assert!(timeout(TIME, future).await.is_err());
    let took = start.elapsed();
    assert!(took >= TIME && took < HANG * TIME, "{took:?} instead of {TIME:?}");
}

#[test]
fn every_wait_ends_with_the_timeout_around_it_and_the_channel_goes_on() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let (sender, receiver) = channel::<u32>().unwrap();
            assert_ends_in_time(receiver.recv()).await;
            assert_ends_in_time(receiver.recv_with_credentials()).await;
            sender.send(1).await.unwrap();
            assert_eq!(timeout(TIME * HANG, receiver.recv()).await.unwrap().unwrap(), 1);

            let (_sender, receiver) = raw_channel().unwrap();
            assert_ends_in_time(receiver.recv()).await;
            assert_ends_in_time(receiver.recv_with_credentials()).await;

            let (sender, receiver, count) = full(|| vec![0; 10_000]);
            assert_ends_in_time(sender.send(vec![1; 10_000])).await;
            for _ in 0..count {
                assert_eq!(receiver.recv().await.unwrap()[0], 0);
            }
            sender.send(vec![2]).await.unwrap();
            assert_eq!(receiver.recv().await.unwrap(), [2], "what was given up was not sent");

            let bootstrapper = Bootstrapper::<u32>::new().unwrap();
            assert_ends_in_time(bootstrapper.send(1)).await;
        });
    }
}
