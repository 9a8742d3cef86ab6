//! Unnamed pipes and FIFO files.
#![allow(clippy::unwrap_used, reason = "a test says so by panicking")]

mod fifos;
#[allow(dead_code, reason = "a part of it is enough here")]
#[path = "../sync/rig.rs"]
mod rig;
mod unnamed;
