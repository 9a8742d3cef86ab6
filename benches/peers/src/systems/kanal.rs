//! `kanal` between two threads: bounded channels. Its receiver takes all that is there at once, its sender sends one by
//! one.

use std::{sync::Once, thread};

use kanal::bounded;

use crate::{
    cores::on_all_cores,
    system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words},
};

pub struct Kanal;

impl System for Kanal {
    const NAME: &'static str = "kanal";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: false, notices_death: false, largest: 1 << 30 };
}

impl BetweenThreads for Kanal {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        static COUNTED: Once = Once::new();
        COUNTED.call_once(|| on_all_cores(count_cores));
        let (here_out, there_in) = bounded(shape.capacity);
        let (there_out, here_in) = bounded(shape.capacity);
        let [here_in, there_in] = [here_in, there_in].map(|channel| In { channel, batch: Vec::new() });
        [(Out(here_out), here_in), (Out(there_out), there_in)]
    }
}

/// Lets it count the cores: it does so once, when two threads first meet at a channel's lock, and yields instead of
/// spinning for ever after if it finds only one.
fn count_cores() {
    let (_sender, receiver) = bounded::<()>(1);
    let look = || (0..100_000).for_each(|_| assert_eq!(receiver.try_recv(), Ok(None)));
    thread::scope(|scope| {
        scope.spawn(look);
        look();
    });
}

struct Out<const N: usize>(kanal::Sender<Words<N>>);

impl<const N: usize> Sender<N> for Out<N> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        self.0.try_send(message).map_err(|_| Gone)
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        let mut message = [0; N];
        write(&mut message);
        self.0.send(message).map_err(|_| Gone)
    }
}

struct In<const N: usize> {
    channel: kanal::Receiver<Words<N>>,
    batch: Vec<Words<N>>,
}

impl<const N: usize> Receiver<N> for In<N> {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let message = self.channel.try_recv().map_err(|_| Gone)?;
        Ok(message.map(|message| read(&message)).is_some())
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        self.channel.recv().map(|message| read(&message)).map_err(|_| Gone)
    }

    #[inline]
    fn try_receive_batch(&mut self, _: usize, read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        self.batch.clear();
        let n = self.channel.drain_into(&mut self.batch).map_err(|_| Gone)?;
        self.batch.iter().for_each(read);
        Ok(n)
    }
}
