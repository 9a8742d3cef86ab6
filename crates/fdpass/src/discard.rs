//! Closing what nobody asked for.

use std::os::fd::{AsFd, OwnedFd};

use nix::{
    libc,
    sys::socket::{getsockopt, setsockopt, sockopt::Linger},
};

/// Closes descriptors that a peer sent and that are not wanted, without waiting as its sockets may ask for.
///
/// A socket with `SO_LINGER` (socket(7)) keeps the last one that closes it inside close(2) until its data is acknowledged,
/// as long as its sender likes: such a socket is told not to linger first. [`recv_fds`](crate::recv_fds) does so with the
/// descriptors of a message that it refuses.
pub fn discard(fds: impl IntoIterator<Item = OwnedFd>) {
    for fd in fds {
        // What is no socket does not linger.
        if getsockopt(&fd.as_fd(), Linger).is_ok_and(|linger| linger.l_onoff != 0) {
            let _ = setsockopt(&fd.as_fd(), Linger, &libc::linger { l_onoff: 0, l_linger: 0 });
        }
    }
}
