//! For ThreadSanitizer: both halves, as they ship, on two threads over one mapping each way. `docs/testing.md` has the command.
//!
//! Between processes the two ends have mappings of their own, whose accesses it cannot relate; here the peer's memory is at its
//! maker's address. It sees every access to a slot and to a word that is not one opaque block of assembly (`LONG` in `slots.rs`),
//! and what orders them. It does not know fences: `sync::acquire` stands for the one that matters here.

use std::{os::unix::net::UnixStream, sync::Arc, thread};

use crate::{
    Consumer, Element, Producer, RecvError, Wait,
    barrier::Barrier,
    connection::{About, Connection},
    doorbell::Doorbell,
    guard::Guard,
    half::Half,
    segment::{Geometry, Segment},
};

const MESSAGES: usize = 20_000;
const CAPACITY: u64 = 16;
/// Positions that wrap soon.
const START: u64 = u64::MAX - 1000;

fn connection(own: &Segment, peer: &Segment, stream: &UnixStream) -> Arc<Connection> {
    let credentials = fdpass::peer_credentials(stream).expect("a socket");
    let about = About { name: String::new(), peer_name: String::new(), peer_credentials: credentials };
    let guard = Guard::new().expect("a page");
    Arc::new(Connection::new(own.alias(), peer.alias(), guard, None, about))
}

fn ends<T: Element>() -> (Producer<T>, Consumer<T>) {
    let geometry = |slot_count| Geometry {
        slot_count,
        element_size: size_of::<T>() as u64,
        element_align: align_of::<T>() as u32,
    };
    let (producers, _) = Segment::create(geometry(CAPACITY), "").expect("a segment");
    let (consumers, _) = Segment::create(geometry(0), "").expect("a segment");
    producers.start(crate::layout::Word::Tail, crate::layout::Word::WakeHead, START);
    consumers.start(crate::layout::Word::Head, crate::layout::Word::WakeTail, START);
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let sending = connection(&producers, &consumers, &ours);
    let receiving = connection(&consumers, &producers, &theirs);
    std::mem::forget((producers, consumers));
    let half = Half::new(sending, Doorbell::over(ours), Barrier::Fence, Wait::Adaptive.into(), CAPACITY, START);
    let producer = Producer::from_parts(half);
    let half = Half::new(receiving, Doorbell::over(theirs), Barrier::Fence, Wait::Adaptive.into(), CAPACITY, START);
    (producer, Consumer::from_parts(half))
}

fn element<T: Element>(number: usize) -> T {
    let mut value = T::new_zeroed();
    value.as_mut_bytes().fill(number as u8);
    value
}

fn send<T: Element>(mut producer: Producer<T>) {
    let mut next = 0;
    while next < MESSAGES {
        let batch = 1 + next % 3;
        next += match next % 4 {
            0 => producer.push_blocking(element(next)).map(|()| 1).map_err(drop),
            1 => producer.push_slice(&(0..batch).map(|n| element(next + n)).collect::<Vec<_>>()).map_err(drop),
            2 => producer.push_ref(&element(next)).map(|()| 1).map_err(drop),
            _ => match producer.reserve(batch) {
                Ok(mut reservation) => {
                    reservation.iter_mut().enumerate().for_each(|(n, slot)| *slot = element(next + n));
                    reservation.commit(batch);
                    Ok(batch)
                }
                Err(_) => Err(()),
            },
        }
        .unwrap_or(0);
    }
    producer.finish().expect("a peer");
    std::mem::forget(producer);
}

fn receive<T: Element>(mut consumer: Consumer<T>) {
    let mut all = Vec::new();
    let mut operation = 0;
    loop {
        operation += 1;
        let taken = match operation % 5 {
            0 => consumer.pop_blocking().map(|value| all.push(value)),
            1 => consumer.pop_all(&mut all).map(drop),
            2 => consumer.drain().map(|drain| all.extend(drain.take(2))),
            3 => consumer.peek().map(|peek| {
                all.extend(peek.get(0));
                peek.consume(1);
            }),
            _ => {
                let mut some = [element(0), element(0)];
                consumer.pop_slice(&mut some).map(|n| all.extend(some.into_iter().take(n)))
            }
        };
        match taken {
            Ok(()) | Err(RecvError::Empty) => {}
            Err(RecvError::Finished) => break,
            Err(error) => panic!("{error:?}"),
        }
    }
    for (number, value) in all.iter().enumerate() {
        assert!(value.as_bytes() == element::<T>(number).as_bytes(), "not number {number}, or not whole");
    }
    assert!(all.len() >= MESSAGES);
    std::mem::forget(consumer);
}

fn exchange<T: Element>() {
    let (producer, consumer) = ends::<T>();
    let sender = thread::spawn(move || send(producer));
    receive(consumer);
    sender.join().expect("no panic");
}

#[test]
fn nothing_is_read_while_it_may_be_written() {
    exchange::<u8>();
    exchange::<u64>();
    exchange::<[u64; 3]>();
    exchange::<[u8; 100]>();
}
