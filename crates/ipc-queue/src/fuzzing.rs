//! What the fuzzers run, and the short tests run over a corpus: one function a target, which panics where a promise of
//! `docs/safety.md` is broken. The bytes decide what the hostile side does and what the honest side is asked to do.

use std::{collections::BTreeSet, fmt::Debug};

mod control;
mod handshake;
mod input;
mod meeting;
mod ring;
mod segment;

pub use control::control;
pub use handshake::handshake;
pub use meeting::meeting;
pub use ring::ring;
pub use segment::segment;

/// How far an input came, in words: a corpus that no longer comes as far as it should is noticed by that.
pub type Reached = BTreeSet<String>;

/// The name of a variant without its numbers.
fn name_of(variant: impl Debug) -> String {
    format!("{variant:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}
