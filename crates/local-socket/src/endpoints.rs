//! Ends of channels as part of a value: they move to who receives it.

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{RawReceiver, RawSender, Receiver, Sender, handle, transfer::refuse};

macro_rules! moves {
    ($($Raw:ty),*) => {$(
        /// As part of a value: the end moves to who receives it. A clone that stays here stays open.
        impl Serialize for $Raw {
            fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                handle::send(Arc::clone(&self.socket) as _, serializer)
            }
        }

        impl<'de> Deserialize<'de> for $Raw {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::try_from(handle::receive(deserializer)?).map_err(|error| de::Error::custom(refuse(error)))
            }
        }
    )*};
}

moves!(RawSender, RawReceiver);
#[cfg(feature = "tokio")]
moves!(crate::tokio::RawSender, crate::tokio::RawReceiver);

macro_rules! moves_as_raw {
    ($($Typed:ident),*) => {$(
        /// As part of a value: the end moves to who receives it. A clone that stays here stays open.
        impl<T, R: Serialize> Serialize for $Typed<T, R> {
            fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
                self.raw.serialize(serializer)
            }
        }

        impl<'de, T, R: Deserialize<'de>> Deserialize<'de> for $Typed<T, R> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                R::deserialize(deserializer).map(Self::of)
            }
        }
    )*};
}

moves_as_raw!(Sender, Receiver);
