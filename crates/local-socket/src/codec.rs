//! Values as bytes: the encodings in which messages carry them.
//!
//! A decoder reads what another process wrote. It takes whole messages only, and no more stack, memory or time than
//! [`bounded`] says.

use std::error::Error;

use serde::{Serialize, de::DeserializeOwned};

mod bounded;
#[cfg(feature = "cbor")]
mod cbor;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "postcard")]
mod postcard;
#[cfg(test)]
mod tests;

#[cfg(feature = "cbor")]
pub(crate) use self::cbor::Cbor;
#[cfg(feature = "json")]
pub(crate) use self::json::Json;
#[cfg(feature = "postcard")]
pub(crate) use self::postcard::Postcard;

pub(crate) type BoxedError = Box<dyn Error + Send + Sync>;

/// What every format says of a message that is too short.
const ENDS_EARLY: &str = "the message ends in the middle of the value";

/// A format, and the rule that all formats share.
pub(crate) trait Codec {
    /// Appends `value` to these bytes, which are gone where that fails.
    fn encode<T: Serialize + ?Sized>(value: &T, into: Vec<u8>) -> Result<Vec<u8>, BoxedError>;

    /// The value that `bytes` begin with, and how many bytes are behind it.
    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), BoxedError>;

    /// The value that `bytes` are, to the last of them.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BoxedError> {
        match Self::read(bytes)? {
            (value, 0) => Ok(value),
            (_, 1) => Err("1 byte behind the value".into()),
            (_, behind) => Err(format!("{behind} bytes behind the value").into()),
        }
    }
}
