//! Open files by their names in proc(5).

use std::{
    fs, io,
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
};

/// The path that leads to an open file, or through an open directory. What it is needed for is for the error's text.
pub(crate) fn path_of(fd: impl AsFd, what_for: &str) -> io::Result<PathBuf> {
    let path = PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()));
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(path),
        Err(_) => Err(io::Error::new(io::ErrorKind::Unsupported, format!("without /proc mounted, {what_for}"))),
    }
}
