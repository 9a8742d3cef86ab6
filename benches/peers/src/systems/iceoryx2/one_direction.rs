//! Links of `iceoryx2` that are made as it makes them, in one direction: a service, a publisher and a subscriber, in
//! nodes that are there. What goes back goes over a socket that is there too.

use std::os::{fd::AsFd, unix::net::UnixStream};

use iceoryx2::service::port_factory::PortFactory;

use super::{Direction, Receiving, Sending};
use crate::{
    system::{Gone, Meeting, Receiver, Sender, Shape, Side, Words, received_awake},
    systems::streams::{self, In, Out},
};

pub struct OneDirection {
    side: Side,
    stream: UnixStream,
    back: UnixStream,
    /// Links that were made.
    links: u32,
}

impl Meeting for OneDirection {
    const NAME: &'static str = "iceoryx2, one direction";

    fn meet(side: Side, stream: UnixStream) -> Self {
        super::NODE.with(|_| {});
        let back = match side {
            Side::Near => {
                let (here, there) = UnixStream::pair().expect("two sockets");
                fdpass::send_fds(&stream, b".", &[there.as_fd()]).expect("the far end is there");
                here
            }
            Side::Far => received_awake(&stream, 1).remove(0).into(),
        };
        back.set_nonblocking(true).expect("a flag");
        Self { side, stream, back, links: 0 }
    }

    fn link<const N: usize>(&mut self, shape: Shape) -> (impl Sender<N> + use<N>, impl Receiver<N> + use<N>) {
        let name = format!("forth-{}", self.links);
        self.links += 1;
        let copy = || self.back.try_clone().expect("a descriptor");
        let (out, back) = streams::ends::<_, _, N>(copy(), copy());
        match self.side {
            Side::Near => {
                let forth = Direction::new(self.side, &name, shape);
                fdpass::send_fds(&self.stream, b".", &[]).expect("the far end is there");
                let sending = forth.sending();
                while forth.messages.dynamic_config().number_of_subscribers() == 0 {}
                sending.connect();
                (End::Forth(sending), End::Back(back))
            }
            Side::Far => {
                received_awake(&self.stream, 0);
                (End::Back(out), End::Forth(Direction::new(self.side, &name, shape).receiving()))
            }
        }
    }
}

/// An end that this link made, or one of the socket that was there.
enum End<F, B> {
    Forth(F),
    Back(B),
}

impl<const N: usize> Sender<N> for End<Sending<N>, Out<UnixStream>> {
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        match self {
            Self::Forth(end) => end.try_send(write),
            Self::Back(end) => end.try_send(write),
        }
    }
}

impl<const N: usize> Receiver<N> for End<Receiving<N>, In<UnixStream, N>> {
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        match self {
            Self::Forth(end) => end.try_receive(read),
            Self::Back(end) => end.try_receive(read),
        }
    }
}
