//! The hostile peer: frames from bytes, segments from system calls, and nothing of the crates under test.
//!
//! [`cases::all`] is the table of what it does and of what is expected of the honest end that meets it. The program `evil-peer`
//! plays one case, with its standard input as the socket; the tests have every honest end meet every case.

pub mod cases;
pub mod child;
pub mod expect;
pub mod frames;
pub mod kind;
pub mod offer;
pub mod raw;
pub mod segment;
pub mod things;
pub mod unanswered;
pub mod wire;
