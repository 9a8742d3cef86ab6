//! Many who send at once, and several who receive.

use std::{collections::HashMap, sync::Mutex, thread};

use local_socket::{Error, RawSender, Receiver, Sender, channel};
use serde::{Deserialize, Serialize};

use crate::{inherited, rig::Watchdog, start};

const EACH: u32 = 300;
const LONG: usize = 300 << 10;

#[derive(Debug, Serialize, Deserialize)]
struct Item {
    sender: u32,
    number: u32,
    bytes: Vec<u8>,
}

impl Item {
    /// Short ones and long ones, of bytes that belong to this one alone.
    fn new(sender: u32, number: u32) -> Self {
        let length = if number % 16 == sender % 16 { LONG } else { (number * 37 % 3000) as usize };
        Self { sender, number, bytes: vec![(sender * 31 + number) as u8; length] }
    }

    fn assert_whole(&self) {
        let Self { sender, number, bytes } = self;
        assert!(*bytes == Self::new(*sender, *number).bytes, "{number} of {sender} is not whole");
    }
}

fn send_all(sender: u32, items: &Sender<Item>) {
    for number in 0..EACH {
        items.send(Item::new(sender, number)).unwrap();
    }
}

pub(crate) fn sender(number: u32) {
    send_all(number, &RawSender::try_from(inherited()).unwrap().into());
}

/// Everything until the end, whose order is each sender's own: how many came from each.
fn receive_all(items: &Receiver<Item>) -> HashMap<u32, u32> {
    let (mut next, mut counts) = (HashMap::new(), HashMap::new());
    loop {
        match items.recv() {
            Ok(item) => {
                item.assert_whole();
                let next = next.entry(item.sender).or_insert(0);
                assert!(item.number >= *next, "{} of {} comes too late", item.number, item.sender);
                *next = item.number + 1;
                *counts.entry(item.sender).or_insert(0) += 1;
            }
            Err(Error::EndOfFile) => return counts,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn threads_and_processes_that_send_at_once_lose_nothing_and_mix_nothing() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Item>().unwrap();
    let peers: Vec<_> = (0..2)
        .map(|number| {
            let copy = std::os::fd::AsFd::as_fd(&sender).try_clone_to_owned().unwrap();
            start("crowd", &[&number.to_string()], copy)
        })
        .collect();
    thread::scope(|scope| {
        for number in 2..6 {
            let sender = sender.clone();
            scope.spawn(move || send_all(number, &sender));
        }
        drop(sender);
        assert_eq!(receive_all(&receiver), (0..6).map(|sender| (sender, EACH)).collect());
    });
    peers.into_iter().for_each(crate::rig::Peer::succeeds);
}

#[test]
fn threads_that_share_one_sender_mix_nothing() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Item>().unwrap();
    let receiver = thread::scope(|scope| {
        let receiving = scope.spawn(move || receive_all(&receiver));
        thread::scope(|scope| {
            for number in 0..4 {
                let sender = &sender;
                scope.spawn(move || send_all(number, sender));
            }
        });
        drop(sender);
        receiving.join().unwrap()
    });
    assert_eq!(receiver, (0..4).map(|sender| (sender, EACH)).collect());
}

#[test]
fn each_value_is_received_by_one_of_two_threads() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<Item>().unwrap();
    let together = Mutex::new(HashMap::<u32, u32>::new());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                for (sender, count) in receive_all(&receiver) {
                    *together.lock().unwrap().entry(sender).or_insert(0) += count;
                }
            });
        }
        for number in 0..4 {
            let sender = sender.clone();
            scope.spawn(move || send_all(number, &sender));
        }
        drop(sender);
    });
    assert_eq!(together.into_inner().unwrap(), (0..4).map(|sender| (sender, EACH)).collect());
}
