//! FIFO files.

use std::{io, path::Path};

use rustix::fs::{CWD, FileType, Mode, OFlags, mkfifoat, openat};

use crate::place::{remove_own, set_mode};

/// Creates a FIFO file with exactly this mode, whatever the umask. mkfifo(3).
///
/// `mode` has permission bits only, such as `0o600`. Until the file has its mode it has fewer bits, never more. What is at `path`
/// already is not touched, be it a FIFO or a symbolic link. The file is opened as any other, see fifo(7):
///
/// - `File::open(path)` for reading waits until somebody opens it for writing, and `File::options().write(true).open(path)` the other
///   way round;
/// - with `custom_flags(O_NONBLOCK)` the one for reading succeeds at once, and the one for writing fails with `ENXIO` while nobody reads;
/// - `tokio::net::unix::pipe::OpenOptions` opens it for tokio.
///
/// What was opened behaves as an end of a [`pipe`](crate::pipe). [`std::fs::remove_file`] removes the name, and who has the file open
/// goes on with it. Each byte goes to one reader; for a server of several clients there is [`Listener`](crate::Listener).
///
/// # Errors
///
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists) if anything is at `path`; [`InvalidInput`](io::ErrorKind::InvalidInput) for a mode
/// with other bits or a path without a file name; [`Unsupported`](io::ErrorKind::Unsupported) for a mode that the umask does not allow,
/// without `/proc` mounted; otherwise as mkfifo(3), open(2) and chmod(2). If the mode cannot be set the file is removed.
pub fn create_fifo(path: impl AsRef<Path>, mode: u32) -> io::Result<()> {
    let invalid = |text| io::Error::new(io::ErrorKind::InvalidInput, text);
    if mode & !0o777 != 0 {
        return Err(invalid("the mode of a fifo has permission bits only, 0o777 at most"));
    }
    let mode = Mode::from_bits_retain(mode);
    let path = path.as_ref();
    let name = Path::new(path.file_name().ok_or_else(|| invalid("the path of a fifo ends with its name"))?);
    // One look at the directory: whoever moves it can neither have another file's mode set nor another file removed.
    let parent = path.parent().filter(|parent| *parent != "").unwrap_or(Path::new("."));
    let directory = openat(CWD, parent, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    mkfifoat(&directory, name, mode)?;
    set_mode(&directory, name, FileType::Fifo, mode).inspect_err(|_| remove_own(&directory, name, FileType::Fifo))
}
