//! Many at one socket.

use std::{
    collections::BTreeMap,
    os::fd::{AsFd, OwnedFd},
    thread,
};

use local_socket::{Error, Socket};

use crate::{
    files::{files, identities},
    rig::Watchdog,
};

const SENDERS: usize = 4;
const MESSAGES: usize = 1000;

/// A message that says whose and the how manyth it is, in all its bytes; some are long.
fn message(sender: usize, number: usize) -> Vec<u8> {
    let length = 1 + number * 37 % 500 + if number.is_multiple_of(100) { 20_000 } else { 0 };
    [(sender as u32).to_le_bytes(), (number as u32).to_le_bytes()].concat().repeat(length)
}

/// Everything that was received, by sender: the numbers in the order in which this receiver got them.
type Received = BTreeMap<usize, Vec<usize>>;

/// Judges a message, whose sender attached its own file.
fn note(received: &mut Received, bytes: &[u8], fd: &OwnedFd, files: &[(u64, u64)]) {
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
    let (sender, number) = (word(0), word(4));
    assert!(bytes == message(sender, number), "a mixed message");
    assert_eq!(identities(&[fd]), [files[sender]]);
    received.entry(sender).or_default().push(number);
}

fn assert_all(received: impl IntoIterator<Item = Received>) {
    let mut all = Received::new();
    for (sender, numbers) in received.into_iter().flatten() {
        assert!(numbers.is_sorted(), "out of order");
        all.entry(sender).or_default().extend(numbers);
    }
    all.values_mut().for_each(|numbers| numbers.sort());
    let expected = (0..SENDERS).map(|sender| (sender, (0..MESSAGES).collect()));
    assert_eq!(all, expected.collect::<Received>());
}

#[test]
fn several_who_ask_for_the_length_first_lose_nothing() {
    const MANY: usize = 5000;
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    let receive = || {
        let mut received = 0;
        loop {
            match there.recv_into_buf_with_len::<[_; 0]>() {
                Ok((bytes, [])) => received += usize::from(!bytes.is_empty()),
                Err(Error::EndOfFile) => return received,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let received: usize = thread::scope(|scope| {
        let receivers = [(); 3].map(|()| scope.spawn(receive));
        for number in 0..MANY {
            here.send_slice_with_len(&vec![7; 1 + number % 50], &[]).unwrap();
        }
        drop(here);
        receivers.into_iter().map(|receiver| receiver.join().unwrap()).sum()
    });
    assert_eq!(received, MANY);
}

#[test]
fn four_threads_send_and_two_receive_and_nothing_is_mixed_or_lost() {
    let _watchdog = Watchdog::new();
    let (here, there) = Socket::pair().unwrap();
    let files = files(SENDERS);
    let which = identities(&files);
    let receive = |there: &Socket| {
        let (mut received, mut buffer) = (Received::new(), vec![0; 200_000]);
        loop {
            match there.recv_slice::<[OwnedFd; 1]>(&mut buffer) {
                Ok((length, [fd])) => note(&mut received, &buffer[..length], &fd, &which),
                Err(Error::EndOfFile) => return received,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    let copy = there.try_clone().unwrap();
    thread::scope(|scope| {
        let receivers = [&there, &copy].map(|there| scope.spawn(move || receive(there)));
        let here = here;
        thread::scope(|scope| {
            for (sender, file) in files.iter().enumerate() {
                let here = &here;
                scope.spawn(move || {
                    for number in 0..MESSAGES {
                        here.send_slice(&message(sender, number), &[file.as_fd()]).unwrap();
                    }
                });
            }
        });
        drop(here);
        assert_all(receivers.map(|receiver| receiver.join().unwrap()));
    });
}

#[cfg(feature = "tokio")]
pub(crate) use for_tokio::waits;

#[cfg(feature = "tokio")]
mod for_tokio {
    use std::{io, sync::Arc};

    use local_socket::tokio::Socket;
    use rustix::fs::{OFlags, fcntl_getfl};
    use tokio::{runtime::Builder, spawn, task::JoinSet, task::yield_now};

    use super::*;
    use crate::{
        both::run,
        rig::{Peer, say},
    };

    #[test]
    fn four_tasks_send_and_two_receive_and_nothing_is_mixed_or_lost() {
        let _watchdog = Watchdog::new();
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let (here, there) = Socket::pair().unwrap();
            let (here, there) = (Arc::new(here), Arc::new(there));
            let files = Arc::new(files(SENDERS));
            let receivers = [(); 2].map(|()| {
                let (there, which) = (Arc::clone(&there), identities(&files));
                spawn(async move {
                    let (mut received, mut buffer) = (Received::new(), vec![0; 200_000]);
                    loop {
                        match there.recv_slice::<[OwnedFd; 1]>(&mut buffer).await {
                            Ok((length, [fd])) => note(&mut received, &buffer[..length], &fd, &which),
                            Err(Error::EndOfFile) => return received,
                            Err(error) => panic!("{error:?}"),
                        }
                    }
                })
            });
            let mut senders = JoinSet::new();
            for sender in 0..SENDERS {
                let (here, files) = (Arc::clone(&here), Arc::clone(&files));
                senders.spawn(async move {
                    for number in 0..MESSAGES {
                        here.send_slice(&message(sender, number), &[files[sender].as_fd()]).await.unwrap();
                    }
                });
            }
            senders.join_all().await;
            drop(here);
            let [one, other] = receivers;
            assert_all([one.await.unwrap(), other.await.unwrap()]);
        });
    }

    const TASKS: usize = 50;

    async fn all_wait<T: 'static>(tasks: &mut JoinSet<T>) {
        for _ in 0..10 {
            yield_now().await;
        }
        assert!(tasks.try_join_next().is_none());
    }

    #[test]
    fn all_tasks_that_wait_at_one_socket_wake() {
        run(async {
            let (here, there) = Socket::pair().unwrap();
            let there = Arc::new(there);
            let receivers = || {
                let mut tasks = JoinSet::new();
                for _ in 0..TASKS {
                    let there = Arc::clone(&there);
                    tasks.spawn(async move { there.recv_slice::<[_; 0]>(&mut [0; 8]).await });
                }
                tasks
            };
            // For messages.
            let mut tasks = receivers();
            all_wait(&mut tasks).await;
            for _ in 0..TASKS {
                here.send_slice(b"x", &[]).await.unwrap();
            }
            tasks.join_all().await.into_iter().for_each(|result| assert_eq!(result.unwrap().0, 1));
            // For room.
            let sent = crate::cancelled::fill(&there).await;
            let mut senders = JoinSet::new();
            for _ in 0..TASKS {
                let there = Arc::clone(&there);
                senders.spawn(async move { there.send_slice(b"", &[]).await });
            }
            all_wait(&mut senders).await;
            for _ in 0..sent + TASKS {
                here.recv_vec::<[_; 0]>(4096).await.unwrap();
            }
            senders.join_all().await.into_iter().for_each(|result| result.unwrap());
            // For the end.
            let mut tasks = receivers();
            all_wait(&mut tasks).await;
            drop(here);
            let ended = |result: &Result<_, _>| matches!(result, Err(Error::EndOfFile));
            assert!(tasks.join_all().await.iter().all(ended));
        });
    }

    /// In a process of its own, with a copy of a socket that the runtime of another has.
    pub(crate) fn waits() {
        let copy = io::stdin().as_fd().try_clone_to_owned().unwrap();
        let socket = local_socket::Socket::try_from(copy).unwrap();
        say(fcntl_getfl(&socket).unwrap().contains(OFlags::NONBLOCK));
        assert_eq!(socket.recv_vec::<[_; 0]>(64).unwrap().0, b"to either");
        socket.send_slice(b"from either", &[]).unwrap();
    }

    #[test]
    fn a_process_without_a_runtime_waits_at_a_copy_of_the_same_socket() {
        run(async {
            let (here, there) = Socket::pair().unwrap();
            for socket in [&here, &there] {
                let copy = socket.as_fd().try_clone_to_owned().unwrap();
                let program = std::env::current_exe().unwrap();
                let mut peer = Peer::start_with(&program, "waits", &[], |command| {
                    command.stdin(copy);
                });
                assert_eq!(peer.line(), "false");
                let other = if std::ptr::eq(socket, &here) { &there } else { &here };
                other.send_slice(b"to either", &[]).await.unwrap();
                assert_eq!(other.recv_vec::<[_; 0]>(64).await.unwrap().0, b"from either");
                peer.succeeds();
            }
        });
    }
}
