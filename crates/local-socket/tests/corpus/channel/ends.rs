//! The receivers of every kind, and what they receive.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use local_socket::{Error, Handle, RawReceiver, Receiver, Socket};

use super::{plan::Reader, value::Value};

pub(crate) enum End {
    Raw(RawReceiver),
    Values(Receiver<Value>),
    Units(Receiver<()>),
    Handles(Receiver<Vec<Handle<OwnedFd>>>),
    Socket(Socket, Reader),
}

#[derive(Debug)]
pub(crate) enum Found {
    Bytes(Vec<u8>, Vec<OwnedFd>),
    Unit,
    Handles(Vec<OwnedFd>),
    Value(Value, Vec<OwnedFd>),
}

impl End {
    pub(crate) fn new(reader: Reader, fd: OwnedFd, limit: Option<usize>) -> io::Result<Self> {
        if matches!(reader, Reader::Cbor | Reader::Json | Reader::Postcard | Reader::CborAndOneFd) {
            let socket = Socket::try_from(fd)?;
            socket.set_nonblocking(true)?;
            return Ok(Self::Socket(socket, reader));
        }
        let raw = RawReceiver::try_from(fd)?;
        limit.into_iter().for_each(|bytes| raw.set_limit(bytes));
        Ok(match reader {
            Reader::Units => Self::Units(raw.into()),
            Reader::Handles => Self::Handles(raw.into()),
            Reader::Values => Self::Values(raw.into()),
            _ => Self::Raw(raw),
        })
    }

    /// Never waits.
    pub(crate) fn receive(&self) -> Result<Found, Error> {
        let whole = |(value, fds): (Value, Vec<OwnedFd>)| Found::Value(value, fds);
        match self {
            Self::Raw(receiver) => receiver.try_recv().map(|(bytes, fds)| Found::Bytes(bytes, fds)),
            Self::Values(receiver) => receiver.try_recv().map(|value| Found::Value(value, vec![])),
            Self::Units(receiver) => receiver.try_recv().map(|()| Found::Unit),
            Self::Handles(receiver) => {
                receiver.try_recv().map(|list| Found::Handles(list.into_iter().map(Handle::into_inner).collect()))
            }
            Self::Socket(socket, Reader::Cbor) => socket.recv_cbor().map(whole),
            Self::Socket(socket, Reader::Json) => socket.recv_json().map(whole),
            Self::Socket(socket, Reader::Postcard) => socket.recv_postcard().map(whole),
            Self::Socket(socket, _) => {
                socket.recv_cbor::<_, [OwnedFd; 1]>().map(|(value, fds)| Found::Value(value, fds.into()))
            }
        }
    }

    /// Whether messages have a header.
    pub(crate) fn is_channel(&self) -> bool {
        !matches!(self, Self::Socket(..))
    }
}

impl AsFd for End {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Raw(receiver) => receiver.as_fd(),
            Self::Values(receiver) => receiver.as_fd(),
            Self::Units(receiver) => receiver.as_fd(),
            Self::Handles(receiver) => receiver.as_fd(),
            Self::Socket(socket, _) => socket.as_fd(),
        }
    }
}
