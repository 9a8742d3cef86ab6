//! What reads and writes as `&Stream` does: the stream itself and its halves.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use ::tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{RecvHalf, SendHalf, Stream};

macro_rules! read_through_stream {
    ($($reader:ty),*) => {$(
        impl AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_read(context, buffer)
            }
        }
    )*};
}

macro_rules! write_through_stream {
    ($($writer:ty),*) => {$(
        impl AsyncWrite for $writer {
            fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write(context, bytes)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                pieces: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.stream()).poll_write_vectored(context, pieces)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_flush(context)
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                Pin::new(&mut self.stream()).poll_shutdown(context)
            }
        }
    )*};
}

read_through_stream!(Stream, RecvHalf, &RecvHalf);
write_through_stream!(Stream, SendHalf, &SendHalf);

impl Stream {
    fn stream(&self) -> &Self {
        self
    }
}
