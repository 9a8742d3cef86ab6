//! What the benchmarks share: the machine's floor, and the process at the other end.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark prints figures and ends where it cannot go on"
)]

pub mod far_end;
pub mod machine;
pub mod variants;
