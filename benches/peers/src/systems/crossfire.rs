//! `crossfire` between two threads: its bounded channels for one sender and one receiver, with blocking ends.

use crossfire::{Rx, TryRecvError, TrySendError, Tx, spsc};

use crate::{
    cores::on_all_cores,
    system::{Abilities, BetweenThreads, Gone, Receiver, Sender, Shape, System, Words},
};

pub struct Crossfire;

impl System for Crossfire {
    const NAME: &'static str = "crossfire";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: false, largest: 1 << 30 };
}

impl BetweenThreads for Crossfire {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        on_all_cores(crossfire::detect_backoff_cfg);
        let (here_out, there_in) = spsc::bounded_blocking(shape.capacity);
        let (there_out, here_in) = spsc::bounded_blocking(shape.capacity);
        [(Out(here_out), In(here_in)), (Out(there_out), In(there_in))]
    }
}

struct Out<const N: usize>(Tx<spsc::Array<Words<N>>>);

impl<const N: usize> Sender<N> for Out<N> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        match self.0.try_send(message) {
            Ok(()) => Ok(true),
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        let mut message = [0; N];
        write(&mut message);
        self.0.send(message).map_err(|_| Gone)
    }
}

struct In<const N: usize>(Rx<spsc::Array<Words<N>>>);

impl<const N: usize> Receiver<N> for In<N> {
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        match self.0.try_recv() {
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
        self.0.recv().map(|message| read(&message)).map_err(|_| Gone)
    }
}
