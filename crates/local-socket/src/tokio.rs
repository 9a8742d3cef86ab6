//! The same for tokio: made by [`ListenerOptions::create_tokio`](crate::ListenerOptions::create_tokio) and
//! [`ConnectOptions::connect_tokio`](crate::ConnectOptions::connect_tokio).
//!
//! Everything may be dropped at any time, a future that is not ready as well, and while the runtime shuts down: no thread, task or
//! descriptor stays behind. Nothing here starts a thread or a task. A timeout for any operation is `tokio::time::timeout` around it.
//!
//! Making one of these needs a runtime with I/O, and connecting one with time too: `enable_all`, which `#[tokio::main]` calls.
//!
//! ```
//! use local_socket::{ListenerOptions, Name, tokio::Stream};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! # let name = Name::namespaced(format!("tokio.{}", std::process::id()))?;
//! let listener = ListenerOptions::new(name.clone()).create_tokio()?;
//! let (mut server, mut client) = tokio::try_join!(listener.accept(), Stream::connect(name))?;
//! client.write_all(b"hello").await?;
//! client.shutdown().await?;
//! let mut text = String::new();
//! server.read_to_string(&mut text).await?;
//! assert_eq!(text, "hello");
//! # Ok(())
//! # }
//! ```

#[cfg(feature = "serde")]
mod bootstrap;
#[cfg(feature = "serde")]
mod channel;
mod connect;
mod listener;
mod raw_channel;
mod registered;
mod socket;
mod stream;
mod through;

#[cfg(feature = "serde")]
pub use {
    bootstrap::Bootstrapper,
    channel::{Receiver, Sender, channel, duplex},
};
pub use {
    listener::Listener,
    raw_channel::{RawReceiver, RawSender, raw_channel},
    socket::Socket,
    stream::Stream,
};

/// The half of a [`Stream`] that reads: see [`Stream::split`].
pub type RecvHalf = crate::RecvHalf<Stream>;

/// The half of a [`Stream`] that writes: see [`Stream::split`].
pub type SendHalf = crate::SendHalf<Stream>;

/// Unnamed pipes and FIFO files: tokio's own, which lack nothing.
///
/// An end of a [`crate::pipe`] becomes one by `Sender::from_owned_fd(writer.into())` and `Receiver::from_owned_fd(reader.into())`, which
/// make it nonblocking. `into_blocking_fd` is the way back, and the way to another program that expects an end that waits. Flushing and
/// `shutdown` do nothing: dropping the sender ends the pipe. Reads and writes are cancel safe: a dropped one has moved nothing.
pub use ::tokio::net::unix::pipe;
