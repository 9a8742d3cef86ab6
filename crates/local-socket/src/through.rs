//! What reads and writes as `&Stream` does: the stream itself and its halves.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};

use crate::{RecvHalf, SendHalf, Stream};

macro_rules! read_through_stream {
    ($($reader:ty),*) => {$(
        /// The same as for `&Stream`.
        impl Read for $reader {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.stream().read(buffer)
            }

            fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream().read_vectored(buffers)
            }
        }
    )*};
}

macro_rules! write_through_stream {
    ($($writer:ty),*) => {$(
        /// The same as for `&Stream`.
        impl Write for $writer {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.stream().write(bytes)
            }

            fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream().write_vectored(pieces)
            }

            fn flush(&mut self) -> io::Result<()> {
                self.stream().flush()
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
