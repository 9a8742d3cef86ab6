//! What is measured: a way of getting messages from one place to another, whoever made it.
//!
//! A system is used here as its own documentation and benchmarks use it at its best. Messages are written and read
//! through closures, so that a system that lends its memory is written in place, and one that copies is given a value
//! on the stack.

use std::{
    marker::PhantomData,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

/// A message: so many 64-bit words, each of which is the message's number when order and content are checked.
pub type Words<const N: usize> = [u64; N];

/// The other end is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

/// The end that sends messages of `N` words.
pub trait Sender<const N: usize> {
    /// Sends one message that `write` fills in whole, if there is room now. `Ok(false)`: there is none, though `write`
    /// may have been called.
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone>;

    /// Sends one message, waiting for room in the system's own blocking way; systems that have none spin.
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        while !self.try_send(&write)? {
            std::hint::spin_loop();
        }
        Ok(())
    }

    /// Sends up to `most` messages in the system's best way of sending many, and returns how many there was room for.
    /// `write` fills in one message, which is the one of that index.
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let _ = most;
        Ok(usize::from(self.try_send(|message| write(0, message))?))
    }
}

/// The end that receives messages of `N` words.
pub trait Receiver<const N: usize> {
    /// Receives one message that `read` reads in whole, if there is one now. `Ok(false)`: there is none, and `read` was
    /// not called.
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone>;

    /// Receives one message, waiting for it in the system's own blocking way; systems that have none spin.
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        while !self.try_receive(&mut read)? {
            std::hint::spin_loop();
        }
        Ok(())
    }

    /// Receives what is there now, up to `most` messages, in the system's best way of receiving many, and returns how
    /// many that were.
    fn try_receive_batch(&mut self, most: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let _ = most;
        Ok(usize::from(self.try_receive(&mut read)?))
    }
}

/// Which end of a link. The near end is the one that measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Near,
    Far,
}

/// What an end is asked to be.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Messages that each direction must hold before its sender has to wait.
    pub capacity: usize,
    /// How `send` and `receive` wait.
    pub waiting: Waiting,
}

/// How `send` and `receive` wait, where the system has a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// The system's default.
    Usual,
    /// Looking for ever: the shortest latency.
    Spin,
    /// Asleep at once: the least CPU.
    Sleep,
}

/// What a system can do, so that it is only asked for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// `send` and `receive` wait without a busy loop.
    pub blocks: bool,
    /// `try_send_batch` and `try_receive_batch` are better than one at a time.
    pub batches: bool,
    /// The receiver reads in the memory that the sender wrote; it is given no copy.
    pub lends: bool,
    /// `receive` returns [`Gone`] when the other process is killed.
    pub notices_death: bool,
    /// The largest message that it carries, in bytes.
    pub largest: usize,
}

/// A way of getting messages from one place to another.
pub trait System: 'static {
    /// As tables and plots call it.
    const NAME: &'static str;
    const ABILITIES: Abilities;
    /// It holds one message, so that there is nothing to see but round trips.
    const ROUND_TRIP_ONLY: bool = false;
    /// It is compared with all others. If not, only where a question names it.
    const GENERAL: bool = true;
}

/// How long an end waits for the other to be made, where the system wants to know.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A system whose ends are in two processes.
pub trait BetweenProcesses: System {
    /// Makes this process's end of a link that goes both ways, and returns when the other end is there too.
    ///
    /// `stream` leads to the process that makes the other end. A system that meets by itself, under a name, sends the
    /// name over it.
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>);
}

/// Two processes that make links one after the other: what each of them makes once, before the first link.
pub trait Meeting: Sized + 'static {
    const NAME: &'static str;

    /// `stream` leads to the other process. Outside of `meet` and `link` it is used for other things, so neither may
    /// leave anything on it.
    fn meet(side: Side, stream: UnixStream) -> Self;

    /// Makes this process's end of a new link that goes both ways. Both processes call it for each.
    fn link<const N: usize>(
        &mut self,
        shape: Shape,
    ) -> (impl Sender<N> + use<Self, N>, impl Receiver<N> + use<Self, N>);
}

/// The meeting of a system that opens a link over a stream: a pair of sockets for each link, one of which is passed on.
pub struct OverPairs<S> {
    side: Side,
    stream: UnixStream,
    system: PhantomData<S>,
}

impl<S: BetweenProcesses> Meeting for OverPairs<S> {
    const NAME: &'static str = S::NAME;

    fn meet(side: Side, stream: UnixStream) -> Self {
        Self { side, stream, system: PhantomData }
    }

    fn link<const N: usize>(&mut self, shape: Shape) -> (impl Sender<N> + use<S, N>, impl Receiver<N> + use<S, N>) {
        let stream = match self.side {
            Side::Near => {
                let (here, there) = UnixStream::pair().expect("two sockets");
                fdpass::send_fds(&self.stream, b".", &[there.as_fd()]).expect("the far end is there");
                here
            }
            Side::Far => received_awake(&self.stream, 1).remove(0).into(),
        };
        S::open(self.side, stream, shape)
    }
}

/// Receives a byte with so many descriptors at most without falling asleep, so that no wake-up is measured but the
/// system's own.
pub fn received_awake(stream: &UnixStream, most: usize) -> Vec<OwnedFd> {
    loop {
        match fdpass::try_recv_fds(stream, &mut [0], most) {
            Err(fdpass::Error::WouldBlock) => {}
            received => return received.expect("the other end is there").fds,
        }
    }
}

/// A system whose ends are in two threads of one process.
pub trait BetweenThreads: System {
    /// Both ends of a link that goes both ways.
    fn pair<const N: usize>(shape: Shape) -> [(impl Sender<N> + Send, impl Receiver<N> + Send); 2];
}
