//! Payloads that travel as a sealed memfd: memfd_create(2), fcntl(2).

use std::{
    fs::File,
    io::{self, Write},
    os::fd::OwnedFd,
};

use rustix::{
    buffer::spare_capacity,
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, memfd_create},
    io::{Errno, pread},
};

use crate::{Error, wait::uninterrupted};

/// Nobody can make it longer or shorter, or write into it, or take these seals off.
const SEALED: SealFlags = SealFlags::SEAL.union(SealFlags::SHRINK).union(SealFlags::GROW).union(SealFlags::WRITE);

/// A page that the kernel has in hand, to move it for example, cannot be sealed: `EBUSY`, after a tenth of a second or so.
const SEALING_ATTEMPTS: usize = 10;

/// A copy of these bytes that nobody can change.
pub(crate) fn sealed(bytes: &[u8]) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let create = |flags| memfd_create(c"local-socket", flags);
    let memory = match create(flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(Errno::INVAL) => create(flags),
        result => result,
    }?;
    let mut memory = File::from(memory);
    memory.write_all(bytes)?;
    let mut attempts = 1..SEALING_ATTEMPTS;
    loop {
        match fcntl_add_seals(&memory, SEALED) {
            Err(Errno::BUSY) if attempts.next().is_some() => {}
            result => break result?,
        }
    }
    Ok(memory.into())
}

/// A peer's descriptor must be a memfd of this length that nobody can change any more.
pub(crate) fn must_be_sealed(memory: &OwnedFd, length: usize) -> Result<(), Error> {
    // Which only memfds answer, and without waiting; fstat(2) of any other file might wait for whoever serves it.
    if !fcntl_get_seals(memory).is_ok_and(|seals| seals.contains(SEALED)) {
        return Err(Error::Malformed { why: "the message's payload does not lie in a sealed memfd" });
    }
    let size = fstat(memory).map_err(io::Error::from)?.st_size;
    if u64::try_from(size) != Ok(length as u64) {
        return Err(Error::WrongLength { expected: length as u64, got: size.cast_unsigned() });
    }
    Ok(())
}

/// The bytes of a peer's memfd. Nothing is allocated before it was judged.
pub(crate) fn read(memory: &OwnedFd, length: usize) -> Result<Vec<u8>, Error> {
    must_be_sealed(memory, length)?;
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Error::Io(io::ErrorKind::OutOfMemory.into()))?;
    while bytes.len() < length {
        let offset = bytes.len() as u64;
        match uninterrupted(|| pread(memory, spare_capacity(&mut bytes), offset)) {
            Ok(0) => return Err(Error::Io(io::ErrorKind::UnexpectedEof.into())),
            Ok(_) => {}
            // Opened for writing only.
            Err(Errno::BADF) => {
                return Err(Error::Malformed { why: "the message's payload lies in a memfd that cannot be read" });
            }
            Err(errno) => return Err(Error::Io(errno.into())),
        }
    }
    bytes.truncate(length);
    Ok(bytes)
}
