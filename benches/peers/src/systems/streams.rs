//! Messages over streams of bytes, one out and one back, which may be the same: written as they are, and read as many
//! at a time as there are.
//!
//! A batch is one write. A stream that was told not to block says so; one that blocks also does in `try_send` and
//! `try_receive`.

use std::{
    hint::spin_loop,
    io::{ErrorKind, Read, Result as IoResult, Write},
};

use crate::system::{Gone, Receiver, Sender, Words};

/// The bytes that are read at once, unless one message is larger.
const BUFFER: usize = 64 << 10;

/// Both ends of messages over `out` and `back`.
pub fn ends<W: Write, R: Read, const N: usize>(out: W, back: R) -> (Out<W>, In<R, N>) {
    let room = (BUFFER / size_of::<Words<N>>()).max(1);
    (Out { stream: out, words: Vec::new() }, In { stream: back, buffer: vec![0; room * N], filled: 0, taken: 0 })
}

/// The bytes that were moved, or none if that would block.
#[inline]
fn moved(result: IoResult<usize>) -> Result<usize, Gone> {
    match result {
        Ok(0) => Err(Gone),
        Ok(bytes) => Ok(bytes),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(_) => Err(Gone),
    }
}

pub struct Out<W> {
    stream: W,
    /// What is sent at once.
    words: Vec<u64>,
}

impl<W: Write> Out<W> {
    /// Room for so many messages.
    #[inline]
    fn room<const N: usize>(&mut self, messages: usize) -> &mut [Words<N>] {
        if self.words.len() < messages * N {
            self.words.resize(messages * N, 0);
        }
        self.words[..messages * N].as_chunks_mut().0
    }

    /// Writes the first messages of that room, and returns how many. One that was begun is written to its end.
    #[inline]
    fn write<const N: usize>(&mut self, messages: usize) -> Result<usize, Gone> {
        let (bytes, size) = (bytemuck::cast_slice::<u64, u8>(&self.words[..messages * N]), size_of::<Words<N>>());
        let mut written = moved(self.stream.write(bytes))?;
        while !written.is_multiple_of(size) {
            match moved(self.stream.write(&bytes[written..written.next_multiple_of(size)]))? {
                0 => spin_loop(),
                more => written += more,
            }
        }
        Ok(written / size)
    }
}

impl<W: Write, const N: usize> Sender<N> for Out<W> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        write(&mut self.room(1)[0]);
        Ok(self.write::<N>(1)? == 1)
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        self.room(most).iter_mut().enumerate().for_each(|(index, message)| write(index, message));
        self.write::<N>(most)
    }
}

pub struct In<R, const N: usize> {
    stream: R,
    /// Room for a whole number of messages, so that one which is there in part can always be completed in place.
    buffer: Vec<u64>,
    /// The bytes read into it.
    filled: usize,
    /// The messages taken out of it.
    taken: usize,
}

impl<R: Read, const N: usize> In<R, N> {
    /// The messages that were read as a whole and not taken; reads what there is if there are none.
    #[inline]
    fn whole(&mut self) -> Result<&[Words<N>], Gone> {
        let size = size_of::<Words<N>>();
        if self.filled < (self.taken + 1) * size {
            if self.filled == self.taken * size {
                (self.filled, self.taken) = (0, 0);
            }
            self.filled += moved(self.stream.read(&mut bytemuck::cast_slice_mut(&mut self.buffer)[self.filled..]))?;
        }
        Ok(&self.buffer.as_chunks().0[self.taken..self.filled / size])
    }
}

impl<R: Read, const N: usize> Receiver<N> for In<R, N> {
    #[inline]
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        Ok(self.try_receive_batch(1, read)? == 1)
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let messages = self.whole()?;
        let count = most.min(messages.len());
        messages[..count].iter().for_each(read);
        self.taken += count;
        Ok(count)
    }
}
