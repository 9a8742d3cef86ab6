//! `ringfire`: one ring of slots in each direction, in a file in shared memory.
//!
//! The producer waits for a registered reader instead of overtaking it, so nothing is lost. Messages are copied into
//! the ring and out of it. One message is received as a batch of one, which copies a large one less often than the call
//! for one does. `receive` copies on the stack, so messages are at most a mebibyte and the stack must have room for a
//! few.
//!
//! The default strategy looks a few times and then sleeps at a futex; a producer that finds no room looks, yields and
//! then sleeps for ten microseconds at a time. A reader waits for a dead producer for ever.

use std::{
    fs, hint,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    process, slice,
    sync::atomic::{AtomicU32, Ordering},
};

use ringfire::{BusySpin, FlowControl, FutexWait, RingConsumer, RingProducer, RingProducerBuilder};

use crate::{
    scratch,
    system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Waiting, Words},
};

pub struct Ringfire;

impl System for Ringfire {
    const NAME: &'static str = "ringfire";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: false, notices_death: false, largest: 1 << 20 };
}

impl BetweenProcesses for Ringfire {
    fn open<const N: usize>(_: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        static RINGS: AtomicU32 = AtomicU32::new(0);
        let own = Place { process: process::id(), ring: RINGS.fetch_add(1, Ordering::Relaxed) };
        let producer = RingProducerBuilder::new(shape.capacity.next_power_of_two() as u64)
            .flow_control(FlowControl::LosslessBackpressure)
            .max_readers(1)
            .build(own.path())
            .expect("a ring to write to");
        stream.write_all(&own.process.to_ne_bytes()).expect("the other end listens");
        stream.write_all(&own.ring.to_ne_bytes()).expect("the other end listens");
        let mut numbers = [[0; 4]; 2];
        stream.read_exact(numbers.as_flattened_mut()).expect("a ring to read from");
        let [process, ring] = numbers.map(u32::from_ne_bytes);
        let consumer = RingConsumer::attach(Place { process, ring }.path()).expect("a ring to read from");
        stream.write_all(&[0]).expect("the other end waits");
        stream.read_exact(&mut [0]).expect("the other end is there");
        // Both processes have it mapped. Without its file, nothing is left of it however they end.
        fs::remove_file(own.path()).expect("a ring's file");
        (
            Sending { producer, room: 0, waiting: shape.waiting, messages: vec![0; N * at_once::<N>()] },
            Receiving { consumer, waiting: shape.waiting, messages: vec![0; N * at_once::<N>()] },
        )
    }
}

/// Where a ring is until both processes have mapped it.
struct Place {
    /// The process that writes to it.
    process: u32,
    ring: u32,
}

impl Place {
    fn path(&self) -> PathBuf {
        scratch::memory(&format!("{}-{}", self.process, self.ring))
    }
}

/// Messages that are copied at once, so few that they stay in the cache.
const fn at_once<const N: usize>() -> usize {
    let fit = (256 << 10) / size_of::<Words<N>>();
    if fit == 0 { 1 } else { fit }
}

struct Sending<const N: usize> {
    producer: RingProducer<Words<N>>,
    /// Messages that there was room for when the producer was asked last, less those sent since.
    room: usize,
    waiting: Waiting,
    messages: Vec<u64>,
}

impl<const N: usize> Sending<N> {
    /// Room for up to `most` messages.
    #[inline]
    fn room(&mut self, most: usize) -> usize {
        if self.room < most {
            self.room = self.producer.headroom() as usize;
        }
        self.room.min(most)
    }
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        if self.room(1) == 0 {
            return Ok(false);
        }
        let message = self.messages.first_chunk_mut().expect("room for one");
        write(message);
        self.producer.push(message);
        self.room -= 1;
        Ok(true)
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        if self.waiting == Waiting::Spin {
            while self.room(1) == 0 {
                hint::spin_loop();
            }
        }
        let message = self.messages.first_chunk_mut().expect("room for one");
        write(message);
        self.producer.push(message);
        self.room = self.room.saturating_sub(1);
        Ok(())
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let most = self.room(most.min(at_once::<N>()));
        let (messages, _) = self.messages.as_chunks_mut();
        let messages = &mut messages[..most];
        messages.iter_mut().enumerate().for_each(|(index, message)| write(index, message));
        self.producer.push_batch(messages);
        self.room -= most;
        Ok(most)
    }
}

struct Receiving<const N: usize> {
    consumer: RingConsumer<Words<N>>,
    waiting: Waiting,
    messages: Vec<u64>,
}

impl<const N: usize> Receiver<N> for Receiving<N> {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let message = self.messages.first_chunk_mut().expect("room for one");
        let received = self.consumer.recv_batch(slice::from_mut(message)) == 1;
        if received {
            read(message);
        }
        Ok(received)
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        read(&match self.waiting {
            Waiting::Spin => self.consumer.recv_blocking(&mut BusySpin),
            Waiting::Usual => self.consumer.recv_blocking(&mut FutexWait::default()),
            Waiting::Sleep => self.consumer.recv_blocking(&mut FutexWait::new(0, None)),
        });
        Ok(())
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let (messages, _) = self.messages.as_chunks_mut();
        let most = most.min(messages.len());
        let received = self.consumer.recv_batch(&mut messages[..most]);
        messages[..received].iter().for_each(read);
        Ok(received)
    }
}
