//! The end of a runtime while everything is under way, and what is done with a stream or listener afterwards.

use std::{
    future::pending,
    io::{ErrorKind, Read},
    sync::{Arc, mpsc},
};

use local_socket::{ConnectOptions, ListenerOptions, tokio::Stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::{Builder, Runtime},
};

use crate::{
    held, names,
    rig::{Directory, Watchdog},
};

fn runtimes() -> impl Iterator<Item = Runtime> {
    [Builder::new_current_thread, Builder::new_multi_thread]
        .into_iter()
        .map(|builder| builder().worker_threads(2).enable_all().build().unwrap())
}

#[test]
fn listeners_streams_and_what_waits_for_them_end_with_the_runtime() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let before = held();
    for name in names(&directory) {
        for runtime in runtimes() {
            let (underway, signals) = mpsc::channel();
            let listener = {
                let _context = runtime.enter();
                ListenerOptions::new(name.clone()).create_tokio().unwrap()
            };
            let mut client = ConnectOptions::new(name.clone()).connect_sync().unwrap();
            runtime.spawn(async move {
                let stream = Arc::new(listener.accept().await.unwrap());
                let (mut reader, mut writer) = (&*stream, &*stream);
                let full = vec![b'.'; 1 << 22];
                tokio::join!(
                    reader.read_u8(),
                    writer.write_all(&full),
                    listener.accept(),
                    async { underway.send(()).unwrap() },
                    pending::<()>(),
                )
            });
            // On one thread nothing runs unless it is called.
            runtime.block_on(async {
                while signals.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
            });
            drop(runtime);
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            assert!((1..1 << 22).contains(&received.len()), "what was written, and then the end");
            drop((client, signals));
            assert_eq!((held(), directory.names().len()), (before, 0));
        }
    }
}

#[test]
fn what_outlives_its_runtime_is_dropped_or_taken_back_without_harm() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let before = held();
    for name in names(&directory) {
        for runtime in runtimes() {
            let (listener, server, client) = runtime.block_on(async {
                let listener = ListenerOptions::new(name.clone()).create_tokio().unwrap();
                let (server, client) = tokio::join!(listener.accept(), Stream::connect(name.clone()));
                (listener, server.unwrap(), client.unwrap())
            });
            drop(runtime);
            let (receive, send) = server.split();
            drop(Stream::reunite(receive, send).unwrap());
            // What was taken back works without one.
            if let Ok(mut client) = local_socket::Stream::try_from(client) {
                assert_eq!(client.read(&mut [0]).unwrap(), 0);
            }
            drop(listener);
            let error = ConnectOptions::new(name.clone()).connect_sync().unwrap_err();
            assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");
            assert_eq!((held(), directory.names().len()), (before, 0));
        }
    }
}
