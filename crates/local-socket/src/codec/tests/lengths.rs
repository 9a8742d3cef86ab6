//! Lengths that a message announces and does not keep. JSON announces none.

use std::{
    cell::Cell,
    collections::{BTreeMap, LinkedList},
    fmt,
};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::*;

const TOO_MANY: &str = "more elements than the message has bytes for";

/// The start of a sequence or map that is so long.
#[cfg(feature = "postcard")]
fn postcard(length: u64) -> Vec<u8> {
    encoded::<Postcard>(&length)
}

/// The start of a sequence (major type 4) or map (5) that is so long.
#[cfg(feature = "cbor")]
fn cbor(major: u8, length: u64) -> Vec<u8> {
    [&[major << 5 | 27], &length.to_be_bytes()[..]].concat()
}

/// A value that takes no byte in any format.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Nothing;

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Ok(Self)
    }
}

#[cfg(feature = "postcard")]
#[test]
fn more_elements_without_bytes_than_memory_has_room_for_are_refused() {
    let message = postcard(1 << 60);
    assert_eq!(refusal::<Postcard, Vec<()>>(&message), TOO_MANY);
    assert_eq!(refusal::<Postcard, LinkedList<Nothing>>(&message), TOO_MANY);
    assert_eq!(refusal::<Postcard, BTreeMap<(), ()>>(&message), TOO_MANY);
}

#[cfg(feature = "cbor")]
#[test]
fn elements_that_do_not_advance_in_cbor_end() {
    assert_eq!(refusal::<Cbor, LinkedList<Nothing>>(&cbor(4, 1 << 60)), TOO_MANY);
    assert_eq!(refusal::<Cbor, BTreeMap<Nothing, Nothing>>(&cbor(5, 1 << 60)), TOO_MANY);
    // A sequence without a length, whose end never comes.
    assert_eq!(refusal::<Cbor, LinkedList<Nothing>>(&[0x9f, 0]), TOO_MANY);
    assert_eq!(refusal::<Cbor, BTreeMap<Nothing, Nothing>>(&[0xbf, 0]), TOO_MANY);
}

#[cfg(feature = "postcard")]
#[test]
fn sequences_in_sequences_share_what_a_message_may_have() {
    let inner = postcard(30_000);
    let two = [postcard(2), inner.repeat(2)].concat();
    assert_eq!(Postcard::decode::<Vec<Vec<()>>>(&two).expect("60 000 elements").len(), 2);
    let three = [postcard(3), inner.repeat(3)].concat();
    assert_eq!(refusal::<Postcard, Vec<Vec<()>>>(&three), TOO_MANY);
    let maps = [postcard(3), inner.repeat(3)].concat();
    assert_eq!(refusal::<Postcard, Vec<BTreeMap<(), ()>>>(&maps), TOO_MANY);
}

thread_local! {
    /// The sum of all size hints that [`Trusting`] was given.
    static HINTS: Cell<usize> = const { Cell::new(0) };
}

/// Would set aside what it is told to. Each of its elements, or values, is another one.
struct Trusting<const MAP: bool>;

impl<'de, const MAP: bool> Deserialize<'de> for Trusting<MAP> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if MAP { deserializer.deserialize_map(Self) } else { deserializer.deserialize_seq(Self) }
    }
}

impl<'de, const MAP: bool> Visitor<'de> for Trusting<MAP> {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sequence or map")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self, A::Error> {
        HINTS.set(HINTS.get() + elements.size_hint().unwrap_or(0));
        while elements.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self, A::Error> {
        HINTS.set(HINTS.get() + entries.size_hint().unwrap_or(0));
        while entries.next_entry::<u8, Self>()?.is_some() {}
        Ok(self)
    }
}

/// What a type is told to set aside for `message`, which is then refused.
fn told<C: Codec, const MAP: bool>(message: &[u8]) -> usize {
    HINTS.set(0);
    refusal::<C, Trusting<MAP>>(message);
    HINTS.get()
}

/// `length` announced by a message of twenty bytes, and once more in each of fifty values inside each other.
fn is_told_no_more_than_bytes<C: Codec, const MAP: bool>(start: impl Fn(u64) -> Vec<u8>) {
    for length in [1000, 60_000, 1 << 32, u64::MAX] {
        let mut message = start(length);
        message.resize(20, 1);
        assert!(told::<C, MAP>(&message) <= 20, "{length}");
    }
    let key: &[u8] = if MAP { &[1] } else { &[] };
    let nested = [&start(1000), key].concat().repeat(50);
    assert!((1..=nested.len()).contains(&told::<C, MAP>(&nested)), "nested");
}

#[cfg(feature = "cbor")]
#[test]
fn a_type_is_told_to_set_aside_no_more_elements_than_the_cbor_has_bytes() {
    is_told_no_more_than_bytes::<Cbor, false>(|length| cbor(4, length));
    is_told_no_more_than_bytes::<Cbor, true>(|length| cbor(5, length));
}

#[cfg(feature = "postcard")]
#[test]
fn a_type_is_told_to_set_aside_no_more_elements_than_the_postcard_has_bytes() {
    is_told_no_more_than_bytes::<Postcard, true>(postcard);
}

#[cfg(feature = "postcard")]
#[test]
fn four_gibibytes_announced_in_twenty_bytes_are_refused() {
    let mut message = postcard(1 << 32);
    message.resize(20, 1);
    assert_eq!(refusal::<Postcard, Vec<u8>>(&message), ENDS_EARLY);
    assert_eq!(refusal::<Postcard, String>(&message), ENDS_EARLY);
    assert_eq!(refusal::<Postcard, BTreeMap<u8, u8>>(&message), TOO_MANY);
}
