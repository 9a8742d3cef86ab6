//! JSON, by `serde_json`.

use serde::{Serialize, de::DeserializeOwned, de::IgnoredAny};

use super::{BoxedError, Codec, ENDS_EARLY, bounded::Bounds};

/// White space around the value belongs to the text, as RFC 8259 has it.
pub(crate) struct Json;

impl Codec for Json {
    fn encode<T: Serialize + ?Sized>(value: &T, mut into: Vec<u8>) -> Result<Vec<u8>, BoxedError> {
        serde_json::to_writer(&mut into, value)?;
        Ok(into)
    }

    fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, usize), BoxedError> {
        let mut json = serde_json::Deserializer::from_slice(bytes);
        // It does not count the options and newtypes that take no byte of the text: `Bounds` counts all.
        json.disable_recursion_limit();
        let value = Bounds::of_message(bytes.len()).decode(&mut json).map_err(described)?;
        let behind = match json.end() {
            Ok(()) => 0,
            Err(_) => bytes.len() - json.into_iter::<IgnoredAny>().byte_offset(),
        };
        Ok((value, behind))
    }
}

fn described(error: serde_json::Error) -> BoxedError {
    if error.is_eof() { ENDS_EARLY.into() } else { error.into() }
}
