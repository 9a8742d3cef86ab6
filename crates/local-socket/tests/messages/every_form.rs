//! Every form of receiving bytes, as one function.
#![allow(unsafe_code, reason = "structs with padding are sent and received by unsafe calls")]

use std::{
    io::IoSliceMut,
    os::fd::BorrowedFd,
    task::{Context, Poll, Waker},
};

use local_socket::{Attached, Error};
use zerocopy::IntoBytes;

use crate::both::Form;

/// The length of the structs here.
pub(crate) const STRUCT: usize = 11;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Receiving {
    Slice,
    Iovec,
    IntoBuf,
    Vec,
    SliceWithLen,
    IntoBufWithLen,
    Struct,
    StructRaw,
}

use Receiving::*;

/// Those whose room is an argument.
pub(crate) const WITH_ROOM: [Receiving; 5] = [Slice, Iovec, IntoBuf, Vec, SliceWithLen];
/// Those that make their own.
pub(crate) const WITHOUT_ROOM: [Receiving; 3] = [IntoBufWithLen, Struct, StructRaw];

pub(crate) fn every_form() -> impl Iterator<Item = Receiving> + Clone {
    WITH_ROOM.into_iter().chain(WITHOUT_ROOM)
}

impl Receiving {
    pub(crate) fn has_prefix(self) -> bool {
        matches!(self, SliceWithLen | IntoBufWithLen)
    }

    /// How long a message can be, its prefix included, where there are `room` bytes for what it holds.
    pub(crate) fn most(self, room: usize) -> usize {
        match self {
            SliceWithLen => room + 8,
            IntoBufWithLen => usize::MAX,
            Struct | StructRaw => STRUCT,
            _ => room,
        }
    }

    /// Sends a message that this form receives as these bytes.
    pub(crate) async fn send(self, socket: &impl Form, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
        if self.has_prefix() {
            socket.send_slice_with_len(bytes, fds).await
        } else {
            socket.send_slice(bytes, fds).await
        }
    }

    /// Receives one message, into `room` bytes where this form is given room.
    pub(crate) async fn receive<S: Form, A: Attached>(
        self,
        socket: &S,
        room: usize,
    ) -> Result<(std::vec::Vec<u8>, A), Error> {
        let mut buffer = vec![0xaa; room];
        let (length, attached) = match self {
            Slice => socket.recv_slice(&mut buffer).await?,
            Iovec => {
                let (front, back) = buffer.split_at_mut(room / 3);
                let mut buffers = [IoSliceMut::new(front), IoSliceMut::new(&mut []), IoSliceMut::new(back)];
                socket.recv_iovec(&mut buffers).await?
            }
            SliceWithLen => socket.recv_slice_with_len(&mut buffer).await?,
            IntoBuf => return socket.recv_into_buf(room).await,
            Vec => return socket.recv_vec(room).await,
            IntoBufWithLen => return socket.recv_into_buf_with_len().await,
            Struct => {
                let (value, attached): ([u8; STRUCT], _) = socket.recv_struct().await?;
                return Ok((value.as_bytes().to_vec(), attached));
            }
            StructRaw => {
                // SAFETY: any bytes are a value of this type.
                let (value, attached): ([u8; STRUCT], _) = unsafe { socket.recv_struct_raw() }.await?;
                return Ok((value.to_vec(), attached));
            }
        };
        assert!(buffer[length..].iter().all(|byte| *byte == 0xaa), "bytes behind the message");
        buffer.truncate(length);
        Ok((buffer, attached))
    }
}

/// The output of a future that is ready at once, as are all of the socket that waits in the calls themselves.
pub(crate) fn at_once<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future that waits"),
    }
}
