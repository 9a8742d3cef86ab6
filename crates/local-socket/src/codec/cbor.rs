//! CBOR (RFC 8949), by `ciborium`.

use std::{cell::Cell, io};

use ciborium::{de, ser};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};

use super::{
    BoxedError, Codec, ENDS_EARLY,
    bounded::{Bounds, LEVELS, Refused},
};

pub(crate) struct Cbor;

impl Codec for Cbor {
    fn encode<T: Serialize + ?Sized>(value: &T, mut into: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        match ciborium::into_writer(value, &mut into) {
            Ok(()) => Ok(into),
            Err(ser::Error::Io(error)) => Err(error.into()),
            Err(ser::Error::Value(text)) => Err(text.into()),
        }
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), BoxedError> {
        let mut rest = bytes;
        LENGTH.set(bytes.len());
        // It does not count the options and newtypes that take no byte: `Bounds` counts all.
        let InBounds(value) = de::from_reader_with_recursion_limit(&mut rest, LEVELS.into()).map_err(described)?;
        Ok((value, rest.len()))
    }
}

thread_local! {
    /// The length of the message, on its way from [`Cbor::read`] to [`InBounds`]: `ciborium` makes its deserializer
    /// itself and takes no seed.
    static LENGTH: Cell<usize> = const { Cell::new(0) };
}

struct InBounds<T>(T);

impl<'de, T: DeserializeOwned> Deserialize<'de> for InBounds<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Bounds::of_message(LENGTH.get()).decode(deserializer).map(Self)
    }
}

fn described(error: de::Error<io::Error>) -> BoxedError {
    match error {
        de::Error::Io(_) => ENDS_EARLY.into(),
        de::Error::Syntax(offset) => format!("no cbor at byte {offset}").into(),
        de::Error::Semantic(None, text) => text.into(),
        de::Error::Semantic(Some(offset), text) => format!("{text} at byte {offset}").into(),
        de::Error::RecursionLimitExceeded => Refused::Nesting.to_string().into(),
    }
}
