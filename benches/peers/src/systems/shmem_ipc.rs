//! `shmem-ipc`: one shared ring in each direction, a sealed memfd and two eventfds each.
//!
//! The sender writes in the ring and the receiver reads in it, through pointers to a run of free or filled messages; a
//! batch is one such run. With [`Waiting::Spin`] both ends use the ring below the signals, as the crate provides for
//! those who need no wake-up. Otherwise the sender signals a ring that was empty and the receiver one that was full,
//! whether anybody sleeps or not, and `send` and `receive` sleep at once, in a read of the eventfd. That read does not
//! end when the other process dies.

use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    slice,
};

use shmem_ipc::sharedring;

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Waiting, Words};

pub struct ShmemIpc;

impl System for ShmemIpc {
    const NAME: &'static str = "shmem-ipc";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: true, notices_death: false, largest: usize::MAX };
}

impl BetweenProcesses for ShmemIpc {
    fn open<const N: usize>(side: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let Shape { capacity, waiting } = shape;
        let signals = waiting != Waiting::Spin;
        let (sender, receiver) = match side {
            Side::Near => {
                let sender = sharedring::Sender::new(capacity).expect("a ring to send through");
                let receiver = sharedring::Receiver::new(capacity).expect("a ring to receive from");
                let fds = [
                    sender.memfd().as_file(),
                    sender.empty_signal(),
                    sender.full_signal(),
                    receiver.memfd().as_file(),
                    receiver.empty_signal(),
                    receiver.full_signal(),
                ];
                fdpass::send_fds(&stream, b"r", &fds.map(File::as_fd)).expect("rings sent");
                stream.read_exact(&mut [0]).expect("the other end is there");
                (sender, receiver)
            }
            Side::Far => {
                let fds = fdpass::recv_fds(&stream, &mut [0], 6).expect("rings received").fds;
                let fds: [OwnedFd; 6] = fds.try_into().expect("two rings of three descriptors");
                let [forth, forth_empty, forth_full, back, back_empty, back_full] = fds.map(File::from);
                let receiver = sharedring::Receiver::open(capacity, forth, forth_empty, forth_full);
                let sender = sharedring::Sender::open(capacity, back, back_empty, back_full);
                stream.write_all(&[0]).expect("the other end waits");
                (sender.expect("a ring to send through"), receiver.expect("a ring to receive from"))
            }
        };
        (Sending { ring: sender, signals }, Receiving { ring: receiver, signals })
    }
}

struct Sending<const N: usize> {
    ring: sharedring::Sender<Words<N>>,
    signals: bool,
}

impl<const N: usize> Sending<N> {
    /// Lets `fill` write at the beginning of a run of free messages, and returns how many of them it wrote. It is not
    /// called if the ring is full.
    #[inline]
    fn run(&mut self, fill: impl FnOnce(&mut [Words<N>]) -> usize) -> usize {
        let mut written = 0;
        let fill = |first, count| {
            // SAFETY: the ring hands out `count` free messages from `first` on, any bytes are words, and the other
            // process, which is trusted here, touches no message that is free.
            written = fill(unsafe { slice::from_raw_parts_mut(first, count) });
            written
        };
        let status = if self.signals {
            self.ring.send_raw(fill)
        } else {
            Ok(self.ring.sender_mut().send(fill).expect("a sound ring"))
        };
        status.expect("a sound ring");
        written
    }
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        Ok(self.run(|free| {
            write(&mut free[0]);
            1
        }) == 1)
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        while !self.try_send(&write)? {
            if self.signals {
                self.ring.block_until_writable().expect("a sound ring");
            } else {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        Ok(self.run(|free| {
            let most = most.min(free.len());
            free[..most].iter_mut().enumerate().for_each(|(index, message)| write(index, message));
            most
        }))
    }
}

struct Receiving<const N: usize> {
    ring: sharedring::Receiver<Words<N>>,
    signals: bool,
}

impl<const N: usize> Receiving<N> {
    /// Lets `drain` read at the beginning of a run of filled messages, and returns how many of them it read. It is not
    /// called if the ring is empty.
    #[inline]
    fn run(&mut self, drain: impl FnOnce(&[Words<N>]) -> usize) -> usize {
        let mut read = 0;
        let drain = |first, count| {
            // SAFETY: the ring hands out `count` filled messages from `first` on, and the other process, which is
            // trusted here, touches no message that is filled.
            read = drain(unsafe { slice::from_raw_parts(first, count) });
            read
        };
        let status = if self.signals {
            self.ring.receive_raw(drain)
        } else {
            Ok(self.ring.receiver_mut().recv(drain).expect("a sound ring"))
        };
        status.expect("a sound ring");
        read
    }
}

impl<const N: usize> Receiver<N> for Receiving<N> {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        Ok(self.run(|filled| {
            read(&filled[0]);
            1
        }) == 1)
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        while !self.try_receive(&mut read)? {
            if self.signals {
                self.ring.block_until_readable().expect("a sound ring");
            } else {
                std::hint::spin_loop();
            }
        }
        Ok(())
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        Ok(self.run(|filled| {
            let most = most.min(filled.len());
            filled[..most].iter().for_each(read);
            most
        }))
    }
}
