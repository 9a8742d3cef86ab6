#![doc = include_str!("../README.md")]
#![cfg_attr(loom, allow(dead_code, unused_imports, reason = "loom compiles the ring and the waiting only"))]

#[cfg(not(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_endian = "little",
    target_pointer_width = "64"
)))]
compile_error!(
    "ipc-queue works on Linux on x86_64 and aarch64 only: the memory it maps must allow atomic loads when read-only"
);

mod barrier;
mod layout;
mod ring;
mod strategy;
mod sync;
mod wait;

#[cfg(all(loom, test))]
mod models;
#[cfg(all(tsan, test))]
mod races;

#[cfg(not(loom))]
mod connection;
#[cfg(not(loom))]
mod consumer;
#[cfg(not(loom))]
mod doorbell;
#[cfg(not(loom))]
mod duplex;
#[cfg(not(loom))]
mod element;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod frames;
#[cfg(all(feature = "testing", not(loom)))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(not(loom))]
mod guard;
#[cfg(not(loom))]
mod half;
#[cfg(not(loom))]
mod handshake;
#[cfg(not(loom))]
mod meet;
#[cfg(not(loom))]
mod offer;
#[cfg(not(loom))]
mod options;
#[cfg(not(loom))]
mod pause;
#[cfg(not(loom))]
mod peek;
#[cfg(not(loom))]
mod producer;
#[cfg(not(loom))]
mod refused;
#[cfg(not(loom))]
mod reservation;
#[cfg(not(loom))]
mod segment;
#[cfg(not(loom))]
mod slots;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod support;

#[cfg(feature = "testing")]
#[doc(hidden)]
pub use strategy::Strategy;
pub use wait::Wait;
#[cfg(not(loom))]
pub use {
    consumer::{Consumer, Drain},
    doorbell::ControlMessage,
    duplex::duplex,
    element::Element,
    error::{Corrupt, Error, RecvError, XmitError, XmitErrorKind},
    fdpass::Credentials,
    handshake::Role,
    options::Options,
    peek::Peek,
    producer::Producer,
    refused::{Reason, Refused},
    reservation::Reservation,
    stats::Stats,
    support::Support,
    zerocopy,
};
