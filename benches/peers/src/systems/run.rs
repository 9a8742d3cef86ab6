//! `Interface::run`, and what it replaces: channels at both ends of a link.

use std::{
    os::unix::net::UnixStream,
    sync::Arc,
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver as Channel, Sender as ChannelSender, bounded};
use memenpsf::{Interface, Role};

use crate::system::{Abilities, BetweenProcesses, BetweenThreads, Gone, Receiver, Sender, Shape, Side, System, Words};

const ABILITIES: Abilities = Abilities { blocks: true, batches: false, lends: false, notices_death: true, largest: 64 };

/// A run loop in each process, between the link and two channels.
pub struct Run;

impl System for Run {
    const NAME: &'static str = "memenpsf, run";
    const ABILITIES: Abilities = ABILITIES;
    const GENERAL: bool = false;
}

impl BetweenProcesses for Run {
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let role = match side {
            Side::Near => Role::Client,
            Side::Far => Role::Server,
        };
        let (sender, to_transmit) = bounded::<Words<N>>(shape.capacity);
        let (received, receiver) = bounded(shape.capacity);
        let run = move || {
            let report = Interface::run("", shape.capacity, role, stream, to_transmit, received);
            report.expect("a run loop");
        };
        let looping = Arc::new(Loop(Some(thread::spawn(run))));
        (Out { channel: sender, _loop: Arc::clone(&looping) }, In { channel: receiver, _loop: looping })
    }
}

/// The thread of a run loop, which ends when all ends of both channels are dropped, here and in the other process.
struct Loop(Option<JoinHandle<()>>);

impl Drop for Loop {
    fn drop(&mut self) {
        let ended = self.0.take().expect("there until the drop").join();
        assert!(ended.is_ok() || thread::panicking(), "the run loop failed");
    }
}

struct Out<const N: usize> {
    channel: ChannelSender<Words<N>>,
    /// Dropped behind the channel.
    _loop: Arc<Loop>,
}

impl<const N: usize> Sender<N> for Out<N> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        Sender::try_send(&mut self.channel, write)
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        Sender::send(&mut self.channel, write)
    }
}

struct In<const N: usize> {
    channel: Channel<Words<N>>,
    /// Dropped behind the channel.
    _loop: Arc<Loop>,
}

impl<const N: usize> Receiver<N> for In<N> {
    #[inline(always)]
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        self.channel.try_receive(read)
    }

    #[inline]
    fn receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        self.channel.receive(read)
    }
}

/// Two channels in each direction, and a thread that takes from the one and gives to the other.
pub struct ChannelsInARow;

impl System for ChannelsInARow {
    const NAME: &'static str = "two crossbeam-channels in a row";
    const ABILITIES: Abilities = Abilities { notices_death: false, ..ABILITIES };
    const GENERAL: bool = false;
}

impl BetweenThreads for ChannelsInARow {
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2] {
        let (here_out, there_in) = in_a_row::<N>(shape.capacity);
        let (there_out, here_in) = in_a_row::<N>(shape.capacity);
        [(here_out, here_in), (there_out, there_in)]
    }
}

/// The ends of two channels between which a thread forwards until one of the ends is dropped.
fn in_a_row<const N: usize>(capacity: usize) -> (ChannelSender<Words<N>>, Channel<Words<N>>) {
    let (sender, first) = bounded(capacity);
    let (second, receiver) = bounded(capacity);
    thread::spawn(move || first.iter().try_for_each(|message| second.send(message)));
    (sender, receiver)
}
