//! `ringbuf` between two threads: its `HeapRb`, split in two ends that remember the other's index.

use ringbuf::{
    HeapCons, HeapProd, HeapRb,
    traits::{Consumer, Observer, Producer, Split},
};

use crate::system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words};

pub struct Ringbuf;

impl System for Ringbuf {
    const NAME: &'static str = "ringbuf";
    const ABILITIES: Abilities =
        Abilities { blocks: false, batches: true, lends: false, notices_death: false, largest: 1 << 30 };
}

impl BetweenThreads for Ringbuf {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        let ring = || HeapRb::new(shape.capacity).split();
        let ((here_out, there_in), (there_out, here_in)) = (ring(), ring());
        [(here_out, here_in), (there_out, there_in)]
    }
}

impl<const N: usize> Sender<N> for HeapProd<Words<N>> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        Ok(self.try_push(message).is_ok())
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let message = |index| {
            let mut message = [0; N];
            write(index, &mut message);
            message
        };
        let n = most.min(self.vacant_len());
        Ok(if n > 0 { self.push_iter((0..n).map(message)) } else { 0 })
    }
}

impl<const N: usize> Receiver<N> for HeapCons<Words<N>> {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        Ok(self.try_pop().map(|message| read(&message)).is_some())
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let (first, second) = self.as_slices();
        let n = most.min(first.len() + second.len());
        first.iter().take(n).for_each(&mut read);
        second.iter().take(n.saturating_sub(first.len())).for_each(&mut read);
        Ok(if n > 0 { self.skip(n) } else { 0 })
    }
}
