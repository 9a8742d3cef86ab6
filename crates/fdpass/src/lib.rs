#![doc = include_str!("../README.md")]

mod control;
mod credentials;
mod discard;
mod error;
mod message;
mod recv;
mod send;
mod tagged;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use credentials::{Credentials, peer_credentials, set_pass_credentials, set_pass_pidfd};
pub use discard::{discard, hang_up, keep_out_of_band_inline};
pub use error::Error;
pub use message::{recv_message, send_message, try_recv_message, try_send_message};
pub use recv::{Received, recv_fds, try_recv_fds};
pub use send::{send_fds, try_send_fds};
pub use tagged::{recv_fd, send_fd};

/// The most descriptors that one message can carry: the kernel's own limit, `SCM_MAX_FD` in unix(7).
pub const MAX_FDS: usize = 253;
