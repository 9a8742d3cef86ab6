//! [Postcard](https://postcard.jamesmunns.com), by the crate of that name: the smallest and fastest of the formats,
//! and the one that says nothing about itself.

use postcard::{Deserializer, Error, ser_flavors::Flavor, serialize_with_flavor};
use serde::{Serialize, de::DeserializeOwned};

use super::{BoxedError, Codec, ENDS_EARLY, bounded::Bounds};

pub(crate) struct Postcard;

impl Codec for Postcard {
    fn encode<T: Serialize + ?Sized>(value: &T, into: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        serialize_with_flavor(value, Append(into)).map_err(described)
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), BoxedError> {
        let mut postcard = Deserializer::from_bytes(bytes);
        let bounds = Bounds::of_message(bytes.len());
        let value = bounds.decode(&mut postcard).map_err(|error| match bounds.refused() {
            Some(refused) => refused.to_string().into(),
            None => described(error),
        })?;
        Ok((value, postcard.finalize().map_err(described)?.len()))
    }
}

/// The bytes themselves and not a reference to them, so that the loop over a sequence has them at hand.
struct Append(Vec<u8>);

impl Flavor for Append {
    type Output = Vec<u8>;

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<Vec<u8>> {
        Ok(self.0)
    }
}

/// Postcard keeps no text of an error that a type gives.
fn described(error: Error) -> BoxedError {
    match error {
        Error::DeserializeUnexpectedEnd => ENDS_EARLY.into(),
        Error::DeserializeBadVarint => "a number too large for its type".into(),
        Error::DeserializeBadBool => "a bool that is neither 0 nor 1".into(),
        Error::DeserializeBadOption => "an option that is neither 0 nor 1".into(),
        Error::DeserializeBadChar => "a char that is none".into(),
        Error::DeserializeBadUtf8 => "a string that is not utf-8".into(),
        Error::SerdeDeCustom => "a value that its type refuses".into(),
        Error::SerdeSerCustom | Error::CollectStrError => "a value that refuses to be encoded".into(),
        Error::SerializeSeqLengthUnknown => "postcard needs the length of a sequence before its elements".into(),
        Error::WontImplement => "postcard does not say what comes next, and the type asks".into(),
        other => Box::new(other),
    }
}
