//! Many tasks at one channel, and channels without room.

use std::{collections::HashMap, sync::Arc};

use local_socket::{
    Error,
    tokio::{RawReceiver, channel},
};
use tokio::task::{JoinSet, yield_now};

use crate::{full, held, rig::Watchdog, runtimes};

const SENDERS: u32 = 8;
const EACH: u32 = 400;

#[test]
fn many_tasks_send_and_many_receive_and_nothing_is_lost_doubled_or_out_of_order() {
    held();
    for receivers in [1, 5] {
        for runtime in runtimes() {
            let _watchdog = Watchdog::new();
            runtime.block_on(async {
                let (sender, receiver) = channel::<(u32, u32, Vec<u8>)>().unwrap();
                let mut senders = JoinSet::new();
                for who in 0..SENDERS {
                    let sender = sender.clone();
                    senders.spawn(async move {
                        for number in 0..EACH {
                            // Some fill the channel alone, so that everybody has to wait now and then.
                            let size = if number % 50 == 0 { 100_000 } else { 1000 };
                            sender.send((who, number, vec![who as u8; size])).await.unwrap();
                        }
                    });
                }
                drop(sender);
                let receiver = Arc::new(receiver);
                let mut all = JoinSet::new();
                for _ in 0..receivers {
                    let receiver = Arc::clone(&receiver);
                    all.spawn(async move {
                        let mut numbers: HashMap<u32, Vec<u32>> = HashMap::new();
                        loop {
                            match receiver.recv().await {
                                Ok((who, number, bytes)) => {
                                    assert!(bytes.iter().all(|byte| u32::from(*byte) == who), "messages do not mix");
                                    numbers.entry(who).or_default().push(number);
                                }
                                Err(Error::EndOfFile) => return numbers,
                                Err(other) => panic!("{other}"),
                            }
                        }
                    });
                }
                let mut received: HashMap<u32, Vec<u32>> = HashMap::new();
                for numbers in all.join_all().await {
                    for (who, mut numbers) in numbers {
                        assert!(numbers.is_sorted(), "of one sender, to one receiver");
                        received.entry(who).or_default().append(&mut numbers);
                    }
                }
                senders.join_all().await;
                for numbers in received.values_mut() {
                    numbers.sort_unstable();
                    assert!(numbers.iter().copied().eq(0..EACH), "each of them once");
                }
                assert_eq!(received.len(), SENDERS as usize);
            });
        }
    }
}

#[test]
fn all_who_wait_for_room_are_woken_when_there_is_some() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let (sender, receiver, count) = full(|| vec![0; 10_000]);
            let mut waiting = JoinSet::new();
            for number in 1..=20 {
                let sender = sender.clone();
                waiting.spawn(async move { sender.send(vec![number; 10_000]).await.unwrap() });
            }
            yield_now().await;
            assert!(waiting.try_join_next().is_none(), "there is no room");
            let mut came = Vec::new();
            for _ in 0..count + 20 {
                came.push(receiver.recv().await.unwrap()[0]);
            }
            came.sort_unstable();
            assert!(came[..count].iter().all(|number| *number == 0) && came[count..].iter().copied().eq(1..=20));
            waiting.join_all().await;
        });
    }
}

#[test]
fn all_who_wait_for_a_message_are_woken_one_for_each_and_the_others_by_the_end() {
    held();
    for runtime in runtimes() {
        let _watchdog = Watchdog::new();
        runtime.block_on(async {
            let (sender, receiver) = channel::<u32>().unwrap();
            let receiver = Arc::new(receiver);
            let mut waiting = JoinSet::new();
            for _ in 0..20 {
                let receiver = Arc::clone(&receiver);
                waiting.spawn(async move { receiver.recv().await });
            }
            yield_now().await;
            for number in 0..15 {
                sender.send(number).await.unwrap();
            }
            drop(sender);
            let (mut numbers, ends): (Vec<_>, Vec<_>) = waiting.join_all().await.into_iter().partition(Result::is_ok);
            assert!(ends.iter().all(|end| matches!(end, Err(Error::EndOfFile))), "{ends:?}");
            numbers.sort_by_key(|number| *number.as_ref().unwrap());
            assert!(numbers.iter().map(|number| *number.as_ref().unwrap()).eq(0..15), "each of them once");
        });
    }
}

#[tokio::test]
async fn who_waits_for_room_is_told_when_the_receiver_goes_and_gets_the_value_back() {
    let _watchdog = Watchdog::new();
    let (sender, receiver, _) = full(|| vec![0; 10_000]);
    let waiting = tokio::spawn(async move { sender.send(vec![1; 5]).await });
    yield_now().await;
    drop(receiver);
    let refused = waiting.await.unwrap().unwrap_err();
    assert!(matches!(refused.error, Error::Closed), "{refused:?}");
    assert_eq!(refused.value, [1; 5]);
}

#[tokio::test]
async fn a_receiver_is_not_kept_from_the_end_by_a_clone_that_was_turned_into_another_kind() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u32>().unwrap();
    let sync = local_socket::RawSender::try_from(sender.clone().into_raw_sender()).unwrap();
    drop(sender);
    let receiver: RawReceiver = receiver.into_raw_receiver();
    let waiting = tokio::spawn(async move { receiver.recv().await });
    yield_now().await;
    assert!(!waiting.is_finished(), "one sender is left");
    drop(sync);
    assert!(matches!(waiting.await.unwrap(), Err(Error::EndOfFile)));
}
