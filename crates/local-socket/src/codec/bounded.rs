//! What a message may ask of its decoder, whatever the format and whatever the type.
//!
//! - Levels. A decoder calls itself for each value inside a value, and what ends that for a recursive type is in the
//!   message. A level is an option that is there, a newtype, a sequence, a tuple, a map, a struct or an enum: without one
//!   of them no type contains itself. [`LEVELS`] are allowed.
//! - Elements. An element takes at least one byte of the message, but for types without bytes, whose number may still be
//!   any. All sequences and maps of a message together have as many elements as it has bytes, and [`WITHOUT_BYTES`] more.
//!   Fields of tuples and structs do not count: the type says how many there are. Where the format announces a
//!   length, all its elements are paid for before the first of them.
//! - Size hints. A type may set memory aside for as many elements as are announced. It is told no more than are paid
//!   for, so that all hints of a message together are at most the number of its bytes.
//!
//! [`Bounded`] goes around each part that serde hands from the format to the type and back.

use std::{cell::Cell, fmt};

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

pub(super) const LEVELS: u8 = 128;
pub(super) const WITHOUT_BYTES: usize = 1 << 16;

/// The bounds of one message.
pub(super) struct Bounds {
    /// Elements that may still come.
    elements: Cell<usize>,
    refused: Cell<Option<Refused>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    Nesting,
    Elements,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nesting => write!(f, "nested deeper than {LEVELS} levels"),
            Self::Elements => f.write_str("more elements than the message has bytes for"),
        }
    }
}

impl Bounds {
    /// Of a message of so many bytes.
    pub(super) fn of_message(bytes: usize) -> Self {
        Self { elements: Cell::new(bytes.saturating_add(WITHOUT_BYTES)), refused: Cell::new(None) }
    }

    pub(super) fn decode<'de, T: Deserialize<'de>, D: Deserializer<'de>>(&self, inner: D) -> Result<T, D::Error> {
        T::deserialize(Bounded { inner, at: Place { bounds: self, levels: LEVELS, fixed: false } })
    }

    /// What was refused last, for a format that does not keep the text of an error.
    #[cfg(feature = "postcard")]
    pub(super) fn refused(&self) -> Option<Refused> {
        self.refused.get()
    }

    fn refuse<E: Error>(&self, why: Refused) -> E {
        self.refused.set(Some(why));
        E::custom(why)
    }

    #[inline]
    fn pay<E: Error>(&self, elements: usize) -> Result<(), E> {
        match self.elements.get().checked_sub(elements) {
            Some(left) => {
                self.elements.set(left);
                Ok(())
            }
            None => Err(self.refuse(Refused::Elements)),
        }
    }
}

/// Where in a message a decoder is.
#[derive(Clone, Copy)]
struct Place<'b> {
    bounds: &'b Bounds,
    /// Levels that may still come.
    levels: u8,
    /// The type says how many elements there are.
    fixed: bool,
}

impl<'b> Place<'b> {
    fn open(self) -> Self {
        Self { fixed: false, ..self }
    }

    fn fixed(self) -> Self {
        Self { fixed: true, ..self }
    }

    #[inline]
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.levels.checked_sub(1) {
            Some(levels) => Ok(Self { levels, ..self }),
            None => Err(self.bounds.refuse(Refused::Nesting)),
        }
    }

    #[inline]
    fn elements<A, E: Error>(self, inner: A, announced: Option<usize>) -> Result<Elements<'b, A>, E> {
        let hint = self.bounds.elements.get().saturating_sub(WITHOUT_BYTES);
        let paid = if self.fixed { usize::MAX } else { announced.unwrap_or(0) };
        if !self.fixed {
            self.bounds.pay(paid)?;
        }
        Ok(Elements { inner, at: self.deeper()?, paid, hint })
    }
}

/// A seed, a deserializer, a visitor, an enum or its variant, with where it is.
struct Bounded<'b, T> {
    inner: T,
    at: Place<'b>,
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Bounded<'_, S> {
    type Value = S::Value;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.inner.deserialize(Bounded { inner, at: self.at })
    }
}

/// Nothing is inside these: the visitor goes to the format as it is.
macro_rules! plain {
    ($($method:ident($($argument:ident: $type:ty)?))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)? visitor: V) -> Result<V::Value, Self::Error> {
            self.inner.$method($($argument,)? visitor)
        }
    )*};
}

/// Values may be inside these: as many as the message says (`open`), or as many as the type says (`fixed`).
macro_rules! nesting {
    ($($how:ident $method:ident($($argument:ident: $type:ty),*))*) => {$(
        #[inline]
        fn $method<V: Visitor<'de>>(self, $($argument: $type,)* visitor: V) -> Result<V::Value, Self::Error> {
            self.inner.$method($($argument,)* Bounded { inner: visitor, at: self.at.$how() })
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Bounded<'_, D> {
    type Error = D::Error;

    plain! {
        deserialize_bool()
        deserialize_i8() deserialize_i16() deserialize_i32() deserialize_i64() deserialize_i128()
        deserialize_u8() deserialize_u16() deserialize_u32() deserialize_u64() deserialize_u128()
        deserialize_f32() deserialize_f64()
        deserialize_char() deserialize_str() deserialize_string() deserialize_identifier()
        deserialize_unit() deserialize_unit_struct(name: &'static str)
    }

    nesting! {
        open deserialize_any()
        open deserialize_ignored_any()
        open deserialize_bytes()
        open deserialize_byte_buf()
        open deserialize_option()
        open deserialize_newtype_struct(name: &'static str)
        open deserialize_seq()
        open deserialize_map()
        open deserialize_enum(name: &'static str, variants: &'static [&'static str])
        fixed deserialize_tuple(length: usize)
        fixed deserialize_tuple_struct(name: &'static str, length: usize)
        fixed deserialize_struct(name: &'static str, fields: &'static [&'static str])
    }

    #[inline]
    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! leaves {
    ($($method:ident($($value:ident: $type:ty)?))*) => {$(
        #[inline]
        fn $method<E: Error>(self $(, $value: $type)?) -> Result<V::Value, E> {
            self.inner.$method($($value)?)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Bounded<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    leaves! {
        visit_bool(value: bool)
        visit_i8(value: i8) visit_i16(value: i16) visit_i32(value: i32) visit_i64(value: i64) visit_i128(value: i128)
        visit_u8(value: u8) visit_u16(value: u16) visit_u32(value: u32) visit_u64(value: u64) visit_u128(value: u128)
        visit_f32(value: f32) visit_f64(value: f64)
        visit_char(value: char)
        visit_str(value: &str) visit_borrowed_str(value: &'de str) visit_string(value: String)
        visit_bytes(value: &[u8]) visit_borrowed_bytes(value: &'de [u8]) visit_byte_buf(value: Vec<u8>)
        visit_none() visit_unit()
    }

    #[inline]
    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_some(Bounded { inner, at: self.at.deeper()? })
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.inner.visit_newtype_struct(Bounded { inner, at: self.at.deeper()? })
    }

    #[inline]
    fn visit_seq<A: SeqAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let announced = inner.size_hint();
        self.inner.visit_seq(self.at.elements(inner, announced)?)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        let announced = inner.size_hint();
        self.inner.visit_map(self.at.elements(inner, announced)?)
    }

    #[inline]
    fn visit_enum<A: EnumAccess<'de>>(self, inner: A) -> Result<V::Value, A::Error> {
        self.inner.visit_enum(Bounded { inner, at: self.at.deeper()? })
    }
}

impl<'b, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Bounded<'b, A> {
    type Error = A::Error;
    type Variant = Bounded<'b, A::Variant>;

    #[inline]
    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        let (value, inner) = self.inner.variant_seed(Bounded { inner: seed, at: self.at })?;
        Ok((value, Bounded { inner, at: self.at }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Bounded<'_, A> {
    type Error = A::Error;

    nesting! {
        fixed tuple_variant(length: usize)
        fixed struct_variant(fields: &'static [&'static str])
    }

    #[inline]
    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    #[inline]
    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.newtype_variant_seed(Bounded { inner: seed, at: self.at })
    }
}

/// What is in a sequence, a tuple, a map or a struct.
struct Elements<'b, A> {
    inner: A,
    at: Place<'b>,
    /// Elements that are paid for.
    paid: usize,
    /// The most that a size hint may say.
    hint: usize,
}

impl<A> Elements<'_, A> {
    /// Pays for `element`, if there was one.
    #[inline]
    fn count<T, E: Error>(&mut self, element: Option<T>) -> Result<Option<T>, E> {
        match self.paid.checked_sub(1) {
            _ if element.is_none() => {}
            Some(left) => self.paid = left,
            None => self.at.bounds.pay(1)?,
        }
        Ok(element)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let element = self.inner.next_element_seed(Bounded { inner: seed, at: self.at })?;
        self.count(element)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|hint| hint.min(self.hint))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Elements<'_, A> {
    type Error = A::Error;

    #[inline]
    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        let key = self.inner.next_key_seed(Bounded { inner: seed, at: self.at })?;
        self.count(key)
    }

    #[inline]
    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.inner.next_value_seed(Bounded { inner: seed, at: self.at })
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.inner.size_hint().map(|hint| hint.min(self.hint))
    }
}
