//! Each test once, for the socket that waits and for that of tokio.
#![allow(unsafe_code, reason = "structs with padding are sent and received by unsafe calls")]

use std::{
    fmt,
    io::{IoSlice, IoSliceMut},
    os::fd::{AsFd, BorrowedFd},
};

use local_socket::{Attached, Error, Socket};
use tokio::runtime::Builder;
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::rig::Watchdog;

/// Declares what both sockets can do, and that they can.
macro_rules! can {
    ($(
        $(#[$attribute:meta])*
        $name:ident [$($generics:tt)*] ($($arg:ident: $type:ty),*) -> $result:ty;
    )*) => {
        /// A socket of one form or the other. The calls of the one that waits are futures that are ready at once.
        pub(crate) trait Form: AsFd + fmt::Debug + Send + Sync + TryFrom<Socket, Error: fmt::Debug> + 'static {
            $($(#[$attribute])* async fn $name<$($generics)*>(&self, $($arg: $type),*) -> Result<$result, Error>;)*
            fn ask_for_credentials(&self);
            /// Safe for types that have no bytes but valid ones.
            async unsafe fn send_struct_raw<T>(&self, value: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Error>;
            /// Safe for types of which any bytes are a value.
            async unsafe fn recv_struct_raw<T, A: Attached>(&self) -> Result<(T, A), Error>;
        }

        can! { @impl Socket; $($(#[$attribute])* $name [$($generics)*] ($($arg: $type),*) -> $result;)* }
        #[cfg(feature = "tokio")]
        can! { @impl local_socket::tokio::Socket, await; $($(#[$attribute])* $name [$($generics)*] ($($arg: $type),*) -> $result;)* }
    };
    (@impl $Socket:path $(, $await:ident)?; $($methods:tt)*) => {
        can! { @methods $Socket, ($(.$await)?); $($methods)* }
    };
    (@methods $Socket:path, $await:tt; $(
        $(#[$attribute:meta])*
        $name:ident [$($generics:tt)*] ($($arg:ident: $type:ty),*) -> $result:ty;
    )*) => {
        impl Form for $Socket {
            $($(#[$attribute])* async fn $name<$($generics)*>(&self, $($arg: $type),*) -> Result<$result, Error> {
                can! { @awaited (<$Socket>::$name(self, $($arg),*)) $await }
            })*

            fn ask_for_credentials(&self) {
                <$Socket>::set_pass_credentials(self, true).unwrap();
            }

            async unsafe fn send_struct_raw<T>(&self, value: &T, fds: &[BorrowedFd<'_>]) -> Result<(), Error> {
                // SAFETY: as the caller promises.
                can! { @awaited (unsafe { <$Socket>::send_struct_raw(self, value, fds) }) $await }
            }

            async unsafe fn recv_struct_raw<T, A: Attached>(&self) -> Result<(T, A), Error> {
                // SAFETY: as the caller promises.
                can! { @awaited (unsafe { <$Socket>::recv_struct_raw(self) }) $await }
            }
        }
    };
    (@awaited $call:tt ()) => { $call };
    (@awaited $call:tt (.await)) => { $call.await };
}

can! {
    send_slice [] (bytes: &[u8], fds: &[BorrowedFd<'_>]) -> ();
    recv_slice [A: Attached] (buffer: &mut [u8]) -> (usize, A);
    send_iovec [] (pieces: &[IoSlice<'_>], fds: &[BorrowedFd<'_>]) -> ();
    recv_iovec [A: Attached] (buffers: &mut [IoSliceMut<'_>]) -> (usize, A);
    recv_into_buf [A: Attached] (size: usize) -> (Vec<u8>, A);
    recv_vec [A: Attached] (max: usize) -> (Vec<u8>, A);
    send_slice_with_len [] (bytes: &[u8], fds: &[BorrowedFd<'_>]) -> ();
    recv_slice_with_len [A: Attached] (buffer: &mut [u8]) -> (usize, A);
    recv_into_buf_with_len [A: Attached] () -> (Vec<u8>, A);
    send_struct [T: IntoBytes + Immutable + ?Sized] (value: &T, fds: &[BorrowedFd<'_>]) -> ();
    recv_struct [T: FromBytes + IntoBytes, A: Attached] () -> (T, A);
    #[cfg(feature = "cbor")]
    send_cbor [T: serde::Serialize + ?Sized] (value: &T, fds: &[BorrowedFd<'_>]) -> ();
    #[cfg(feature = "cbor")]
    recv_cbor [T: serde::de::DeserializeOwned, A: Attached] () -> (T, A);
    #[cfg(feature = "json")]
    send_json [T: serde::Serialize + ?Sized] (value: &T, fds: &[BorrowedFd<'_>]) -> ();
    #[cfg(feature = "json")]
    recv_json [T: serde::de::DeserializeOwned, A: Attached] () -> (T, A);
    #[cfg(feature = "postcard")]
    send_postcard [T: serde::Serialize + ?Sized] (value: &T, fds: &[BorrowedFd<'_>]) -> ();
    #[cfg(feature = "postcard")]
    recv_postcard [T: serde::de::DeserializeOwned, A: Attached] () -> (T, A);
}

/// Two ends in the same form. Only where there is a runtime.
pub(crate) fn pair<S: Form>() -> (S, S) {
    let (one, other) = Socket::pair().unwrap();
    (S::try_from(one).unwrap(), S::try_from(other).unwrap())
}

/// Runs a test, within its time.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let _watchdog = Watchdog::new();
    Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Makes tests of functions that are generic over the [`Form`].
macro_rules! in_both_forms {
    ($($test:ident)*) => {
        mod sync {
            $(#[test]
            fn $test() {
                crate::both::run(super::$test::<local_socket::Socket>());
            })*
        }

        #[cfg(feature = "tokio")]
        mod tokio {
            $(#[test]
            fn $test() {
                crate::both::run(super::$test::<local_socket::tokio::Socket>());
            })*
        }
    };
}

pub(crate) use in_both_forms;
