//! `crossbeam-channel` between two threads: bounded channels.

use crossbeam_channel::{TryRecvError, TrySendError, bounded};

use crate::system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words};

pub struct Crossbeam;

impl System for Crossbeam {
    const NAME: &'static str = "crossbeam-channel";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: false, largest: 1 << 30 };
}

impl BetweenThreads for Crossbeam {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        let (here_out, there_in) = bounded::<Words<N>>(shape.capacity);
        let (there_out, here_in) = bounded::<Words<N>>(shape.capacity);
        [(here_out, here_in), (there_out, there_in)]
    }
}

impl<const N: usize> Sender<N> for crossbeam_channel::Sender<Words<N>> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        match (*self).try_send(message) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        let mut message = [0; N];
        write(&mut message);
        (*self).send(message).map_err(|_| Gone)
    }
}

impl<const N: usize> Receiver<N> for crossbeam_channel::Receiver<Words<N>> {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        match self.try_recv() {
            Ok(message) => {
                read(&message);
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::Disconnected) => Err(Gone),
        }
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        self.recv().map(|message| read(&message)).map_err(|_| Gone)
    }
}
