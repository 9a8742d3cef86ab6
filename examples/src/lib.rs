//! What the programs `ipc-server` and `ipc-client` are made of.
//!
//! To learn the API read, in this order: [`message`] (a type that can cross between processes), [`server`] (many clients at the same
//! time), [`connect`], and the client's subcommands [`ping`], [`stream`], [`send`] and [`bridge`]. What [`demo`] needs to put them on a
//! stage lies apart, in [`show`].

pub mod arguments;
pub mod bridge;
pub mod connect;
pub mod demo;
pub mod doctor;
pub mod message;
pub mod ping;
pub mod send;
pub mod server;
pub mod show;
pub mod signals;
pub mod stream;
