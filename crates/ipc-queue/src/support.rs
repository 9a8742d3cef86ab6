//! What this kernel gives.

use std::os::{fd::AsFd, unix::net::UnixStream};

use crate::{
    barrier,
    segment::{Geometry, Segment},
};

/// What this kernel and this process's limits give, and so how the crate works here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Support {
    /// A memfd can be made and sealed against new writable mappings (Linux 5.1). Nothing works without it.
    pub sealed_memfd: bool,
    /// `membarrier(2)` orders publishing against sleeping (Linux 4.16). Without it every publish has a fence of 10 to 40 ns.
    pub membarrier: bool,
    /// The peer's process can be watched (`SO_PASSPIDFD`, Linux 6.5). Without it a peer whose forked child keeps the socket
    /// open is not known to be dead.
    pub pidfd: bool,
}

impl Support {
    /// Tries each.
    pub fn probe() -> Self {
        let geometry = Geometry { slot_count: 0, element_size: 1, element_align: 1 };
        let pidfd =
            UnixStream::pair().is_ok_and(|(socket, _peer)| fdpass::set_pass_pidfd(socket.as_fd(), true).is_ok());
        Self { sealed_memfd: Segment::create(geometry, "").is_ok(), membarrier: barrier::register(), pidfd }
    }
}
