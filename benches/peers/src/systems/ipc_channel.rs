//! `ipc-channel`: a channel of bytes, which is a Unix seqpacket socket, in each direction.
//!
//! The channel of values would only add serialisation to it. A message that is larger than the socket's buffer goes in
//! fragments, through a socket pair made for it. It arrives in memory that is allocated for it. `send` waits for room,
//! and so does `try_send`, because the crate has no other. There is no way of sending many at once.

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
};

use ipc_channel::{
    TryRecvError,
    ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcSender},
};

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Waiting, Words};

pub struct IpcChannel;

impl System for IpcChannel {
    const NAME: &'static str = "ipc-channel";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: false, lends: false, notices_death: true, largest: usize::MAX };
}

impl BetweenProcesses for IpcChannel {
    fn open<const N: usize>(side: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let (sender, receiver) = match side {
            Side::Near => {
                let (server, name) = IpcOneShotServer::<Ends>::new().expect("a server");
                let length = u8::try_from(name.len()).expect("a short name");
                stream.write_all(&[length]).expect("the other end listens");
                stream.write_all(name.as_bytes()).expect("the other end listens");
                server.accept().expect("the other end calls").1
            }
            Side::Far => {
                let mut length = [0];
                stream.read_exact(&mut length).expect("a name to call");
                let mut name = vec![0; length[0].into()];
                stream.read_exact(&mut name).expect("a name to call");
                let near = IpcSender::<Ends>::connect(String::from_utf8(name).expect("text")).expect("a server");
                let (theirs_to_send, receiver) = ipc::bytes_channel().expect("a channel forth");
                let (sender, theirs_to_receive) = ipc::bytes_channel().expect("a channel back");
                near.send((theirs_to_send, theirs_to_receive)).expect("the other end waits");
                (sender, receiver)
            }
        };
        let spins = shape.waiting == Waiting::Spin;
        (Sending { channel: sender, message: vec![0; N] }, Receiving { channel: receiver, spins })
    }
}

/// What the far end makes for the near one.
type Ends = (IpcBytesSender, IpcBytesReceiver);

struct Sending<const N: usize> {
    channel: IpcBytesSender,
    message: Vec<u64>,
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        write(self.message.first_chunk_mut().expect("room for one"));
        match self.channel.send(bytemuck::cast_slice(&self.message)) {
            Ok(()) => Ok(true),
            Err(_) => Err(Gone),
        }
    }
}

struct Receiving {
    channel: IpcBytesReceiver,
    spins: bool,
}

impl<const N: usize> Receiver<N> for Receiving {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        match self.channel.try_recv() {
            Ok(message) => {
                read(bytemuck::from_bytes(&message));
                Ok(true)
            }
            Err(TryRecvError::Empty) => Ok(false),
            Err(TryRecvError::IpcError(_)) => Err(Gone),
        }
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        if !self.spins {
            let message = self.channel.recv().map_err(|_| Gone)?;
            read(bytemuck::from_bytes(&message));
            return Ok(());
        }
        while !self.try_receive(&mut read)? {
            std::hint::spin_loop();
        }
        Ok(())
    }
}
