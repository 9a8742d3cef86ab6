//! `rtrb` between two threads, as it is and with a pause like ours around it.

use std::hint::spin_loop;

use rtrb::{Consumer, Producer, RingBuffer};

use crate::system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words};

const ABILITIES: Abilities =
    Abilities { blocks: false, batches: true, lends: false, notices_death: false, largest: 1 << 30 };

fn rings<const N: usize>(shape: Shape) -> [(Producer<Words<N>>, Consumer<Words<N>>); 2] {
    let (here_out, there_in) = RingBuffer::new(shape.capacity);
    let (there_out, here_in) = RingBuffer::new(shape.capacity);
    [(here_out, here_in), (there_out, there_in)]
}

pub struct Rtrb;

impl System for Rtrb {
    const NAME: &'static str = "rtrb";
    const ABILITIES: Abilities = ABILITIES;
}

impl BetweenThreads for Rtrb {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        rings(shape)
    }
}

impl<const N: usize> Sender<N> for Producer<Words<N>> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        Ok(self.push(message).is_ok())
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let n = most.min(self.slots());
        let Ok(chunk) = self.write_chunk_uninit(n) else { return Ok(0) };
        let message = |index| {
            let mut message = [0; N];
            write(index, &mut message);
            message
        };
        Ok(chunk.fill_from_iter((0..n).map(message)))
    }
}

impl<const N: usize> Receiver<N> for Consumer<Words<N>> {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        Ok(self.pop().map(|message| read(&message)).is_ok())
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let n = most.min(self.slots());
        let Ok(chunk) = self.read_chunk(n) else { return Ok(0) };
        let (first, second) = chunk.as_slices();
        first.iter().for_each(&mut read);
        second.iter().for_each(&mut read);
        chunk.commit_all();
        Ok(n)
    }
}

/// `rtrb` with the pauses that our ring makes.
pub struct Paced;

impl System for Paced {
    const NAME: &'static str = "rtrb, paced";
    const ABILITIES: Abilities = ABILITIES;
}

impl BetweenThreads for Paced {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        rings(shape)
            .map(|(producer, consumer)| (PacedProducer(producer), PacedConsumer { consumer, pause: 1, found: 2 }))
    }
}

struct PacedProducer<const N: usize>(Producer<Words<N>>);

impl<const N: usize> PacedProducer<N> {
    fn pause_unless(&self, done: bool) {
        if !done {
            (0..16).for_each(|_| spin_loop());
        }
    }
}

impl<const N: usize> Sender<N> for PacedProducer<N> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let done = self.0.try_send(write)?;
        self.pause_unless(done);
        Ok(done)
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let n = self.0.try_send_batch(most, write)?;
        self.pause_unless(n > 0);
        Ok(n)
    }
}

/// Pauses twice as long each time that it found several messages after a pause, and the least after a single one.
struct PacedConsumer<const N: usize> {
    consumer: Consumer<Words<N>>,
    pause: u32,
    /// Messages since the last pause.
    found: u32,
}

impl<const N: usize> PacedConsumer<N> {
    #[inline(always)]
    fn pace(&mut self, n: usize) {
        if n > 0 {
            self.found += n as u32;
            return;
        }
        if self.found > 0 {
            self.pause = if self.found > 1 { (self.pause * 2).min(32) } else { 1 };
            self.found = 0;
        }
        (0..self.pause).for_each(|_| spin_loop());
    }
}

impl<const N: usize> Receiver<N> for PacedConsumer<N> {
    #[inline(always)]
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let done = self.consumer.try_receive(read)?;
        self.pace(usize::from(done));
        Ok(done)
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let n = self.consumer.try_receive_batch(most, read)?;
        self.pace(n);
        Ok(n)
    }
}
