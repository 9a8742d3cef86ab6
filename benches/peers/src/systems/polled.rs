//! A stream socket whose receiver sleeps in `poll`, as one does who waits for more than one thing, and then takes what
//! is there.

use std::{
    io::{ErrorKind, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
};

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Words};

pub struct PolledSocket;

impl System for PolledSocket {
    const NAME: &'static str = "socket and poll";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: true, largest: 64 };
    const GENERAL: bool = false;
}

impl BetweenProcesses for PolledSocket {
    fn open<const N: usize>(_: Side, stream: UnixStream, _: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let out = stream.try_clone().expect("a descriptor");
        stream.set_nonblocking(true).expect("a flag");
        (Out(out), In(stream))
    }
}

struct Out(UnixStream);

impl<const N: usize> Sender<N> for Out {
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        match self.0.write(bytes(&mut message)) {
            // The kernel takes a message that is so small as a whole or not at all.
            Ok(written) => Ok(written == N * 8),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(Gone),
        }
    }
}

struct In(UnixStream);

impl<const N: usize> Receiver<N> for In {
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        match self.0.read(bytes(&mut message)) {
            Ok(0) => Err(Gone),
            Ok(received) => {
                assert_eq!(received, N * 8, "a message is written as a whole");
                read(&message);
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
            Err(_) => Err(Gone),
        }
    }

    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        loop {
            match poll(&mut [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
                Ok(_) => {}
                Err(Errno::EINTR) => continue,
                Err(errno) => panic!("poll: {errno}"),
            }
            if self.try_receive(&mut read)? {
                return Ok(());
            }
        }
    }
}

fn bytes<const N: usize>(message: &mut Words<N>) -> &mut [u8] {
    bytemuck::bytes_of_mut(message)
}
