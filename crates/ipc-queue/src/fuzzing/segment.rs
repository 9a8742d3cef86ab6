//! Descriptors of every kind in the segment's place.

use std::{
    fs::{File, OpenOptions},
    ops::Range,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags},
    io::Errno,
};

use crate::{
    Reason,
    fuzzing::{Reached, input::Input},
    layout::Word,
    segment::{Geometry, Segment},
    slots::PeerSlots,
    sync::Ordering::Relaxed,
};

/// The largest file that is made.
const LARGEST: u64 = 4 << 20;
const PAGE: u64 = 4096;
/// Slots of 8 bytes, as announced: the last are more than is looked at in one piece.
const COUNTS: [u64; 7] = [0, 1, 2, 8, 512, 1024, 1 << 18];

/// One descriptor with one announced geometry: it is mapped exactly when it has all that `docs/safety.md`, rule 2, asks for, and refused
/// for the first thing that it lacks.
pub fn segment(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let geometry = Geometry {
        slot_count: if input.below(8) == 0 { input.u64() } else { COUNTS[input.below(COUNTS.len())] },
        element_size: if input.below(8) == 0 { input.u64() } else { 8 },
        element_align: 8,
    };
    let Ok((fd, flaw)) = descriptor(&geometry, &mut input) else { return Reached::new() };
    let adopted = Segment::adopt(&fd, geometry);
    let said = adopted.as_ref().err().map(|flaw| flaw.reason);
    match flaw {
        Due::Nothing | Due::Flaw(_) => assert_eq!(said, flaw.reason(), "{geometry:?}"),
        Due::NoMemfd => assert!(
            matches!(said, Some(Reason::SegmentType | Reason::SegmentUnsealed)),
            "what is no memfd was not refused for that: {said:?}"
        ),
    }
    if let Ok(segment) = adopted {
        must_be_readable(&segment, &geometry);
    }
    Reached::from([said.map_or("sound".into(), |reason| format!("{reason:?}"))])
}

/// What a judge should find wrong.
enum Due {
    Nothing,
    Flaw(Reason),
    /// Where it lies decides which of two flaws shows first.
    NoMemfd,
}

impl Due {
    fn reason(&self) -> Option<Reason> {
        if let Self::Flaw(reason) = self { Some(*reason) } else { None }
    }
}

fn descriptor(geometry: &Geometry, input: &mut Input<'_>) -> Result<(OwnedFd, Due), Errno> {
    let failed = |error: std::io::Error| Errno::from_io_error(&error).unwrap_or(Errno::IO);
    let other: OwnedFd = match input.below(16) {
        0 => File::open("/dev/null").map_err(failed)?.into(),
        1 => File::open("/").map_err(failed)?.into(),
        2 => UnixStream::pair().map_err(failed)?.0.into(),
        3 => rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?,
        4 => std::io::pipe().map_err(failed)?.0.into(),
        5 => File::open("/proc/self/exe").map_err(failed)?.into(),
        _ => return file(geometry, input),
    };
    Ok((other, Due::NoMemfd))
}

/// A memfd, more or less as it should be, and what is wrong with it.
fn file(geometry: &Geometry, input: &mut Input<'_>) -> Result<(OwnedFd, Due), Errno> {
    let huge = input.below(16) == 0;
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let fd = rustix::fs::memfd_create(c"fuzzed", if huge { flags | MemfdFlags::HUGETLB } else { flags })?;
    let right = geometry.size().unwrap_or(0);
    let size = match input.below(8) {
        0 => right.wrapping_add(1),
        1 => right.wrapping_sub(1),
        2 => right.wrapping_add(PAGE),
        3 => right.wrapping_sub(PAGE),
        4 => input.u64() % LARGEST,
        _ => right,
    };
    let size = if huge { 0 } else { size.min(LARGEST) };
    rustix::fs::ftruncate(&fd, size)?;
    let present = if huge { vec![] } else { pages(&fd, size, input)? };
    let all = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    let without = [SealFlags::SHRINK, SealFlags::GROW, SealFlags::FUTURE_WRITE, SealFlags::SEAL, SealFlags::empty()];
    let seals = if input.below(4) == 0 { all - without[input.below(5)] } else { all };
    rustix::fs::fcntl_add_seals(&fd, seals)?;
    let (fd, readable) = reopened(fd, input)?;
    let checks = [
        (seals == all, Reason::SegmentUnsealed),
        (!huge, Reason::SegmentType),
        (geometry.size() == Some(size), Reason::SegmentSize),
        (readable, Reason::SegmentUnmappable),
        (present.iter().all(|there| *there), Reason::SegmentSparse),
    ];
    let flaw = checks.into_iter().find(|(fits, _)| !fits);
    Ok((fd, flaw.map_or(Due::Nothing, |(_, reason)| Due::Flaw(reason))))
}

/// Makes some pages of the file present, and some behind its end; which of the former are there.
fn pages(fd: &OwnedFd, size: u64, input: &mut Input<'_>) -> Result<Vec<bool>, Errno> {
    let mut present = vec![false; size.div_ceil(PAGE) as usize];
    let mut allocate = |range: Range<u64>, flags| {
        if range.is_empty() {
            return Ok(());
        }
        let pages = (range.start / PAGE) as usize..range.end.div_ceil(PAGE) as usize;
        present.iter_mut().take(pages.end).skip(pages.start).for_each(|page| *page = true);
        rustix::fs::fallocate(fd, flags, range.start, range.end - range.start)
    };
    match input.below(4) {
        0 => {}
        1 => allocate(PAGE..size, FallocateFlags::empty())?,
        _ => allocate(0..size, FallocateFlags::empty())?,
    }
    let (hole, behind) = (input.below(8) == 0, input.below(4) == 0);
    if hole {
        // From where it begins, one page: only a whole page is taken away.
        let from = input.byte();
        let from = if input.flag() { size.saturating_sub(u64::from(from) * PAGE) } else { u64::from(from) * 512 };
        rustix::fs::fallocate(fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, from, PAGE)?;
        if from.is_multiple_of(PAGE)
            && let Some(page) = present.get_mut((from / PAGE) as usize)
        {
            *page = false;
        }
    }
    if behind {
        // As many blocks as are missing, so that their number is right.
        let missing = present.iter().filter(|there| !**there).count() as u64;
        let from = size.next_multiple_of(PAGE);
        if missing > 0 {
            rustix::fs::fallocate(fd, FallocateFlags::KEEP_SIZE, from, missing * PAGE)?;
        }
    }
    Ok(present)
}

/// The same file, maybe by a descriptor that allows less; and whether that allows reading.
fn reopened(fd: OwnedFd, input: &mut Input<'_>) -> Result<(OwnedFd, bool), Errno> {
    let (read, write) = [(true, true), (true, true), (true, false), (false, true)][input.below(4)];
    if read && write {
        return Ok((fd, true));
    }
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let file = OpenOptions::new().read(read).write(write).open(path);
    file.map(|file| (file.into(), read)).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
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
