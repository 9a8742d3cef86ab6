//! What the two public halves have in common, written once.

/// For a type whose field `half` is a `Half`.
macro_rules! impl_accessors {
    ($half:ident) => {
        impl<T> $half<T> {
            /// Takes the bells from the socket.
            pub fn disarm(&mut self) {
                self.half.disarm();
            }

            /// How many elements the ring holds.
            pub fn capacity(&self) -> usize {
                self.half.capacity()
            }

            /// How the blocking forms wait, as was chosen when the connection was made: for what is built on a half.
            #[doc(hidden)]
            pub fn waits(&self) -> crate::Wait {
                self.half.waits()
            }

            /// Whether the peer is there, as far as can be known now. One or two system calls.
            pub fn is_connected(&mut self) -> bool {
                self.half.is_connected()
            }

            /// This side's name.
            pub fn name(&self) -> &str {
                &self.half.connection().about.name
            }

            /// The peer's name, as it says.
            pub fn peer_name(&self) -> &str {
                &self.half.connection().about.peer_name
            }

            /// Who was at the other end of the stream when it was connected, unix(7).
            pub fn peer_credentials(&self) -> crate::Credentials {
                self.half.connection().about.peer_credentials
            }

            /// The process that did the handshake, where the kernel tells (Linux 6.5): readable when it is dead.
            pub fn peer_pidfd(&self) -> Option<std::os::fd::BorrowedFd<'_>> {
                self.half.connection().pidfd()
            }

            /// Counters since the connection was made.
            pub fn stats(&self) -> crate::Stats {
                crate::Stats::of(&self.half)
            }
        }

        impl<T> std::os::fd::AsFd for $half<T> {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                self.half.socket()
            }
        }

        impl<T> std::os::fd::AsRawFd for $half<T> {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                self.half.socket().as_raw_fd()
            }
        }
    };
}
pub(crate) use impl_accessors;
