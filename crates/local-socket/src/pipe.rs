//! Unnamed pipes: the standard library's, and ends that do not block. pipe(7).
//!
//! [`pipe`], [`PipeReader`] and [`PipeWriter`] are those of [`std::io`]: they read and write, through a shared reference too, they
//! have `try_clone` and [`AsFd`], and they are made from and turned into [`OwnedFd`](std::os::fd::OwnedFd). This module adds what
//! they lack: [`nonblocking`] and [`set_nonblocking`]. The form for tokio is `tokio::net::unix::pipe`.
//!
//! What holds for all of them on Linux:
//!
//! - `flush` returns `Ok` and does nothing, for nothing is held back: what `write` has taken is in the pipe, and the reader finds
//!   it there even if the writer ends at once. It does not wait until the reader has read.
//! - A read returns 0 when the pipe is empty and all copies of the writing end are closed, those in other processes too.
//! - A write whose readers are all gone fails with [`BrokenPipe`](io::ErrorKind::BrokenPipe), unless the process lets `SIGPIPE` end
//!   it: the kernel sends that signal first, and for a pipe there is no flag that holds it back, as `MSG_NOSIGNAL` is for a socket.
//!   A program whose `main` is Rust's ignores the signal from its start. A library in a foreign program finds what that program
//!   has set, by default the end of the process, and should ask it to ignore `SIGPIPE`, or use a
//!   [`UnixStream::pair`](std::os::unix::net::UnixStream::pair) instead.
//! - At most 4096 bytes (`PIPE_BUF`) written by one call stay together when others write too.
//! - A descriptor is closed in a program that is started (`O_CLOEXEC`), except as that program's standard input or output: an end
//!   becomes a [`Stdio`](std::process::Stdio) by `into`.

use std::{io, os::fd::AsFd};

use rustix::{
    io::ioctl_fionbio,
    pipe::{PipeFlags, pipe_with},
};

pub use std::io::{PipeReader, PipeWriter, pipe};

/// Which ends of a new pipe do not block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// The reading end.
    Reader,
    /// The writing end.
    Writer,
    /// Both.
    Both,
}

/// A new pipe of which one end or both do not block, from the start.
///
/// Where [`pipe`]'s ends would wait, such an end fails with [`WouldBlock`](io::ErrorKind::WouldBlock): a read from an empty pipe,
/// and a write to a full one; a write of more than 4096 bytes may put in a part and return how much. See [`set_nonblocking`] for
/// how far that reaches.
///
/// # Errors
///
/// As pipe(2): the process or the system is out of descriptors, or the user has too much in pipes.
pub fn nonblocking(ends: Ends) -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
    match ends {
        Ends::Reader => set_nonblocking(&writer, false)?,
        Ends::Writer => set_nonblocking(&reader, false)?,
        Ends::Both => {}
    }
    Ok((reader.into(), writer.into()))
}

/// Says whether an end of a pipe waits (`false`) or fails with [`WouldBlock`](io::ErrorKind::WouldBlock) (`true`).
///
/// This belongs to the end and not to the descriptor (`O_NONBLOCK`, open(2)): each copy of it follows, and so does another process
/// that has one. The other end of the pipe is not touched. Few programs expect a standard input or output that does not block.
///
/// # Errors
///
/// None for an end of a pipe that is open.
pub fn set_nonblocking(end: impl AsFd, nonblocking: bool) -> io::Result<()> {
    Ok(ioctl_fionbio(end, nonblocking)?)
}
