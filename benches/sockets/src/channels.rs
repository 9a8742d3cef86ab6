//! Typed channels, one in each direction. A value is made for each message, because sending takes it.

use std::{fmt::Display, io};

use ipc_channel::ipc;
use serde::{Serialize, de::DeserializeOwned};
use serde_bytes::ByteBuf;

use crate::{
    contents::number,
    exchange::{self, Exchange},
    plan::{Channels, Kind, Plan},
};

/// Runs a plan between this process and another one. Nanoseconds.
pub fn run(system: Channels, kind: Kind, plan: Plan) -> io::Result<f64> {
    match kind {
        Kind::Number => run_with::<u64>(system, plan),
        Kind::Vector => run_with::<Vec<u8>>(system, plan),
        Kind::Block => run_with::<ByteBuf>(system, plan),
    }
}

fn run_with<V: Value>(system: Channels, plan: Plan) -> io::Result<f64> {
    match system {
        Channels::Ours => between(
            plan,
            || local_socket::channel::<V>().map_err(failed),
            |sender, value| sender.send(value).map_err(failed),
            |receiver| receiver.recv().map_err(failed),
        ),
        Channels::UnixIpc => between(plan, unix_ipc::channel::<V>, unix_ipc::Sender::send, |receiver| receiver.recv()),
        Channels::IpcChannel => between(
            plan,
            ipc::channel::<V>,
            |sender, value| sender.send(value).map_err(failed),
            |receiver| receiver.recv().map_err(failed),
        ),
    }
}

/// Opens a channel there and one back, and runs the plan with them.
fn between<V: Value, S, R>(
    plan: Plan,
    open: impl Fn() -> io::Result<(S, R)>,
    send: impl Fn(&S, V) -> io::Result<()> + Copy,
    receive: impl Fn(&R) -> io::Result<V> + Copy,
) -> io::Result<f64> {
    let end = |sender, receiver| End {
        send: move |number| send(&sender, V::new(number, plan.bytes)),
        receive: move || receive(&receiver).map(|value| value.number(plan.bytes)),
    };
    let (near_sender, far_receiver) = open()?;
    let (far_sender, near_receiver) = open()?;
    exchange::run(plan, end(near_sender, near_receiver), end(far_sender, far_receiver))
}

struct End<S, R> {
    send: S,
    receive: R,
}

impl<S: FnMut(u64) -> io::Result<()>, R: FnMut() -> io::Result<u64>> Exchange for End<S, R> {
    #[inline]
    fn send(&mut self, number: u64) -> io::Result<()> {
        (self.send)(number)
    }

    #[inline]
    fn receive(&mut self) -> io::Result<u64> {
        (self.receive)()
    }
}

/// What goes through a channel.
trait Value: Serialize + DeserializeOwned {
    fn new(number: u64, bytes: usize) -> Self;

    /// Its number. Looks at every byte, and panics if they are not of one message of that length.
    fn number(&self, bytes: usize) -> u64;
}

impl Value for u64 {
    fn new(number: u64, _: usize) -> Self {
        number
    }

    fn number(&self, _: usize) -> u64 {
        *self
    }
}

impl Value for Vec<u8> {
    fn new(number: u64, bytes: usize) -> Self {
        number.to_ne_bytes().repeat(bytes / 8)
    }

    fn number(&self, bytes: usize) -> u64 {
        number(self, bytes)
    }
}

impl Value for ByteBuf {
    fn new(number: u64, bytes: usize) -> Self {
        Self::from(<Vec<u8> as Value>::new(number, bytes))
    }

    fn number(&self, bytes: usize) -> u64 {
        number(self, bytes)
    }
}

fn failed(why: impl Display) -> io::Error {
    io::Error::other(why.to_string())
}
