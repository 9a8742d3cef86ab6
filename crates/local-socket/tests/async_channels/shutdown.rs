//! The end of a runtime while everything is under way, and ends of channels that outlive theirs.

use std::{path::PathBuf, sync::mpsc};

use local_socket::{
    Error,
    tokio::{Bootstrapper, RawReceiver, RawSender, channel},
};

use crate::{full, held, rig::Watchdog, runtimes};

#[test]
fn what_waits_ends_with_the_runtime_and_leaves_nothing() {
    let before = held();
    for runtime in runtimes() {
        let watchdog = Watchdog::new();
        let (underway, signals) = mpsc::channel::<PathBuf>();
        let (sync_sender, sync_receiver) = local_socket::channel::<u32>().unwrap();
        runtime.block_on(async {
            let (sender, receiver, _) = full(|| vec![0_u8; 10_000]);
            let (quiet, silence) = channel::<u32>().unwrap();
            let clone = quiet.clone();
            let bootstrapper = Bootstrapper::<u32>::new().unwrap();
            let path = bootstrapper.path().to_owned();
            let from_elsewhere = RawReceiver::try_from(sync_receiver.into_raw_receiver()).unwrap();
            tokio::spawn(async move {
                // Kept while the others wait.
                let _ends = (&receiver, &quiet, &clone);
                let _ = tokio::join!(
                    sender.send(vec![1; 300_000]),
                    silence.recv(),
                    from_elsewhere.recv(),
                    bootstrapper.send(1),
                    bootstrapper.send(2),
                    async { underway.send(path).unwrap() },
                );
            });
            while let Err(mpsc::TryRecvError::Empty) = signals.try_recv().map(|path| assert!(path.exists())) {
                tokio::task::yield_now().await;
            }
        });
        drop(runtime);
        assert!(matches!(sync_sender.send(1).unwrap_err().error, Error::Closed), "the receiver went with the runtime");
        drop((sync_sender, signals, watchdog));
        assert_eq!(held(), before);
    }
}

#[test]
fn ends_that_outlive_their_runtime_fail_are_dropped_or_taken_back_without_harm() {
    let before = held();
    for runtime in runtimes() {
        let watchdog = Watchdog::new();
        let (sender, receiver, bootstrapper) = runtime.block_on(async {
            let (sender, receiver) = channel::<u32>().unwrap();
            sender.send(1).await.unwrap();
            (sender, receiver, Bootstrapper::<u32>::new().unwrap())
        });
        drop(runtime);
        let other = runtimes().next().unwrap();
        other.block_on(async {
            // What has to wait is told that nobody would wake it.
            assert!(matches!(receiver.recv().await, Err(Error::Io(_)) | Ok(1)));
            assert!(bootstrapper.send(1).await.is_err());
        });
        let directory = bootstrapper.path().parent().unwrap().to_owned();
        drop((other, bootstrapper));
        assert!(!directory.exists());
        let sender = local_socket::RawSender::try_from(sender.into_raw_sender()).unwrap();
        let receiver = local_socket::RawReceiver::try_from(receiver.into_raw_receiver()).unwrap();
        sender.send(b"taken back", &[]).unwrap();
        while receiver.recv().unwrap().0 != b"taken back" {}
        // And into another runtime.
        let other = runtimes().next().unwrap();
        other.block_on(async {
            let (sender, receiver) = (RawSender::try_from(sender).unwrap(), RawReceiver::try_from(receiver).unwrap());
            sender.send(b"again", &[]).await.unwrap();
            assert_eq!(receiver.recv().await.unwrap().0, b"again");
        });
        drop((other, watchdog));
        assert_eq!(held(), before);
    }
}
