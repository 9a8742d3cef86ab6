//! One end of a connection, synchronous or not: the measures are written once for both.

use std::{
    future::Future,
    io::{self, Read, Write},
    pin::pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// One end of a connection.
pub trait Link {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// A stream that waits in its calls, so that its futures are ready at once.
pub struct Blocking<S>(pub S);

impl<S: Read + Write> Link for Blocking<S> {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }

    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }
}

/// A stream of tokio's kind.
pub struct Awaited<S>(pub S);

impl<S: AsyncRead + AsyncWrite + Unpin> Link for Awaited<S> {
    #[inline]
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).await
    }

    #[inline]
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes).await
    }
}

/// What comes of a future that waits for nothing.
pub fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("a blocking stream waits in its calls"),
    }
}
