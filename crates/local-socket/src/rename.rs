//! Moving a file to another name and what is there with it, also where the file system knows only what POSIX does.

use std::{fs, io, path::Path};

use rustix::{
    fs::{AtFlags, CWD, RenameFlags, linkat, renameat_with, unlinkat},
    io::Errno,
};

/// Moves a file to a name that is free; `EXIST` where it is not, `OPNOTSUPP` where the file system knows no way.
pub(crate) fn move_to_free(from: &Path, to: &Path) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Err(errno) if is_unknown(errno) => {
            // PERM is what link(2) says of a file system without links.
            linkat(CWD, from, CWD, to, AtFlags::empty()).map_err(|errno| match errno {
                Errno::PERM | Errno::NOSYS => Errno::OPNOTSUPP,
                errno => errno,
            })?;
            unlinkat(CWD, from, AtFlags::empty())
        }
        result => result,
    }
}

/// What became of what was at the name to which a file was moved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// It has the other name now.
    Exchanged,
    /// It is gone.
    Lost,
}

/// Moves a file to a name that is taken, in one step.
pub(crate) fn move_over(from: &Path, to: &Path) -> io::Result<Replaced> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::EXCHANGE) {
        Err(errno) if is_unknown(errno) => fs::rename(from, to).map(|()| Replaced::Lost),
        result => Ok(result.map(|()| Replaced::Exchanged)?),
    }
}

/// Network file systems know no flags, and sandboxes may not know the call, rename(2).
fn is_unknown(errno: Errno) -> bool {
    matches!(errno, Errno::INVAL | Errno::NOSYS)
}
