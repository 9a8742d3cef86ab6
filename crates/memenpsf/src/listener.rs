//! Meeting under a name.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    time::Instant,
};

use local_socket::{ConnectOptions, ConnectWaitMode, IntoName, ListenerOptions, Name};

use crate::{Credentials, Element, Error, Interface, Options, Role};

/// Waits for clients under a name: a path in the file system, or a name in the abstract namespace.
///
/// When the listener is dropped its path is removed, and whoever has connected and was not accepted is hung up on; but not by a forked
/// child, whose parent still listens there. After a SIGKILL the path stays, and the next `bind` replaces it: a socket that nobody listens
/// to, never a live one and never another kind of file.
#[derive(Debug)]
pub struct Listener {
    listener: local_socket::Listener,
    name: Name,
}

impl Listener {
    /// Listens at a path, of which [`Name::path`] says what it is: a bare one lies in the user's runtime directory. Or under a [`Name`].
    ///
    /// Who may connect is decided by the mode of the socket, which the umask sets, and by the directory. In the abstract namespace
    /// everybody may.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: `AddrInUse` when another process listens there, `AlreadyExists` when something lies there that is not a
    /// socket, `PermissionDenied` when it is another user's, `InvalidInput` for a path over 107 bytes. Otherwise see [`Name::path`]
    /// and [`ListenerOptions::create_sync`].
    pub fn bind(at: impl IntoName) -> Result<Self, Error> {
        let name = read(at)?;
        let listener = ListenerOptions::new(name.clone())
            .create_sync()
            .map_err(|source| Error::Io { doing: "listening", source })?;
        Ok(Self { listener, name })
    }

    /// Waits for the next client. It has only connected yet: [`Pending::open`] does the handshake, so a client that falls
    /// silent holds up nobody but the thread that opens it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`], see accept(2).
    pub fn accept(&self) -> Result<Pending, Error> {
        let accepting = |source| Error::Io { doing: "accepting a client", source };
        let stream = self.listener.accept().map_err(accepting)?;
        let credentials = stream.peer_credentials().map_err(accepting)?;
        Ok(Pending { stream: Some(stream.into()), credentials, owner: std::process::id() })
    }

    /// Where it listens.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The path at which it listens; empty for a name in the abstract namespace.
    pub fn path(&self) -> &Path {
        self.name.as_path().unwrap_or(Path::new(""))
    }
}

impl AsFd for Listener {
    /// Readable when a client waits.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }
}

/// A client that has connected.
///
/// Dropping it hangs up on the client, whoever has copies of its stream; a forked child that drops its copy does not.
#[derive(Debug)]
pub struct Pending {
    /// There until the drop.
    stream: Option<UnixStream>,
    credentials: Credentials,
    owner: u32,
}

impl Pending {
    /// Who it is.
    pub fn credentials(&self) -> Credentials {
        self.credentials
    }

    /// Waits for the client's side of the handshake.
    ///
    /// # Errors
    ///
    /// See [`Error`].
    pub fn open<T>(mut self, options: &Options) -> Result<Interface<T>, Error>
    where
        T: Element,
    {
        let stream = self.stream.take().expect("there until the drop");
        Interface::with_options(stream, Role::Server, options)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // What nobody will read could hold up the close.
        if let Some(stream) = self.stream.take_if(|_| self.owner == std::process::id()) {
            fdpass::hang_up(&stream);
        }
    }
}

impl<T> Interface<T> {
    /// Connects to the [`Listener`] at a path, or under a [`Name`], and **waits until it has answered**, up to
    /// [`handshake_timeout`](Options::handshake_timeout) in all.
    ///
    /// # Errors
    ///
    /// [`Error::Io`]: `NotFound` where there is no such path, `ConnectionRefused` where nobody listens. Otherwise see
    /// [`Error`] and [`Name::path`].
    pub fn connect(at: impl IntoName, options: &Options) -> Result<Self, Error>
    where
        T: Element,
    {
        let name = read(at)?;
        let after = options.get_handshake_timeout();
        let deadline = Instant::now().checked_add(after);
        let wait = ConnectWaitMode::Timeout(after);
        let stream =
            ConnectOptions::new(name).wait_mode(wait).connect_sync().map_err(|source| match source.kind() {
                io::ErrorKind::TimedOut => Error::TimedOut { after },
                _ => Error::Io { doing: "connecting", source },
            })?;
        let left = deadline.map_or(after, |deadline| deadline.saturating_duration_since(Instant::now()));
        Self::with_options(stream.into(), Role::Client, &options.clone().handshake_timeout(left)).map_err(|error| {
            match error {
                Error::TimedOut { .. } => Error::TimedOut { after },
                error => error,
            }
        })
    }
}

fn read(at: impl IntoName) -> Result<Name, Error> {
    at.into_name().map_err(|source| Error::Io { doing: "reading the path of the socket", source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sides_meet_under_a_name_in_the_abstract_namespace() {
        let name = Name::namespaced(format!("memenpsf.{}", std::process::id())).expect("a name");
        let listener = Listener::bind(&name).expect("a free name");
        assert_eq!((listener.name(), listener.path()), (&name, Path::new("")));
        let client = std::thread::spawn(move || Interface::<u64>::connect(name, &Options::new()).map(drop));
        let server: Interface<u64> = listener.accept().expect("a client").open(&Options::new()).expect("the same type");
        client.join().expect("no panic").expect("a server");
        drop(server);
    }
}
