//! Segments: making one's own, judging the peer's, and the way to the words and slots in both.
//!
//! This file and `slots.rs` are the only ones that touch shared memory.
#![allow(unsafe_code, reason = "the words in a mapping are reached through raw pointers")]

use std::{fs::File, os::fd::OwnedFd, ptr::NonNull};

use memfd::{FileSeal, Memfd};
use memmap2::{Advice, MmapOptions, MmapRaw};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags},
    io::Errno,
};
use zerocopy::IntoBytes;

use crate::{
    Error, Reason,
    layout::{self, Counter, Header, LIVE, SLOTS, Word},
    sync::{AtomicU64, Ordering::Relaxed},
};

/// The seals of a segment: its size is fixed, and nobody can write to it but through a mapping that exists already.
const SEALS: [FileSeal; 4] = [FileSeal::SealShrink, FileSeal::SealGrow, FileSeal::SealFutureWrite, FileSeal::SealSeal];

/// The file system type of memfds, linux/magic.h.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// How many slots of what size a segment has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) slot_count: u64,
    pub(crate) element_size: u64,
    pub(crate) element_align: u32,
}

impl Geometry {
    /// Bytes of the segment; `None` beyond 64 bits.
    pub(crate) fn size(&self) -> Option<u64> {
        layout::segment_size(self.slot_count, self.element_size)
    }
}

/// A mapping of a whole segment.
///
/// # Invariants
///
/// S1. `map` covers at least `SLOTS` bytes, from a page boundary, until it drops: two pages and all slots.
/// S2. A mapping made by `create` is writable, and no other writable mapping of the segment exists in any process.
/// S3. A mapping made by `adopt` is read-only, and the peer can write to the memory at any time: no reference into it
///     is made but `&AtomicU64`, and that by `LivePage::word` only.
/// S4. The file behind it can neither shrink nor lose pages (sealed, and every block was there), so no access can fail.
#[derive(Debug)]
pub(crate) struct Segment {
    map: MmapRaw,
}

impl Segment {
    /// Makes a segment, sealed before anybody else can have its descriptor.
    pub(crate) fn create(geometry: Geometry, name: &str) -> Result<(Self, OwnedFd), Error> {
        let too_large = Error::Io { doing: "sizing the segment", source: Errno::FBIG.into() };
        let size = geometry.size().ok_or(too_large)?;
        check_file_size_limit(size)?;
        let file = memfd()?;
        rustix::fs::ftruncate(&file, size).map_err(Error::io("sizing the segment"))?;
        write_zeros(&file, size).map_err(Error::io("allocating the segment's memory"))?;
        write_header(&file, geometry, name).map_err(Error::io("writing the segment's header"))?;
        // S1: `size` is at least two pages.
        let map = MmapOptions::new()
            .len(usize::try_from(size).unwrap_or(usize::MAX))
            .map_raw(&file)
            .map_err(Error::io("mapping the segment"))?;
        map.advise(Advice::DontFork).map_err(Error::io("keeping the segment out of forked children"))?;
        // S2 and S4 hold from here on.
        Ok((Self { map }, seal(file)?))
    }

    /// Maps each page, so that no first touch faults; before Linux 5.14 each does.
    pub(crate) fn make_present(&self) {
        let _ = self.map.advise(Advice::PopulateRead);
    }

    /// Judges what the peer sent in its segment's place, and maps it if it is what it should be.
    pub(crate) fn adopt(fd: &OwnedFd, geometry: Geometry) -> Result<Self, Flaw> {
        let size = geometry.size().unwrap_or(u64::MAX);
        let blocks = judge_file(fd, size)?;
        let unmappable =
            |source: std::io::Error| Flaw::new(Reason::SegmentUnmappable, 0, source.raw_os_error().unwrap_or(0));
        let length = usize::try_from(size).unwrap_or(usize::MAX);
        let map = MmapOptions::new().len(length).map_raw_read_only(fd).map_err(unmappable)?;
        map.advise(Advice::DontFork).map_err(unmappable)?;
        judge_holes(&map, fd, blocks)?;
        Ok(Self { map })
    }

    /// Sets a position of this side's own, and the wake word beside it to "nobody asked", before the peer looks.
    pub(crate) fn start(&self, position: Word, wake: Word, start: u64) {
        let live = self.live();
        live.word(position).store(start, Relaxed);
        live.word(wake).store(start, Relaxed);
    }

    /// The same mapping for the other end of a ring in this process: ThreadSanitizer knows memory by its address. The segments and
    /// their aliases must never be dropped.
    #[cfg(all(test, tsan))]
    pub(crate) fn alias(&self) -> Self {
        // SAFETY: neither of the two is dropped, so the mapping stays.
        Self { map: unsafe { std::ptr::read(&self.map) } }
    }

    /// Leaves the mapping to whatever lies there now: a forked child does not have it.
    pub(crate) fn abandon(self) {
        std::mem::forget(self.map);
    }

    pub(crate) fn live(&self) -> LivePage {
        let base = self.base();
        // SAFETY: S1: the live page is inside the mapping.
        LivePage(unsafe { base.add(LIVE) })
    }

    /// The first byte of the first slot.
    pub(crate) fn slots(&self) -> NonNull<u8> {
        let base = self.base();
        // SAFETY: S1: at most one past the end of the mapping, where there are no slots.
        unsafe { base.add(SLOTS) }
    }

    fn base(&self) -> NonNull<u8> {
        NonNull::new(self.map.as_mut_ptr()).expect("no mapping lies at address 0")
    }
}

/// A memfd, not executable where the kernel can say so (Linux 6.3).
fn memfd() -> Result<OwnedFd, Error> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    rustix::fs::memfd_create(c"memenpsf", flags | MemfdFlags::NOEXEC_SEAL)
        .or_else(|errno| if errno == Errno::INVAL { rustix::fs::memfd_create(c"memenpsf", flags) } else { Err(errno) })
        .map_err(Error::io("making a memfd"))
}

/// Gives a file all its pages. Those that fallocate(2) gives are zeroed only when they are touched, one fault each.
fn write_zeros(file: &OwnedFd, size: u64) -> Result<(), Errno> {
    static ZEROS: [u8; 4 * layout::PAGE] = [0; 4 * layout::PAGE];
    let mut written = 0;
    while written < size {
        let length = (size - written).min(ZEROS.len() as u64) as usize;
        let more = rustix::io::retry_on_intr(|| rustix::io::pwrite(file, &ZEROS[..length], written))?;
        // A file that takes nothing would be asked for ever.
        written += if more == 0 { return Err(Errno::NOSPC) } else { more as u64 };
    }
    Ok(())
}

fn write_header(file: &OwnedFd, geometry: Geometry, name: &str) -> Result<(), Errno> {
    let mut header = Header {
        magic: layout::SEGMENT_MAGIC,
        layout_version: layout::LAYOUT_VERSION,
        page: layout::PAGE as u16,
        pid: std::process::id(),
        slot_count: geometry.slot_count,
        element_size: geometry.element_size,
        element_align: geometry.element_align,
        name_length: name.len() as u32,
        name: [0; 256],
    };
    header.name[..name.len()].copy_from_slice(name.as_bytes());
    rustix::io::retry_on_intr(|| rustix::io::pwrite(file, header.as_bytes(), 0)).map(drop)
}

/// Bytes made present at once.
const PIECE: u64 = 1 << 20;

/// Where each piece of a file begins, and how long it is.
fn pieces(size: u64) -> impl Iterator<Item = (u64, u64)> {
    (0..size).step_by(PIECE as usize).map(move |offset| (offset, PIECE.min(size - offset)))
}

/// Exceeding this limit would be a signal (SIGXFSZ), not an error.
fn check_file_size_limit(needed: u64) -> Result<(), Error> {
    // By nix: the same question of rustix has no answer for a sandbox that denies it.
    let (limit, _) = getrlimit(Resource::RLIMIT_FSIZE).map_err(Error::io("asking how large a file may be"))?;
    if limit != RLIM_INFINITY && needed > limit { Err(Error::FileSizeLimit { needed, limit }) } else { Ok(()) }
}

fn seal(file: OwnedFd) -> Result<OwnedFd, Error> {
    let memfd = Memfd::try_from_file(File::from(file))
        .map_err(|_| Error::Unsupported { what: "memfds cannot be sealed (Linux 5.1 and later can)" })?;
    match memfd.add_seals(&SEALS) {
        Ok(()) => Ok(memfd.into_file().into()),
        Err(memfd::Error::AddSeals(source)) if source.raw_os_error() == Some(Errno::INVAL.raw_os_error()) => {
            Err(Error::Unsupported { what: "it does not know F_SEAL_FUTURE_WRITE (Linux 5.1 and later do)" })
        }
        Err(memfd::Error::AddSeals(source) | memfd::Error::Create(source) | memfd::Error::GetSeals(source)) => {
            Err(Error::Io { doing: "sealing the segment", source })
        }
    }
}

/// What is wrong with the descriptor in the segment's place: what was expected, and what was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    pub(crate) reason: Reason,
    pub(crate) here: u64,
    pub(crate) there: u64,
}

impl Flaw {
    fn new(reason: Reason, here: u64, there: impl TryInto<u64>) -> Self {
        Self { reason, here, there: there.try_into().unwrap_or(u64::MAX) }
    }
}

/// The checks in an order in which each makes the next one meaningful.
///
/// The seals come first: only files on shmem have any, and asking for them asks no file system. Any other question about a file
/// of a FUSE file system waits for the answer of a process that the peer chose, maybe for ever.
fn judge_file(fd: &OwnedFd, size: u64) -> Result<u64, Flaw> {
    let unreadable = |errno: Errno| Flaw::new(Reason::SegmentType, 0, errno.raw_os_error());
    let seals = rustix::fs::fcntl_get_seals(fd).map_err(unreadable)?;
    let needed = SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL;
    if !seals.contains(needed) {
        return Err(Flaw::new(Reason::SegmentUnsealed, u64::from(needed.bits()), seals.bits()));
    }
    let file_system = rustix::fs::fstatfs(fd).map_err(unreadable)?.f_type as u64;
    if file_system != TMPFS_MAGIC {
        return Err(Flaw::new(Reason::SegmentType, TMPFS_MAGIC, file_system));
    }
    // Now that the seals are known to be there, size and blocks cannot change any more.
    let stat = rustix::fs::fstat(fd).map_err(unreadable)?;
    if stat.st_size as u64 != size {
        return Err(Flaw::new(Reason::SegmentSize, size, stat.st_size));
    }
    Ok(stat.st_blocks as u64)
}

/// The number of blocks alone proves nothing: those beyond the end of a file count too. So each page is made present, which changes
/// nothing where everything is there; the first piece that had a hole is the last that is made so at our expense.
fn judge_holes(map: &MmapRaw, fd: &OwnedFd, blocks: u64) -> Result<(), Flaw> {
    let failed = |errno: Errno| Flaw::new(Reason::SegmentUnmappable, 0, errno.raw_os_error());
    pieces(map.len() as u64).try_for_each(|piece| {
        make_present(map, fd, piece).map_err(failed)?;
        if rustix::fs::fstat(fd).map_err(failed)?.st_blocks as u64 != blocks {
            return Err(Flaw::new(Reason::SegmentSparse, map.len() as u64, blocks.saturating_mul(512)));
        }
        Ok(())
    })
}

/// By the mapping: before Linux 6.15 allocating takes a lock of the file, and who writes to it out of memory whose page faults he answers
/// himself keeps that lock. Before 5.14 there is only allocating.
fn make_present(map: &MmapRaw, fd: &OwnedFd, (offset, length): (u64, u64)) -> Result<(), Errno> {
    let populate = || {
        let populated = map.advise_range(Advice::PopulateRead, offset as usize, length as usize);
        populated.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    match rustix::io::retry_on_intr(populate) {
        // On many kernels any signal, also a stop and its end, interrupts this and undoes what it has done: a piece is done before the
        // next signal of a process that gets many.
        Err(Errno::INVAL) => {
            rustix::io::retry_on_intr(|| rustix::fs::fallocate(fd, FallocateFlags::empty(), offset, length))
        }
        result => result,
    }
}

/// The page with the live words of one segment.
///
/// # Invariants
///
/// L1. Whoever holds one keeps the segment mapped for as long (`Shared` and `Connection` hold both).
#[derive(Clone, Copy, Debug)]
pub(crate) struct LivePage(NonNull<u8>);

// SAFETY: what a page leads to is reached by atomics only.
unsafe impl Send for LivePage {}

impl LivePage {
    /// The one gate to shared words.
    #[inline(always)]
    pub(crate) fn word(&self, word: Word) -> &AtomicU64 {
        self.at(word as usize)
    }

    /// Adds one to a counter of this side's own page.
    pub(crate) fn count(&self, group: Word, counter: Counter) {
        let counter = self.at(group as usize + counter as usize);
        // One half writes its group, so a load and a store are enough.
        counter.store(counter.load(Relaxed).wrapping_add(1), Relaxed);
    }

    pub(crate) fn counter(&self, group: Word, counter: Counter) -> u64 {
        self.at(group as usize + counter as usize).load(Relaxed)
    }

    #[inline(always)]
    fn at(&self, offset: usize) -> &AtomicU64 {
        // SAFETY: L1, S1: `Word` and `Counter` lie inside the page (asserted in `layout.rs`).
        let word = unsafe { self.0.add(offset) }.cast::<AtomicU64>();
        // SAFETY: aligned (page base, offsets are multiples of 8), mapped (L1), and touched by atomics only (S3).
        unsafe { word.as_ref() }
    }
}
