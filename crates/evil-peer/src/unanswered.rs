//! Memory whose first touch waits until this process answers it, userfaultfd(2): a system call that copies into it stays in the
//! kernel, with whatever it has locked.
#![allow(unsafe_code, reason = "registering a mapping for its page faults takes pointers")]

use std::{
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use memmap2::{MmapOptions, MmapRaw};
use rustix::{mm::UserfaultfdFlags, net::RecvFlags};

const PAGE: usize = 4096;

/// `struct uffdio_api`.
#[repr(C)]
struct Api {
    version: u64,
    features: u64,
    ioctls: u64,
}

/// `struct uffdio_register` and `struct uffdio_zeropage`: the range comes first.
#[repr(C)]
struct Range {
    start: u64,
    length: u64,
    mode: u64,
    result: i64,
}

/// The calls, `linux/userfaultfd.h`.
mod calls {
    #![allow(missing_docs, unreachable_pub, reason = "the macro makes public functions")]

    nix::ioctl_readwrite!(begin, 0xAA, 0x3F, super::Api);
    nix::ioctl_readwrite!(register, 0xAA, 0x00, super::Range);
    nix::ioctl_readwrite!(fill_with_zeros, 0xAA, 0x04, super::Range);
}

/// One page that nobody has touched yet.
#[derive(Debug)]
pub struct Unanswered {
    faults: OwnedFd,
    page: MmapRaw,
}

impl Unanswered {
    /// Such a page, where this process may have one.
    ///
    /// # Errors
    ///
    /// The system has no userfaultfd, or not for faults of the kernel.
    pub fn new() -> io::Result<Self> {
        // SAFETY: whoever touches the memory that is registered below is meant to wait.
        let faults = unsafe { rustix::mm::userfaultfd(UserfaultfdFlags::CLOEXEC) }?;
        let mut api = Api { version: 0xAA, features: 0, ioctls: 0 };
        // SAFETY: the request's own structure.
        unsafe { calls::begin(faults.as_raw_fd(), &mut api) }?;
        let page = MmapRaw::from(MmapOptions::new().len(PAGE).map_anon()?);
        let this = Self { faults, page };
        let mut range = this.range(1);
        // SAFETY: the request's own structure, and a mapping of this value.
        unsafe { calls::register(this.faults.as_raw_fd(), &mut range) }?;
        Ok(this)
    }

    fn range(&self, mode: u64) -> Range {
        Range { start: self.page.as_ptr() as u64, length: PAGE as u64, mode, result: 0 }
    }

    /// Reads from the socket into it, and so waits inside until the touch is answered.
    pub fn read(&self, socket: &UnixStream) {
        // SAFETY: the page is this value's own, and nobody else writes to it.
        let buffer = unsafe { std::slice::from_raw_parts_mut(self.page.as_mut_ptr(), PAGE) };
        let _ = rustix::net::recv(socket, buffer, RecvFlags::empty());
    }

    /// Until somebody waits inside.
    pub fn until_touched(&self) {
        rustix::io::read(&self.faults, &mut [0; 32]).expect("a fault");
    }

    /// Lets who waits inside go on.
    pub fn answer(&self) {
        let mut range = self.range(0);
        // SAFETY: the request's own structure, and a page that is not there yet.
        let _ = unsafe { calls::fill_with_zeros(self.faults.as_raw_fd(), &mut range) };
    }
}
