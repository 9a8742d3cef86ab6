//! What the fuzzers run, and the short tests run over a corpus: one function a target, which panics where a promise of
//! `docs/safety.md` is broken. The bytes decide what the hostile side does and what the honest side is asked to do.

mod control;
mod handshake;
mod input;
mod ring;
mod segment;

pub use control::control;
pub use handshake::handshake;
pub use ring::ring;
pub use segment::segment;
