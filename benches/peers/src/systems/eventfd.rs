//! The least that wakes another process: an eventfd each way, whose count is the message.

use std::{
    fs::File,
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use nix::sys::eventfd::EventFd;

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Words};

pub struct Eventfd;

impl System for Eventfd {
    const NAME: &'static str = "eventfd";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: false, largest: 8 };
    const ROUND_TRIP_ONLY: bool = true;
    const GENERAL: bool = false;
}

/// Added to the number of a message, so that none of those that are used is 0 or `u64::MAX`, which no eventfd takes.
const OFFSET: u64 = 3;

impl BetweenProcesses for Eventfd {
    fn open<const N: usize>(side: Side, stream: UnixStream, _: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let [out, back] = match side {
            Side::Near => {
                let events = [(); 2].map(|()| OwnedFd::from(EventFd::new().expect("an eventfd")));
                fdpass::send_fds(&stream, b"events", &events.each_ref().map(AsFd::as_fd)).expect("a socket");
                events
            }
            Side::Far => {
                let received = fdpass::recv_fds(&stream, &mut [0; 6], 2).expect("two descriptors");
                let [back, out] = <[OwnedFd; 2]>::try_from(received.fds).expect("two descriptors");
                [out, back]
            }
        };
        (Out(out.into()), In(back.into()))
    }
}

struct Out(File);

impl<const N: usize> Sender<N> for Out {
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        let mut message = [0; N];
        write(&mut message);
        let count = message[0].wrapping_add(OFFSET);
        self.0.write_all(&count.to_ne_bytes()).map(|()| true).map_err(|_| Gone)
    }
}

struct In(File);

impl<const N: usize> Receiver<N> for In {
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        let mut count = [0; 8];
        self.0.read_exact(&mut count).map_err(|_| Gone)?;
        read(&[u64::from_ne_bytes(count).wrapping_sub(OFFSET); N]);
        Ok(true)
    }
}
