//! What the fuzzers run, and the short tests run over a corpus: one function a target, which panics where a promise of
//! `docs/safety.md` is broken. The bytes decide what the hostile side does and what the honest side is asked to do.

use std::{collections::BTreeSet, fmt::Debug};

use crate::{
    Refused, Role,
    frames::{Direction, Hello, VERSION_MAX, VERSION_MIN},
    layout,
};

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

/// What the honest side says of itself.
fn honest_hello(role: Role, direction: Direction, schema: &str) -> Hello {
    Hello {
        version_min: VERSION_MIN,
        version_max: VERSION_MAX,
        features: 0,
        role: role as u8,
        direction: direction as u8,
        layout: layout::LAYOUT_VERSION,
        element_align: 8,
        element_size: 8,
        slot_count: if direction == Direction::Consume { 0 } else { 8 },
        start: 0,
        schema: schema.to_owned(),
        name: String::new(),
    }
}

/// A refusal in words. It has a text that can be shown to anybody.
fn refusal(refused: &Refused) -> String {
    let text = refused.to_string();
    assert!(text.len() < 8192 && !text.chars().any(char::is_control), "{text:?}");
    format!("{} refuses: {:?}", if refused.by_peer() { "the peer" } else { "this side" }, refused.reason())
}

/// The name of a variant without its numbers.
fn name_of(variant: impl Debug) -> String {
    format!("{variant:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}
