//! The forms in which messages are sent and received, written once for the socket that waits and for that of tokio.
//!
//! Each is made of `send_iovec`, `recv_iovec` and `recv_whole`, which those have.

use crate::Error;

/// The length in front of the content, in the forms that have one: little-endian.
pub(crate) type LengthPrefix = [u8; 8];

/// What is announced must be what came.
pub(crate) fn length_must_be(expected: u64, got: usize) -> Result<(), Error> {
    if got as u64 == expected { Ok(()) } else { Err(Error::WrongLength { expected, got: got as u64 }) }
}

/// How much came behind the length prefix, if it is as much as the prefix says.
pub(crate) fn length_behind(prefix: LengthPrefix, came: usize) -> Result<usize, Error> {
    let Some(length) = came.checked_sub(size_of::<LengthPrefix>()) else {
        return Err(Error::Malformed { why: "the message is too short for its length prefix" });
    };
    length_must_be(u64::from_le_bytes(prefix), length)?;
    Ok(length)
}

/// What came behind the length prefix, if it is as much as the prefix says.
pub(crate) fn without_prefix(mut bytes: Vec<u8>) -> Result<Vec<u8>, Error> {
    let prefix = bytes.first_chunk().copied().unwrap_or_default();
    length_behind(prefix, bytes.len())?;
    bytes.drain(..size_of::<LengthPrefix>());
    Ok(bytes)
}

macro_rules! forms {
    ($Socket:ident $(, $async:ident, $await:ident)?) => {
        /// Bytes.
        impl $Socket {
            /// Sends these bytes as one message.
            ///
            /// # Errors
            ///
            /// As [`send_iovec`](Self::send_iovec).
            pub $($async)? fn send_slice(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
                self.send_iovec(&[IoSlice::new(bytes)], fds)$(.$await)?
            }

            /// Receives one message into this buffer, and returns its length.
            ///
            /// # Errors
            ///
            /// As [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn recv_slice<A: Attached>(&self, buffer: &mut [u8]) -> Result<(usize, A), Error> {
                self.recv_iovec(&mut [IoSliceMut::new(buffer)])$(.$await)?
            }

            /// Receives one message of at most `size` bytes.
            ///
            /// # Errors
            ///
            /// As [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn recv_into_buf<A: Attached>(&self, size: usize) -> Result<(Vec<u8>, A), Error> {
                let mut buffer = vec![0; size];
                let (length, attached) = self.recv_slice(&mut buffer)$(.$await)??;
                buffer.truncate(length);
                Ok((buffer, attached))
            }

            /// Receives one message whatever its length, up to `max` bytes.
            ///
            /// Several may do so at once. Only where a socket's buffer was made larger than 256 KiB, a message that is longer than that
            /// can meet a call that had the one before it in view: then it is [`Error::TooLong`] although `max` may have allowed it.
            ///
            /// # Errors
            ///
            /// As [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn recv_vec<A: Attached>(&self, max: usize) -> Result<(Vec<u8>, A), Error> {
                let (bytes, attached) = self.recv_whole()$(.$await)??;
                let length = bytes.len();
                let fits = if length <= max { Ok(bytes) } else { Err(Error::TooLong { length, room: max }) };
                $crate::attached::beside(fits, attached)
            }

            /// Sends these bytes as one message with a prefix: their number, in 8 bytes, little-endian.
            ///
            /// # Errors
            ///
            /// As [`send_iovec`](Self::send_iovec).
            pub $($async)? fn send_slice_with_len(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
                let prefix: LengthPrefix = (bytes.len() as u64).to_le_bytes();
                self.send_iovec(&[IoSlice::new(&prefix), IoSlice::new(bytes)], fds)$(.$await)?
            }

            /// Receives one message of [`send_slice_with_len`](Self::send_slice_with_len) into this buffer, and returns its length.
            ///
            /// # Errors
            ///
            /// [`Error::WrongLength`] and [`Error::Malformed`] if the prefix is not the length of what follows, otherwise as
            /// [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn recv_slice_with_len<A: Attached>(&self, buffer: &mut [u8]) -> Result<(usize, A), Error> {
                let mut prefix = LengthPrefix::default();
                let (came, attached) =
                    self.recv_iovec(&mut [IoSliceMut::new(&mut prefix), IoSliceMut::new(buffer)])$(.$await)??;
                $crate::attached::beside(length_behind(prefix, came), attached)
            }

            /// Receives one message of [`send_slice_with_len`](Self::send_slice_with_len) whatever its length.
            ///
            /// # Errors
            ///
            /// As [`recv_slice_with_len`](Self::recv_slice_with_len), and [`recv_vec`](Self::recv_vec).
            pub $($async)? fn recv_into_buf_with_len<A: Attached>(&self) -> Result<(Vec<u8>, A), Error> {
                let (bytes, attached) = self.recv_whole()$(.$await)??;
                $crate::attached::beside(without_prefix(bytes), attached)
            }
        }

        /// Plain structs, in the memory of the sender as in that of the receiver.
        impl $Socket {
            /// Sends the bytes of a value as one message. A type without padding derives `IntoBytes` of the crate `zerocopy`.
            ///
            /// # Errors
            ///
            /// As [`send_iovec`](Self::send_iovec).
            pub $($async)? fn send_struct<T: IntoBytes + Immutable + ?Sized>(
                &self,
                value: &T,
                fds: &[BorrowedFd<'_>],
            ) -> Result<(), Error> {
                self.send_slice(value.as_bytes(), fds)$(.$await)?
            }

            /// Receives a value of a type for which any bytes will do: `FromBytes` of the crate `zerocopy`.
            ///
            /// # Errors
            ///
            /// [`Error::WrongLength`] for a message that is shorter than the type, [`Error::TooLong`] for one that is longer, otherwise as
            /// [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn recv_struct<T: FromBytes + IntoBytes, A: Attached>(&self) -> Result<(T, A), Error> {
                let mut value = T::new_zeroed();
                let (length, attached) = self.recv_slice(value.as_mut_bytes())$(.$await)??;
                $crate::attached::beside(length_must_be(size_of::<T>() as u64, length).map(|()| value), attached)
            }
        }

        crate::forms::encoded!($Socket $(, $async, $await)?, "cbor", Cbor, send_cbor, recv_cbor, "CBOR, RFC 8949");
        crate::forms::encoded!($Socket $(, $async, $await)?, "json", Json, send_json, recv_json, "JSON, RFC 8259");
        crate::forms::encoded!($Socket $(, $async, $await)?, "postcard", Postcard, send_postcard, recv_postcard, "the format of the crate `postcard`");
    };
}

macro_rules! encoded {
    ($Socket:ident $(, $async:ident, $await:ident)?, $feature:literal, $codec:ident, $send:ident, $recv:ident, $name:literal) => {
        #[cfg(feature = $feature)]
        impl $Socket {
            #[doc = concat!("Sends a value in ", $name, ".")]
            ///
            /// # Errors
            ///
            /// [`Error::Encode`], otherwise as [`send_iovec`](Self::send_iovec).
            pub $($async)? fn $send<T: serde::Serialize + ?Sized>(
                &self,
                value: &T,
                fds: &[BorrowedFd<'_>],
            ) -> Result<(), Error> {
                let bytes = <crate::codec::$codec as crate::codec::Codec>::encode(value, Vec::new()).map_err(Error::Encode)?;
                self.send_slice(&bytes, fds)$(.$await)?
            }

            #[doc = concat!("Receives a value in ", $name, ".")]
            ///
            /// # Errors
            ///
            /// [`Error::Decode`] for a message that is not a value of this type, has more behind it, or is nested deeper than 128
            /// levels; otherwise as [`recv_iovec`](Self::recv_iovec).
            pub $($async)? fn $recv<T: serde::de::DeserializeOwned, A: Attached>(&self) -> Result<(T, A), Error> {
                let (bytes, attached) = self.recv_vec(usize::MAX)$(.$await)??;
                let decoded = <crate::codec::$codec as crate::codec::Codec>::decode(&bytes).map_err(Error::Decode);
                $crate::attached::beside(decoded, attached)
            }
        }
    };
}

pub(crate) use {encoded, forms};
