//! A connection.

use std::{
    io::{self, IoSlice, IoSliceMut, Read, Write},
    net::Shutdown,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use rustix::{
    event::PollFlags,
    net::{RecvAncillaryBuffer, RecvFlags, SendAncillaryBuffer, SendFlags, recv, recvmsg, send, sendmsg},
};

use crate::{
    ConnectOptions, Credentials, Name, RecvHalf, ReuniteError, SendHalf, halves,
    timeout::{Limit, MayWait},
    wait::uninterrupted,
};

/// A connection between two processes: bytes go in at one end and come out at the other as they were written, and nothing else does.
///
/// It reads and writes through a shared reference too, so that one thread can read while another writes. Both directions end when
/// the stream is dropped at either end; what was written before can still be read. A write to a connection whose other end is gone is
/// a `BrokenPipe` error and never a SIGPIPE.
///
/// The Unix stream inside can be taken out and put in with `From` and `Into`.
///
/// # Descriptors
///
/// Descriptors that the peer sends along, unix(7), are closed by the kernel: by the read that comes to them, or when the stream is
/// closed. Closing a TCP socket with `SO_LINGER` in this way, or a file of a FUSE file system, can take as long as the peer likes,
/// whatever the timeouts, also on a nonblocking stream and in an async task. Against peers that may do so, take the Unix stream out:
/// `fdpass::recv_fds` receives descriptors and can refuse them, and `fdpass::hang_up` ends a stream, without lingering.
#[derive(Debug)]
pub struct Stream {
    socket: UnixStream,
    recv_timeout: Limit,
    send_timeout: Limit,
}

/// The most pieces that one call takes, readv(2).
pub(crate) const IOV_MAX: usize = 1024;

impl Stream {
    /// Connects to the server of this name and waits until it has room for one more client: [`ConnectOptions`] as they come.
    ///
    /// # Errors
    ///
    /// `NotFound` or `ConnectionRefused` where nobody listens; `PermissionDenied`; see connect(2).
    pub fn connect(name: Name) -> io::Result<Self> {
        ConnectOptions::new(name).connect_sync()
    }

    /// Lets reads and writes answer `WouldBlock` instead of waiting. The setting is shared by all copies of the socket, also those in
    /// other processes.
    ///
    /// # Errors
    ///
    /// See ioctl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// How long a read waits for something to read, before it ends with `TimedOut`; `None`, as at first, for as long as it takes.
    ///
    /// Each call has the whole time, and signals do not lengthen it. The timeout belongs to this stream, not to the socket, so that calls
    /// of other crates, `fdpass` for example, do not heed it; a
    /// [clone](Self::try_clone) takes it over and then has its own, and the `UnixStream` inside knows nothing of it. A nonblocking
    /// stream waits for nothing, whatever its timeouts.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_recv_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.recv_timeout.set(timeout)
    }

    /// How long a write waits for room, otherwise as [`set_recv_timeout`](Self::set_recv_timeout). A write that has put some bytes in
    /// by then returns how many.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a timeout of zero.
    pub fn set_send_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.send_timeout.set(timeout)
    }

    /// Ends one direction or both, for all copies of this end. The peer reads what was written and then the end; see shutdown(2).
    ///
    /// # Errors
    ///
    /// See shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Another handle of the same connection, which ends when all of them are dropped.
    ///
    /// # Errors
    ///
    /// When the process has no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            socket: self.socket.try_clone()?,
            recv_timeout: self.recv_timeout.clone(),
            send_timeout: self.send_timeout.clone(),
        })
    }

    /// The error that waits on the socket, if any, and clears it: `SO_ERROR` in socket(7).
    ///
    /// # Errors
    ///
    /// See getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Who connected, or who listens: see [`fdpass::peer_credentials`].
    ///
    /// # Errors
    ///
    /// See getsockopt(2).
    pub fn peer_credentials(&self) -> io::Result<Credentials> {
        Ok(fdpass::peer_credentials(&self.socket)?)
    }

    /// Splits the stream into a half that only reads and one that only writes.
    ///
    /// Dropping a half ends nothing while the other is there; [`SendHalf::shutdown`] does.
    pub fn split(self) -> (RecvHalf, SendHalf) {
        halves::split(self)
    }

    /// Puts the two halves of a stream together again.
    ///
    /// # Errors
    ///
    /// The halves of different streams are given back.
    pub fn reunite(rh: RecvHalf, sh: SendHalf) -> Result<Self, ReuniteError> {
        halves::reunite(rh, sh)
    }

    fn keep_recv<T>(&self, mut call: impl FnMut(RecvFlags) -> Result<T, rustix::io::Errno>) -> io::Result<T> {
        self.recv_timeout.keep(self.as_fd(), PollFlags::IN, |may_wait| {
            uninterrupted(|| call(if may_wait == MayWait::Yes { RecvFlags::empty() } else { RecvFlags::DONTWAIT }))
        })
    }

    fn keep_send<T>(&self, mut call: impl FnMut(SendFlags) -> Result<T, rustix::io::Errno>) -> io::Result<T> {
        self.send_timeout.keep(self.as_fd(), PollFlags::OUT, |may_wait| {
            let dont_wait = if may_wait == MayWait::Yes { SendFlags::empty() } else { SendFlags::DONTWAIT };
            uninterrupted(|| call(SendFlags::NOSIGNAL | dont_wait))
        })
    }
}

/// A signal does not end a read.
impl Read for &Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Which recv(2) would wait for, other than read(2).
        if buffer.is_empty() {
            return Ok(0);
        }
        self.keep_recv(|flags| recv(&self.socket, &mut *buffer, flags).map(|(length, _)| length))
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let count = buffers.len().min(IOV_MAX);
        let buffers = &mut buffers[..count];
        if buffers.iter().all(|buffer| buffer.is_empty()) {
            return Ok(0);
        }
        self.keep_recv(|flags| {
            recvmsg(&self.socket, buffers, &mut RecvAncillaryBuffer::default(), flags).map(|message| message.bytes)
        })
    }
}

/// A signal does not end a write. Flushing does nothing: what is written is on its way.
impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.keep_send(|flags| send(&self.socket, bytes, flags))
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let pieces = &pieces[..pieces.len().min(IOV_MAX)];
        self.keep_send(|flags| sendmsg(&self.socket, pieces, &mut SendAncillaryBuffer::default(), flags))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl From<UnixStream> for Stream {
    /// A timeout that the socket itself has stays in force, and ends a call with `WouldBlock`.
    fn from(socket: UnixStream) -> Self {
        Self { socket, recv_timeout: Limit::default(), send_timeout: Limit::default() }
    }
}

impl From<Stream> for UnixStream {
    fn from(stream: Stream) -> Self {
        stream.socket
    }
}

impl From<Stream> for OwnedFd {
    fn from(stream: Stream) -> Self {
        stream.socket.into()
    }
}
