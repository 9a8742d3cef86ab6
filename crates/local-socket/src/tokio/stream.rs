//! A connection.

use std::{
    io::{self, IoSlice},
    os::fd::{AsFd, BorrowedFd},
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::tokio::{
    io::{AsyncRead, AsyncWrite, Interest, ReadBuf},
    net::UnixStream,
};
use rustix::{
    io::Errno,
    net::{RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, recv, send, sendmsg, shutdown},
};

use super::{RecvHalf, SendHalf};
use crate::{Credentials, ReuniteError, halves, stream::IOV_MAX, wait::uninterrupted};

/// A connection between two processes, as [`crate::Stream`] is one.
///
/// It reads and writes through a shared reference too: one task may read through `&Stream` while another writes. Of two tasks that
/// read at once, or of two that write, only the one that asked last is woken; they need a lock around the stream. `shutdown` of
/// `AsyncWriteExt` says "no more": the peer reads what was written and then the end, and this side goes on reading. `flush` does
/// nothing: what is written is on its way.
///
/// The Unix stream inside can be taken out and put in with `From` and `Into`, a [`crate::Stream`] with `TryFrom` and `TryInto`. What
/// [`crate::Stream`] says about descriptors holds here too.
///
/// # Cancel safety
///
/// One read, one write, and waiting for them is cancel safe: a future that is dropped before it is ready has moved no byte. Of the
/// operations that consist of several, such as `read_exact` and `write_all`, tokio says what is lost.
#[derive(Debug)]
pub struct Stream(UnixStream);

/// What is read at once at most. A socket's buffer holds no more if nobody has changed it.
const MOST: usize = 256 * 1024;

impl Stream {
    /// The error that waits on the socket, if any, and clears it: `SO_ERROR` in socket(7).
    ///
    /// # Errors
    ///
    /// See getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.0.take_error()
    }

    /// Who connected, or who listens: see [`fdpass::peer_credentials`].
    ///
    /// # Errors
    ///
    /// See getsockopt(2).
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        Ok(fdpass::peer_credentials(&self.0)?)
    }

    /// Splits the stream into a half that only reads and one that only writes, for two tasks.
    ///
    /// Dropping a half ends nothing while the other is there; `shutdown` of the [`SendHalf`] does.
    pub fn split(self) -> (RecvHalf, SendHalf) {
        halves::split(self)
    }

    /// Puts the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// The halves of different streams are given back.
    pub fn reunite(rh: RecvHalf, sh: SendHalf) -> Result<Self, ReuniteError<RecvHalf, SendHalf>> {
        halves::reunite(rh, sh)
    }

    /// Makes a call when the socket is ready, until it is one that need not wait.
    fn poll_io(
        &self,
        interest: Interest,
        context: &mut Context<'_>,
        mut call: impl FnMut() -> Result<usize, Errno>,
    ) -> Poll<io::Result<usize>> {
        loop {
            // Two wakers: the reader's and the writer's.
            ready!(match interest.is_readable() {
                true => self.0.poll_read_ready(context),
                false => self.0.poll_write_ready(context),
            })?;
            match self.0.try_io(interest, || Ok(uninterrupted(&mut call)?)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }
}

/// How every write is made: no SIGPIPE, and no waiting.
const HOW: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::DONTWAIT);

impl AsyncRead for &Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let room = buffer.initialize_unfilled_to(buffer.remaining().min(MOST));
        // Which recv(2) would wait for.
        if room.is_empty() {
            return Poll::Ready(Ok(()));
        }
        // A read that leaves room is no sign that the socket is empty: a message with descriptors, which are dropped here, ends a read
        // though more bytes are there, unix(7). No event would tell of them, so only `WouldBlock` makes this wait. `MSG_CTRUNC` of
        // recvmsg(2) tells when that was so, and `FIONREAD` whether bytes are there: both cost more than the call that would block.
        let bytes = ready!(self.poll_io(Interest::READABLE, context, || {
            recv(&self.0, &mut *room, RecvFlags::DONTWAIT).map(|(bytes, _)| bytes)
        }))?;
        buffer.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for &Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_io(Interest::WRITABLE, context, || send(&self.0, bytes, HOW))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pieces = &pieces[..pieces.len().min(IOV_MAX)];
        self.poll_io(Interest::WRITABLE, context, || sendmsg(&self.0, pieces, &mut SendAncillaryBuffer::default(), HOW))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(shutdown(&self.0, Shutdown::Write)?))
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl From<UnixStream> for Stream {
    fn from(socket: UnixStream) -> Self {
        Self(socket)
    }
}

impl From<Stream> for UnixStream {
    fn from(stream: Stream) -> Self {
        stream.0
    }
}

impl TryFrom<crate::Stream> for Stream {
    type Error = io::Error;

    /// The socket is nonblocking from here on, and the stream's timeouts are forgotten.
    ///
    /// # Errors
    ///
    /// See epoll_ctl(2). The stream is dropped then.
    ///
    /// # Panics
    ///
    /// Outside of a runtime with I/O.
    fn try_from(stream: crate::Stream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(stream.into())?))
    }
}

impl TryFrom<Stream> for crate::Stream {
    type Error = io::Error;

    /// A stream that blocks.
    ///
    /// # Errors
    ///
    /// See epoll_ctl(2). The stream is dropped then.
    fn try_from(stream: Stream) -> io::Result<Self> {
        let stream = Self::from(stream.0.into_std()?);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }
}
