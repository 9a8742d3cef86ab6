// One of its examples needs tokio.
#![cfg_attr(any(not(doctest), feature = "tokio"), doc = include_str!("../README.md"))]
#![doc = include_str!("coming_from_interprocess.md")]

mod adopt;
mod connect;
mod directory;
mod fifo;
mod halves;
mod hold;
mod listener;
mod listener_options;
mod name;
mod name_text;
mod named_error;
pub mod pipe;
mod place;
mod proc;
mod rename;
mod runtime_directory;
mod stream;
mod through;
mod timeout;
#[cfg(feature = "tokio")]
pub mod tokio;
mod wait;

pub use {
    connect::{ConnectOptions, ConnectWaitMode},
    fdpass::Credentials,
    fifo::create_fifo,
    halves::{RecvHalf, ReuniteError, SendHalf},
    listener::Listener,
    listener_options::{ListenerNonblockingMode, ListenerOptions},
    name::Name,
    name_text::{IntoName, NameText},
    stream::Stream,
};
