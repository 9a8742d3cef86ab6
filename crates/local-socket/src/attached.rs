//! What comes beside the bytes of a message.

use std::os::fd::OwnedFd;

use fdpass::{Credentials, MAX_FDS, discard};

use crate::Error;

/// What a receiving function is to return beside the bytes of a message. The type says how many descriptors may come:
///
/// - `[OwnedFd; N]`: exactly so many, none with `[OwnedFd; 0]`; another number is [`Error::WrongFds`];
/// - `Vec<OwnedFd>`: as many as there are;
/// - `([OwnedFd; N], Credentials)`, `(Vec<OwnedFd>, Credentials)`: the same, and who sent the message: its process, user and group at
///   that moment, vouched for by the kernel (`SCM_CREDENTIALS`, unix(7)), for a socket that
///   [asks](crate::Socket::set_pass_credentials) for them.
///
/// All descriptors are close-on-exec, and in the order in which they were given to the sending function.
pub trait Attached: Sized + sealed::Sealed {
    #[doc(hidden)]
    const MAX: usize;

    #[doc(hidden)]
    fn take(fds: Vec<OwnedFd>, sender: Option<Credentials>) -> Result<Self, Error>;

    /// Closes the descriptors, as [`discard`] does.
    #[doc(hidden)]
    fn give_up(self);
}

/// What was made of the bytes of a message, and what came beside them; that is closed if nothing was.
pub(crate) fn beside<T, A: Attached>(made: Result<T, Error>, attached: A) -> Result<(T, A), Error> {
    match made {
        Ok(made) => Ok((made, attached)),
        Err(error) => {
            attached.give_up();
            Err(error)
        }
    }
}

mod sealed {
    use super::{Credentials, OwnedFd};

    pub trait Sealed {}
    impl<const N: usize> Sealed for [OwnedFd; N] {}
    impl Sealed for Vec<OwnedFd> {}
    impl<A: Sealed> Sealed for (A, Credentials) {}
}

impl<const N: usize> Attached for [OwnedFd; N] {
    const MAX: usize = {
        assert!(N <= MAX_FDS, "a message carries 253 descriptors at most");
        N
    };

    fn take(fds: Vec<OwnedFd>, _: Option<Credentials>) -> Result<Self, Error> {
        fds.try_into().map_err(|fds: Vec<OwnedFd>| {
            let got = fds.len();
            discard(fds);
            Error::WrongFds { expected: N, got }
        })
    }

    fn give_up(self) {
        discard(self);
    }
}

impl Attached for Vec<OwnedFd> {
    const MAX: usize = MAX_FDS;

    fn take(fds: Vec<OwnedFd>, _: Option<Credentials>) -> Result<Self, Error> {
        Ok(fds)
    }

    fn give_up(self) {
        discard(self);
    }
}

impl<A: Attached> Attached for (A, Credentials) {
    const MAX: usize = A::MAX;

    fn take(fds: Vec<OwnedFd>, sender: Option<Credentials>) -> Result<Self, Error> {
        let attached = A::take(fds, sender)?;
        beside(sender.ok_or(Error::NoCredentials), attached).map(|(sender, attached)| (attached, sender))
    }

    fn give_up(self) {
        self.0.give_up();
    }
}
