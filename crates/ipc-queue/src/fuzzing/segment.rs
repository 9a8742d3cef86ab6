//! Descriptors of every kind in the segment's place.

use std::{
    fs::File,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags},
    io::Errno,
};

use crate::{
    fuzzing::input::Input,
    layout::Word,
    segment::{Geometry, Segment},
    slots::PeerSlots,
    sync::Ordering::Relaxed,
};

/// The largest file that is made.
const LARGEST: u64 = 1 << 20;

/// One descriptor with one announced geometry: it is mapped exactly when it has all that `docs/safety.md`, rule 2, asks for.
pub fn segment(bytes: &[u8]) {
    let mut input = Input(bytes);
    let geometry = Geometry {
        slot_count: if input.below(8) == 0 { input.u64() } else { [0, 1, 2, 8, 512, 1024][input.below(6)] },
        element_size: if input.below(8) == 0 { input.u64() } else { 8 },
        element_align: 8,
    };
    let Ok(fd) = descriptor(&geometry, &mut input) else { return };
    let due = is_sound(&fd, &geometry);
    let adopted = Segment::adopt(&fd, geometry);
    assert_eq!(adopted.is_ok(), due, "{geometry:?}: {:?}", adopted.as_ref().err());
    if let Ok(segment) = adopted {
        must_be_readable(&segment, &geometry);
    }
}

fn descriptor(geometry: &Geometry, input: &mut Input<'_>) -> Result<OwnedFd, Errno> {
    Ok(match input.below(16) {
        0 => File::open("/dev/null").map_err(|_| Errno::NOENT)?.into(),
        1 => File::open("/").map_err(|_| Errno::NOENT)?.into(),
        2 => UnixStream::pair().map_err(|_| Errno::MFILE)?.0.into(),
        3 => rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?,
        4 => std::io::pipe().map_err(|_| Errno::MFILE)?.0.into(),
        5 => File::open("/proc/self/exe").map_err(|_| Errno::NOENT)?.into(),
        _ => file(geometry, input)?,
    })
}

/// A memfd, more or less as it should be.
fn file(geometry: &Geometry, input: &mut Input<'_>) -> Result<OwnedFd, Errno> {
    let fd = rustix::fs::memfd_create(c"fuzzed", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let right = geometry.size().unwrap_or(0);
    let size = match input.below(8) {
        0 => right.wrapping_add(1),
        1 => right.wrapping_sub(1),
        2 => right.wrapping_add(4096),
        3 => right.wrapping_sub(4096),
        4 => input.u64() % LARGEST,
        _ => right,
    };
    let size = size.min(LARGEST);
    rustix::fs::ftruncate(&fd, size)?;
    let (from, length) = match input.below(4) {
        0 => (0, 0),
        1 => (4096, size.saturating_sub(4096)),
        _ => (0, size),
    };
    if length > 0 {
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), from, length)?;
    }
    if input.below(8) == 0 {
        let hole = u64::from(input.byte()) * 512;
        rustix::fs::fallocate(&fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, hole, 4096)?;
    }
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    let without = [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE, SealFlags::SEAL, SealFlags::empty()];
    let seals = if input.below(4) == 0 { all - without[input.below(5)] } else { all };
    rustix::fs::fcntl_add_seals(&fd, seals)?;
    Ok(fd)
}

/// The four rules, asked in another way than the judge does.
fn is_sound(fd: &OwnedFd, geometry: &Geometry) -> bool {
    let Ok(seals) = rustix::fs::fcntl_get_seals(fd) else { return false };
    let Ok(metadata) = fd.as_fd().try_clone_to_owned().map(File::from).and_then(|file| file.metadata()) else {
        return false;
    };
    let slots = u128::from(geometry.slot_count) * u128::from(geometry.element_size);
    let size = 8192 + slots.div_ceil(4096) * 4096;
    // `F_SEAL_SEAL`, `_SHRINK`, `_GROW` and `_FUTURE_WRITE`, fcntl(2).
    let sealed = [1, 2, 4, 16].iter().all(|seal| seals.bits() & seal != 0);
    let blocks = std::os::unix::fs::MetadataExt::blocks(&metadata);
    metadata.is_file() && sealed && u128::from(metadata.len()) == size && u128::from(blocks) * 512 >= size
}

fn must_be_readable(segment: &Segment, geometry: &Geometry) {
    for word in [Word::Tail, Word::Head, Word::WakeTail, Word::WakeHead, Word::Finished] {
        assert_eq!(segment.live().word(word).load(Relaxed), 0);
    }
    if geometry.element_size == 8 && geometry.slot_count.is_power_of_two() {
        let slots = PeerSlots::<u64>::new(segment, geometry.slot_count);
        assert_eq!((slots.take(0), slots.take(geometry.slot_count - 1)), (0, 0));
    }
}
