//! Joining the server and leaving it.

use std::{io::ErrorKind, os::unix::fs::FileTypeExt, path::Path, time::Duration};

use memenpsf::{Error, Interface, RecvError, XmitErrorKind};

use crate::{
    arguments::Outcome,
    message::{Message, options},
};

/// Joins the server at `socket`.
///
/// # Errors
///
/// Nobody listens there, or the two do not fit together.
pub fn connect(socket: &Path, name: &str) -> Outcome<Interface<Message>> {
    Interface::connect(socket, &options(name)).map_err(|error| {
        let is_file = socket.metadata().is_ok_and(|metadata| !metadata.file_type().is_socket());
        let socket = socket.display();
        let nobody = |kind| matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused);
        match error {
            Error::Io { source, .. } if nobody(source.kind()) && is_file => format!("{socket} is no socket").into(),
            Error::Io { doing: "connecting", source } if nobody(source.kind()) => format!(
                "no server listens at {socket}: `cargo run --release --bin ipc-server -- --socket {socket}` starts one"
            )
            .into(),
            Error::Refused(refused) => format!("no handshake with the server at {socket}: {refused}").into(),
            other => format!("cannot join the server at {socket}: {other}").into(),
        }
    })
}

/// How long a server may be silent. One that is stopped would be so for ever.
const PATIENCE: Duration = Duration::from_secs(10);
const SILENT: &str = "the server has been silent for ten seconds: is it stopped?";

/// The server's next message, asleep while there is none.
///
/// # Errors
///
/// The server is gone, or silent for too long.
pub fn answer(interface: &mut Interface<Message>) -> Outcome<Message> {
    interface.recv_timeout(PATIENCE).map_err(|error| match error {
        RecvError::TimedOut => SILENT.into(),
        error => error.into(),
    })
}

/// Transmits one message, asleep while there is no room.
///
/// # Errors
///
/// As [`answer`].
pub fn transmit(interface: &mut Interface<Message>, message: Message) -> Outcome {
    interface.xmit_timeout(message, PATIENCE).map_err(|error| match error.kind {
        XmitErrorKind::TimedOut => SILENT.into(),
        _ => error.into(),
    })
}

/// Leaves it in order: this side has finished, and so has the server once it has answered everything.
///
/// # Errors
///
/// The server is gone, or had something more to say.
pub fn leave(mut interface: Interface<Message>) -> Outcome {
    interface.finish()?;
    match interface.recv_timeout(PATIENCE) {
        Err(RecvError::Finished) => Ok(()),
        Err(RecvError::TimedOut) => Err(SILENT.into()),
        Err(end) => Err(format!("the server did not finish: {end}").into()),
        Ok(message) => Err(format!("message {} came although nothing was due", message.number).into()),
    }
}
