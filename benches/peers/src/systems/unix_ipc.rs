//! `unix-ipc`: a raw channel, which is a Unix stream socket, in each direction.
//!
//! The typed channel would only add serialisation to it. A message is two writes and two reads, its length and its
//! bytes, and arrives in memory that is allocated for it. `send` waits for room, and so does `try_send`, because the
//! crate has no other. There is no way of sending many at once.

use std::{
    io::{Read, Write},
    os::{
        fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd},
        unix::net::UnixStream,
    },
};

use unix_ipc::{RawReceiver, RawSender, raw_channel};

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Waiting, Words};

pub struct UnixIpc;

impl System for UnixIpc {
    const NAME: &'static str = "unix-ipc";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: true, largest: u32::MAX as usize };
}

impl BetweenProcesses for UnixIpc {
    fn open<const N: usize>(side: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let (sender, receiver) = match side {
            Side::Near => {
                let (sender, theirs_to_receive) = raw_channel().expect("a channel forth");
                let (theirs_to_send, receiver) = raw_channel().expect("a channel back");
                let theirs = [theirs_to_send.as_raw_fd(), theirs_to_receive.as_raw_fd()];
                // SAFETY: the ends that go to the other process are open until they were sent.
                let theirs = theirs.map(|fd| unsafe { BorrowedFd::borrow_raw(fd) });
                fdpass::send_fds(&stream, b"c", &theirs).expect("ends sent");
                stream.read_exact(&mut [0]).expect("the other end is there");
                (sender, receiver)
            }
            Side::Far => {
                let fds = fdpass::recv_fds(&stream, &mut [0], 2).expect("ends received").fds;
                let mut fds = fds.into_iter().map(IntoRawFd::into_raw_fd);
                let (sender, receiver) = (fds.next().expect("two ends"), fds.next().expect("two ends"));
                stream.write_all(&[0]).expect("the other end waits");
                // SAFETY: both were received as a channel's end just now, and belong to nobody else.
                unsafe { (RawSender::from_raw_fd(sender), RawReceiver::from_raw_fd(receiver)) }
            }
        };
        let spins = shape.waiting == Waiting::Spin;
        (Sending { channel: sender, message: vec![0; N] }, Receiving { channel: receiver, spins })
    }
}

struct Sending<const N: usize> {
    channel: RawSender,
    message: Vec<u64>,
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        write(self.message.first_chunk_mut().expect("room for one"));
        match self.channel.send(bytemuck::cast_slice(&self.message), &[]) {
            Ok(_) => Ok(true),
            Err(_) => Err(Gone),
        }
    }
}

struct Receiving {
    channel: RawReceiver,
    spins: bool,
}

impl<const N: usize> Receiver<N> for Receiving {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        match self.channel.try_recv() {
            Ok(received) => Ok(received.map(|(message, _)| read(bytemuck::from_bytes(&message))).is_some()),
            Err(_) => Err(Gone),
        }
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        if !self.spins {
            let (message, _) = self.channel.recv().map_err(|_| Gone)?;
            read(bytemuck::from_bytes(&message));
            return Ok(());
        }
        while !self.try_receive(&mut read)? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
