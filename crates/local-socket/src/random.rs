//! Numbers that nobody can guess, and no forked child repeats.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

use crate::wait::uninterrupted;

/// From the kernel: getrandom(2) gives as few bytes as these whole.
pub(crate) fn bytes() -> io::Result<[u8; 8]> {
    let mut bytes = [0; 8];
    uninterrupted(|| getrandom(&mut bytes, GetRandomFlags::empty()))?;
    Ok(bytes)
}
