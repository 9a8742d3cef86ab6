//! Ours: the two halves of an `Interface`.

use std::{
    io::{Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::PathBuf,
};

use memenpsf::{Element, Interface, Listener, Options, RecvError, RecvHalf, Role, Wait, XmitErrorKind, XmitHalf};
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::{
    scratch,
    system::{Abilities, BetweenProcesses, Gone, Meeting, Receiver, Sender, Shape, Side, System, Waiting, Words},
};

/// Messages of more words than this are written in the ring, and copied out to where they stay. The calls that wait
/// hand them over by value, so their ends wait as an event loop does.
const LARGE: usize = 512;

/// Messages of fewer words than this are copied out many at a time, others one by one.
const SMALL: usize = 4;

pub struct Memenpsf;

impl System for Memenpsf {
    const NAME: &'static str = "memenpsf";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: false, notices_death: true, largest: 1 << 30 };
}

impl BetweenProcesses for Memenpsf {
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let role = match side {
            Side::Near => Role::Client,
            Side::Far => Role::Server,
        };
        ends(Interface::with_options(stream, role, &options(shape)).expect("an interface"))
    }
}

fn options(shape: Shape) -> Options {
    let wait = match shape.waiting {
        Waiting::Usual => Wait::Adaptive,
        Waiting::Spin => Wait::Spin,
        Waiting::Sleep => Wait::Sleep,
    };
    Options::new().capacity(shape.capacity).wait(wait)
}

fn ends<const N: usize>(interface: Interface<Words<N>>) -> (XmitHalf<Words<N>>, In<N>)
where
    Words<N>: Element,
{
    let (xmit, recv) = interface.split();
    (xmit, In { recv, large: vec![0; if N > LARGE { N } else { 0 }], batch: Vec::new() })
}

/// Links that are made under a path, where the far end listens.
pub enum UnderPath {
    Near(PathBuf),
    Far(Listener),
}

impl Meeting for UnderPath {
    const NAME: &'static str = "memenpsf, under a path";

    fn meet(side: Side, mut stream: UnixStream) -> Self {
        let path = scratch::directory().join("listener");
        match side {
            Side::Near => {
                stream.read_exact(&mut [0]).expect("the far end listens");
                Self::Near(path)
            }
            Side::Far => {
                let listener = Listener::bind(path).expect("a listener");
                stream.write_all(b".").expect("the near end is there");
                Self::Far(listener)
            }
        }
    }

    fn link<const N: usize>(&mut self, shape: Shape) -> (impl Sender<N> + use<N>, impl Receiver<N> + use<N>) {
        let interface = match self {
            Self::Near(path) => Interface::connect(&*path, &options(shape)),
            Self::Far(listener) => listener.accept().and_then(|pending| pending.open(&options(shape))),
        };
        ends(interface.expect("an interface"))
    }
}

impl<const N: usize> Sender<N> for XmitHalf<Words<N>>
where
    Words<N>: Element,
{
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        if N > LARGE {
            return Ok(self.try_send_batch(1, |_, message| write(message))? == 1);
        }
        let mut message = [0; N];
        write(&mut message);
        accepted(self.xmit_ref(&message).map_err(|error| error.kind))
    }

    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        if N > LARGE {
            while !self.try_send(&write)? {
                if self.arm() {
                    sleep(self.as_fd());
                    self.disarm();
                }
            }
            return Ok(());
        }
        let mut message = [0; N];
        write(&mut message);
        self.xmit_blocking(message).map_err(|_| Gone)
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let n = most.min(self.capacity() / 2);
        match self.reserve(n) {
            Ok(mut reservation) => {
                let (first, second) = reservation.as_mut_slices();
                let before = first.len();
                first.iter_mut().enumerate().for_each(|(index, message)| write(index, message));
                second.iter_mut().enumerate().for_each(|(index, message)| write(before + index, message));
                reservation.commit(n);
                Ok(n)
            }
            Err(error) => accepted(Err(error.kind)).map(|_| 0),
        }
    }
}

#[inline(always)]
fn accepted(result: Result<(), XmitErrorKind>) -> Result<bool, Gone> {
    match result {
        Ok(()) => Ok(true),
        Err(XmitErrorKind::Full) => Ok(false),
        Err(_) => Err(Gone),
    }
}

/// Sleeps until there is something to be read.
fn sleep(descriptor: BorrowedFd<'_>) {
    match poll(&mut [PollFd::new(descriptor, PollFlags::POLLIN)], PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(errno) => panic!("poll: {errno}"),
    }
}

struct In<const N: usize> {
    recv: RecvHalf<Words<N>>,
    /// One message, if they are large.
    large: Vec<u64>,
    /// Many messages, if they are small.
    batch: Vec<Words<N>>,
}

impl<const N: usize> Receiver<N> for In<N>
where
    Words<N>: Element,
{
    #[inline(always)]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        if N > LARGE {
            let message = self.large.first_chunk_mut().expect("as many words");
            return received(self.recv.recv_into(message)).inspect(|there| {
                if *there {
                    read(message);
                }
            });
        }
        received(self.recv.try_recv().map(|message| read(&message)))
    }

    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        if N > LARGE {
            while !self.try_receive(&mut read)? {
                if self.recv.arm() {
                    sleep(self.recv.as_fd());
                    self.recv.disarm();
                }
            }
            return Ok(());
        }
        self.recv.recv_blocking().map(|message| read(&message)).map_err(|_| Gone)
    }

    #[inline]
    fn try_receive_batch(&mut self, _: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        if N < SMALL {
            self.batch.clear();
            received(self.recv.recv_slice(&mut self.batch).map(drop))?;
            self.batch.iter().for_each(read);
            return Ok(self.batch.len());
        }
        let mut n = 0;
        received(self.recv.drain().map(|messages| {
            messages.for_each(|message| {
                read(&message);
                n += 1;
            });
        }))?;
        Ok(n)
    }
}

#[inline(always)]
fn received(result: Result<(), RecvError>) -> Result<bool, Gone> {
    match result {
        Ok(()) => Ok(true),
        Err(RecvError::Empty) => Ok(false),
        Err(_) => Err(Gone),
    }
}
