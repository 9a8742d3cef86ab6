//! Many clients at a server of tokio, some at a time, each with bytes both ways at once.

use std::{
    io::{Read, Write},
    net::Shutdown,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    thread,
};

use crate::{
    held, names,
    rig::{self, Directory, Peer, Watchdog, both_kinds},
};
use local_socket::{
    ConnectOptions, ListenerOptions, Name,
    tokio::{Listener, Stream},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Builder,
};

const CLIENTS: u32 = 80;
const AT_A_TIME: usize = 6;
/// More than a socket holds, so that both ends wait unless both directions move.
const LENGTH: usize = 700_001;

/// What a side sends, which tells who it is and of which client.
fn bytes(client: u32, side: u32) -> Vec<u8> {
    let seed = client * 2 + side + 1;
    (0..LENGTH as u32).map(|place| (place.wrapping_mul(seed.wrapping_mul(2_654_435_761)) >> 24) as u8).collect()
}

/// The server's side of one connection: the client says its number first.
async fn serve(stream: Stream) -> u32 {
    let (mut receive, mut send) = stream.split();
    let client = receive.read_u32().await.unwrap();
    let sending = async {
        send.write_all(&bytes(client, 0)).await.unwrap();
        send.shutdown().await.unwrap();
    };
    let receiving = async {
        let mut received = Vec::new();
        receive.read_to_end(&mut received).await.unwrap();
        received
    };
    let ((), received) = tokio::join!(sending, receiving);
    assert!(received == bytes(client, 1), "bytes of client {client}");
    Stream::reunite(receive, send).unwrap();
    client
}

async fn listen(name: &Name) -> Listener {
    ListenerOptions::new(name.clone()).create_tokio().unwrap()
}

/// Serves all clients and checks that each of them came once.
async fn serve_all(listener: Listener) {
    let mut servers = Vec::new();
    for _ in 0..CLIENTS {
        servers.push(tokio::spawn(serve(listener.accept().await.unwrap())));
    }
    let mut clients = Vec::new();
    for server in servers {
        clients.push(server.await.unwrap());
    }
    clients.sort_unstable();
    assert_eq!(clients, (0..CLIENTS).collect::<Vec<_>>());
}

/// One task reads through a shared reference while another writes.
async fn tokio_client(name: Name, client: u32) {
    let stream = Stream::connect(name).await.unwrap();
    let (mut reader, mut writer) = (&stream, &stream);
    let sending = async {
        writer.write_u32(client).await.unwrap();
        writer.write_all(&bytes(client, 1)).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut received = Vec::new();
    let ((), read) = tokio::join!(sending, reader.read_to_end(&mut received));
    read.unwrap();
    assert!(received == bytes(client, 0), "bytes for client {client}");
}

fn sync_client(name: &Name, client: u32) {
    let stream = ConnectOptions::new(name.clone()).connect_sync().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&stream).write_all(&client.to_be_bytes()).unwrap();
            (&stream).write_all(&bytes(client, 1)).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
        });
        let mut received = Vec::new();
        (&stream).read_to_end(&mut received).unwrap();
        assert!(received == bytes(client, 0), "bytes for client {client}");
    });
}

fn next_client(next: &AtomicU32) -> Option<u32> {
    Some(next.fetch_add(1, Relaxed)).filter(|client| *client < CLIENTS)
}

/// All clients, so many at a time.
async fn tokio_clients(name: Name) {
    let next = Arc::new(AtomicU32::new(0));
    let crowd: Vec<_> = (0..AT_A_TIME)
        .map(|_| {
            let (name, next) = (name.clone(), Arc::clone(&next));
            tokio::spawn(async move {
                while let Some(client) = next_client(&next) {
                    tokio_client(name.clone(), client).await;
                }
            })
        })
        .collect();
    for member in crowd {
        member.await.unwrap();
    }
}

#[test]
fn eighty_clients_of_tokio_six_at_a_time_on_one_thread_and_on_two() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let before = held();
    for name in names(&directory) {
        for mut builder in [Builder::new_current_thread(), Builder::new_multi_thread()] {
            let runtime = builder.worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = tokio::spawn(serve_all(listen(&name).await));
                tokio_clients(name.clone()).await;
                server.await.unwrap();
            });
            drop(runtime);
            assert_eq!((held(), directory.names().len()), (before, 0));
        }
    }
}

#[test]
fn eighty_sync_clients_of_another_process_six_at_a_time() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    for (kind, name) in both_kinds(&directory) {
        let listener = runtime.block_on(listen(&rig::name(kind, &name)));
        let clients = Peer::start("sync clients", &[kind, &name]);
        runtime.block_on(serve_all(listener));
        clients.succeeds();
        assert!(directory.names().is_empty());
    }
}

/// The other process.
pub(crate) fn sync_clients(name: &Name) {
    let next = AtomicU32::new(0);
    thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                while let Some(client) = next_client(&next) {
                    sync_client(name, client);
                }
            });
        }
    });
}
