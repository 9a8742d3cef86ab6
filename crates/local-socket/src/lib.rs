// Its examples need features.
#![cfg_attr(any(not(doctest), all(feature = "serde", feature = "tokio")), doc = include_str!("../README.md"))]
#![doc = include_str!("coming_from_interprocess.md")]
#![doc = include_str!("coming_from_tiny_nix_ipc.md")]
#![doc = include_str!("coming_from_unix_ipc.md")]

mod adopt;
mod attached;
#[cfg(feature = "serde")]
mod bootstrap;
#[cfg(feature = "serde")]
mod channel;
#[cfg(any(feature = "cbor", feature = "json", feature = "postcard"))]
mod codec;
mod connect;
mod directory;
#[cfg(feature = "serde")]
mod endpoints;
mod error;
mod fifo;
mod forms;
mod frame;
mod halves;
#[cfg(feature = "serde")]
mod handle;
mod hold;
mod incoming;
mod listener;
mod listener_options;
#[cfg(feature = "serde")]
mod meeting_point;
mod memory;
mod name;
mod name_text;
mod named_error;
mod outgoing;
pub mod pipe;
mod place;
mod proc;
mod random;
mod raw_channel;
mod rename;
mod room;
mod runtime_directory;
#[cfg(feature = "serde")]
mod scratch;
mod seqpacket;
mod socket;
mod stream;
mod struct_raw;
mod through;
mod timeout;
#[cfg(feature = "tokio")]
pub mod tokio;
#[cfg(feature = "serde")]
mod transfer;
mod wait;

pub use {
    attached::Attached,
    connect::{ConnectOptions, ConnectWaitMode},
    error::Error,
    fdpass::Credentials,
    fifo::create_fifo,
    halves::{RecvHalf, ReuniteError, SendHalf},
    listener::Listener,
    listener_options::{ListenerNonblockingMode, ListenerOptions},
    name::Name,
    name_text::{IntoName, NameText},
    raw_channel::{RawReceiver, RawSender, raw_channel},
    socket::Socket,
    stream::Stream,
};
#[cfg(feature = "serde")]
pub use {
    bootstrap::Bootstrapper,
    channel::{Receiver, SendError, Sender, channel, duplex},
    handle::{Handle, HandleRef},
    transfer::{deserialize, serde_in_ipc_mode, serialize},
};
