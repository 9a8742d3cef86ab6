//! Closing what nobody asked for.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::{
    libc,
    sys::socket::{
        Shutdown, getsockopt, setsockopt, shutdown,
        sockopt::{Linger, OobInline},
    },
};

use crate::{Error, MAX_FDS, set_pass_credentials, try_recv_fds};

/// Closes descriptors that a peer sent and that are not wanted, without waiting as its sockets may ask for.
///
/// A socket with `SO_LINGER` (socket(7)) keeps the last one that closes it inside close(2) until its data is acknowledged,
/// as long as its sender likes: such a socket is told not to linger first. [`recv_fds`](crate::recv_fds) does so with the
/// descriptors of a message that it refuses.
///
/// Not every close can be kept from waiting: that of a file on a FUSE file system waits for the process behind it, and a socket
/// that lingers may be locked by a process that is inside a call on it.
pub fn discard(fds: impl IntoIterator<Item = OwnedFd>) {
    for fd in fds {
        // What is no socket does not linger.
        if getsockopt(&fd.as_fd(), Linger).is_ok_and(|linger| linger.l_onoff != 0) {
            let _ = setsockopt(&fd.as_fd(), Linger, &libc::linger { l_onoff: 0, l_linger: 0 });
        }
    }
}

/// Has a stream socket deliver a byte that was sent with `MSG_OOB` in its place among the others, `SO_OOBINLINE` in socket(7).
///
/// Otherwise a receive that comes upon such a byte drops it, and closes the descriptors that came with it as their sender likes, before
/// anybody could [discard] them. To be called before the first receive. Unix sockets know such bytes since Linux 5.15.
pub fn keep_out_of_band_inline(stream: impl AsFd) {
    let _ = setsockopt(&stream.as_fd(), OobInline, &true);
}

/// Ends a stream or seqpacket socket for good, before it is closed: shuts it down both ways and [discards](discard) the descriptors of
/// what was not read, which close(2) would close as their sender likes.
///
/// The peer can still read what was sent to it, and then finds the end, also while other processes have copies of this socket.
pub fn hang_up(socket: impl AsFd) {
    let socket = socket.as_fd();
    if shutdown(socket.as_raw_fd(), Shutdown::Both).is_err() {
        // Nobody may send any more; or the peer still can, and this would never end.
        return;
    }
    keep_out_of_band_inline(socket);
    // So that an empty message is told from the end.
    let _ = set_pass_credentials(socket, true);
    let mut buffer = [0; 4096];
    loop {
        match try_recv_fds(socket, &mut buffer, MAX_FDS) {
            Ok(received) => discard(received.fds),
            Err(Error::EndOfFile | Error::WouldBlock | Error::Io(_)) => return,
            // A message that was refused, with its descriptors.
            Err(_) => {}
        }
    }
}
