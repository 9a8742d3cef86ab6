//! Structs with padding, whose bytes only an `unsafe` call may send and receive.
#![allow(unsafe_code, reason = "a struct with padding has bytes that Rust knows nothing of")]

use std::{mem::MaybeUninit, os::fd::BorrowedFd, slice};

use crate::{Attached, Error, Socket, forms::length_must_be};

/// The memory of a value, padding included.
///
/// # Safety
///
/// Nobody reads the padding but the kernel.
unsafe fn memory_of<T>(value: &T) -> &[u8] {
    // SAFETY: the memory of a value is as long as its type, borrowed with the value, and any address is one for bytes. Not all of them
    // need be initialised, and so must not be read here: their address and number go to sendmsg(2), and the kernel reads them.
    unsafe { slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) }
}

/// Zeros of the size and alignment of a type, to receive into.
struct Blank<T>(MaybeUninit<T>);

impl<T> Blank<T> {
    fn new() -> Self {
        Self(MaybeUninit::zeroed())
    }

    fn memory(&mut self) -> &mut [u8] {
        // SAFETY: all bytes were set to zero, padding included, and only bytes are ever written over them; the slice is as long as the
        // type, and borrowed with `self`.
        unsafe { slice::from_raw_parts_mut(self.0.as_mut_ptr().cast::<u8>(), size_of::<T>()) }
    }
}

macro_rules! raw_forms {
    ($Socket:ty $(, $async:ident, $await:ident)?) => {
        /// Structs with padding.
        ///
        /// ```
        /// # use local_socket::Socket;
        /// #[repr(C)]
        /// struct Padded {
        ///     one: i8,
        ///     // Three bytes here belong to no field.
        ///     two: u32,
        /// }
        /// ```
        ///
        /// Nobody sets those three bytes, and Rust may not read them: the safe [`send_struct`](Self::send_struct) refuses such a type. Sent they can be, by
        /// `unsafe` calls, with whatever lies there. The safe repair is to give the bytes a name:
        ///
        /// ```
        /// use local_socket::Socket;
        /// use zerocopy::{FromBytes, Immutable, IntoBytes};
        ///
        /// #[derive(Debug, PartialEq, FromBytes, Immutable, IntoBytes)]
        /// #[repr(C)]
        /// struct Repaired {
        ///     one: i8,
        ///     reserved: [u8; 3],
        ///     two: u32,
        /// }
        ///
        /// let (here, there) = Socket::pair()?;
        /// let value = Repaired { one: -1, reserved: [0; 3], two: 2 };
        /// here.send_struct(&value, &[])?;
        /// let (received, []) = there.recv_struct::<Repaired, [_; 0]>()?;
        /// assert_eq!(received, value);
        /// # Ok::<(), std::io::Error>(())
        /// ```
        impl $Socket {
            /// Sends the memory of a value as one message, padding included.
            ///
            /// # Safety
            ///
            /// The receiver gets every byte of the value: the padding too, in which there can be remains of anything that this process had
            /// in that memory before, and of references and pointers their addresses. The caller answers for giving these away. Nobody may
            /// change the value meanwhile, also not through a `Cell` or an atomic in it.
            ///
            /// # Errors
            ///
            /// As [`send_iovec`](Self::send_iovec).
            pub $($async)? unsafe fn send_struct_raw<T>(&self, value: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
                // SAFETY: the bytes are only handed to the kernel.
                let memory = unsafe { memory_of(value) };
                self.send_slice(memory, fds)$(.$await)?
            }

            /// Receives a value as its memory: aligned, and of exactly the type's size.
            ///
            /// # Safety
            ///
            /// Any bytes that the peer may send must be a valid value of the type: a `bool` of 2, a reference to anywhere or a `char` beyond
            /// Unicode is undefined behaviour here.
            ///
            /// # Errors
            ///
            /// [`Error::WrongLength`] for a message that is shorter than the type, [`Error::TooLong`] for one that is longer, otherwise as
            /// [`recv_iovec`](Self::recv_iovec).
            pub $($async)? unsafe fn recv_struct_raw<T, A: Attached>(&self) -> Result<(T, A), Error> {
                let mut blank = Blank::<T>::new();
                let (length, attached) = self.recv_slice(blank.memory())$(.$await)??;
                let whole = length_must_be(size_of::<T>() as u64, length);
                // SAFETY: all bytes came from the peer, and are a value, as the caller promises.
                crate::attached::beside(whole.map(|()| unsafe { blank.0.assume_init() }), attached)
            }
        }
    };
}

raw_forms!(Socket);
#[cfg(feature = "tokio")]
raw_forms!(crate::tokio::Socket, async, await);
