//! Connecting where nobody listens and where the backlog is full, with tokio.

use std::{
    io::{self, ErrorKind},
    sync::mpsc,
    time::{Duration, Instant},
};

use local_socket::{
    ConnectOptions, ConnectWaitMode, Listener, ListenerOptions, Name,
    tokio::{Listener as TokioListener, Stream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
    spawn,
    task::JoinHandle,
};

use crate::{
    held, names, now,
    rig::{Directory, Watchdog},
};

/// A server that accepts nobody, and as many clients as find room with it.
struct Full {
    listener: TokioListener,
    clients: Vec<local_socket::Stream>,
}

impl Full {
    fn new(name: &Name) -> Self {
        let listener = ListenerOptions::new(name.clone()).backlog(1).create_tokio().unwrap();
        let options = ConnectOptions::new(name.clone()).wait_mode(ConnectWaitMode::Deferred);
        let clients = std::iter::from_fn(|| options.connect_sync().ok()).collect();
        Self { listener, clients }
    }
}

fn waiting(name: &Name, wait_mode: ConnectWaitMode) -> ConnectOptions {
    ConnectOptions::new(name.clone()).wait_mode(wait_mode)
}

/// Starts a task that connects, and returns when it waits.
async fn start(options: ConnectOptions) -> JoinHandle<io::Result<Stream>> {
    let task = spawn(async move { options.connect_tokio().await });
    // Longer than the pauses take to become as long as they ever do.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!task.is_finished());
    task
}

#[tokio::test]
async fn nobody_there_is_an_error_at_once_in_every_mode() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for wait_mode in [ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout(Duration::MAX), ConnectWaitMode::Deferred] {
        let [path, abstract_name] = names(&directory);
        let error = waiting(&path, wait_mode).connect_tokio().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let error = waiting(&abstract_name, wait_mode).connect_tokio().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("{abstract_name}: ")), "{error}");
    }
}

#[tokio::test]
async fn who_waits_for_room_connects_when_it_comes_and_the_runtime_goes_on_meanwhile() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        for wait_mode in [ConnectWaitMode::Unbounded, ConnectWaitMode::Timeout(Duration::MAX)] {
            let full = Full::new(&name);
            // On the one thread that there is.
            let task = start(waiting(&name, wait_mode)).await;
            for _ in &full.clients {
                full.listener.accept().await.unwrap();
            }
            let mut client = task.await.unwrap().unwrap();
            let mut server = full.listener.accept().await.unwrap();
            server.write_all(b"x").await.unwrap();
            assert_eq!(client.read(&mut [0; 2]).await.unwrap(), 1);
        }
    }
}

#[tokio::test]
async fn a_timeout_is_kept_and_not_cut_short() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let _full = Full::new(&name);
        for micros in [0, 1, 500, 1_000, 1_500, 7_300, 40_000, 101_000] {
            let timeout = Duration::from_micros(micros);
            let start = Instant::now();
            let error = waiting(&name, ConnectWaitMode::Timeout(timeout)).connect_tokio().await.unwrap_err();
            let took = start.elapsed();
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert!(took >= timeout, "{took:?} instead of {timeout:?}");
            assert!(took < (timeout + Duration::from_millis(10)) * 20, "{took:?} instead of {timeout:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_is_not_stretched_by_the_pause_before_it() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let _full = Full::new(&name);
    // The time of tokio, which stands still while somebody works.
    for millis in 0..100 {
        let (start, timeout) = (tokio::time::Instant::now(), Duration::from_millis(millis));
        let error = waiting(&name, ConnectWaitMode::Timeout(timeout)).connect_tokio().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(start.elapsed().as_millis(), timeout.as_millis());
    }
}

#[tokio::test]
async fn deferred_says_that_there_is_no_connection() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let full = Full::new(&name);
        let error = waiting(&name, ConnectWaitMode::Deferred).connect_tokio().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
        for _ in &full.clients {
            full.listener.accept().await.unwrap();
        }
        // With room it is a connection, and the failed try has not become one.
        waiting(&name, ConnectWaitMode::Deferred).connect_tokio().await.unwrap();
        full.listener.accept().await.unwrap();
        assert!(now(full.listener.accept()).await.is_none());
    }
}

#[tokio::test]
async fn a_server_that_goes_refuses_who_waits_for_room() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    for name in names(&directory) {
        let full = Full::new(&name);
        let task = start(waiting(&name, ConnectWaitMode::Unbounded)).await;
        drop(full);
        let error = task.await.unwrap().unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused), "{error}");
    }
}

#[tokio::test]
async fn two_thousand_tries_at_a_full_backlog_leave_no_descriptor_and_no_thread() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let full = Full::new(&name);
    let before = held();
    for _ in 0..2000 {
        waiting(&name, ConnectWaitMode::Deferred).connect_tokio().await.unwrap_err();
        waiting(&name, ConnectWaitMode::Timeout(Duration::ZERO)).connect_tokio().await.unwrap_err();
        // Dropped while it waits.
        let options = waiting(&name, ConnectWaitMode::Unbounded);
        assert!(now(options.connect_tokio()).await.is_none());
    }
    let task = start(waiting(&name, ConnectWaitMode::Unbounded)).await;
    task.abort();
    assert!(task.await.unwrap_err().is_cancelled());
    assert_eq!(held(), before);
    drop(full);
}

#[test]
fn a_runtime_ends_at_once_though_many_wait_for_room() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let before = held();
    for name in names(&directory) {
        let listener = ListenerOptions::new(name.clone()).backlog(1).create_sync().unwrap();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let (tried, tries) = mpsc::channel();
        for _ in 0..100 {
            let (options, tried) = (waiting(&name, ConnectWaitMode::Unbounded), tried.clone());
            runtime.spawn(async move { tokio::join!(options.connect_tokio(), async { tried.send(()) }) });
        }
        assert_eq!(tries.iter().take(100).count(), 100);
        drop(runtime);
        drain(&listener);
    }
    assert_eq!(held(), before);
}

/// Takes the clients who found room; the others are not among them, for they are gone.
fn drain(listener: &Listener) {
    let clients = (0..).take_while(|_| listener.accept_timeout(Duration::ZERO).is_ok()).count();
    assert!(clients <= 2, "{clients} clients in a backlog of 1");
}

#[test]
fn a_runtime_without_a_timer_is_told_so_at_the_first_connection() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [name, _] = names(&directory);
    let _listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let connect = || runtime.block_on(Stream::connect(name.clone()));
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(connect)).unwrap_err();
}
