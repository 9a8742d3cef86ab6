//! Segments from system calls, and both kinds of mappings of them: `docs/memory-layout.md`, version 1.
#![allow(unsafe_code, reason = "a hostile peer writes to shared memory as it likes")]

use std::{
    fs::File,
    io::IoSlice,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::FileExt,
    },
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
};

use memmap2::{Advice, MmapOptions, MmapRaw, UncheckedAdvice};
use nix::{
    sys::uio::{RemoteIoVec, process_vm_writev},
    unistd::getpid,
};
use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags},
    mm::MprotectFlags,
};

/// The slots of the hostile peer, where it has any.
pub const SLOTS: u64 = 8;
/// Bytes of a segment with as many slots of eight bytes.
pub const SIZE: u64 = 12288;
/// Bytes of a segment without slots.
pub const BARE: u64 = 8192;
/// The file system of memfds.
pub const TMPFS: u64 = 0x0102_1994;
/// The four seals that a segment must have, as a number.
pub const SEALS: u64 = 0x17;

/// Where the live words begin, and each of them from there.
pub const LIVE: usize = 4096;
/// Published so far.
pub const TAIL: usize = 0;
/// Taken so far.
pub const HEAD: usize = 128;
/// "Ring me when your tail reaches this."
pub const WAKE_TAIL: usize = 256;
/// "Ring me when your head reaches this."
pub const WAKE_HEAD: usize = 384;
/// 0, and 1 once no more will come.
pub const FINISHED: usize = 392;
/// Where the slots begin.
pub const FIRST_SLOT: usize = 8192;

/// The four seals.
pub fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// A memfd as it comes, named as honest ones so that a mapping of it is counted.
pub fn bare_memfd(size: u64, allocate: bool) -> OwnedFd {
    let fd = rustix::fs::memfd_create("memenpsf", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).expect("a memfd");
    rustix::fs::ftruncate(&fd, size).expect("a size");
    if allocate {
        rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, size).expect("memory");
    }
    fd
}

/// A memfd with these seals, not mapped.
pub fn memfd(size: u64, seals: SealFlags, allocate: bool) -> OwnedFd {
    let fd = bare_memfd(size, allocate);
    rustix::fs::fcntl_add_seals(&fd, seals).expect("seals");
    fd
}

/// A writable mapping of a segment.
#[derive(Debug)]
pub struct Segment {
    map: Arc<MmapRaw>,
    /// How many slots it is said to have.
    pub slots: u64,
    /// Words of an element, all of them alike.
    pub words: usize,
}

impl Segment {
    /// A correct segment of that many bytes, and its descriptor.
    pub fn new(size: u64) -> (Self, OwnedFd) {
        Self::of(bare_memfd(size, true), seals())
    }

    /// Maps that memfd, then seals it.
    pub fn of(fd: OwnedFd, seals: SealFlags) -> (Self, OwnedFd) {
        let file = File::from(fd);
        let map = MmapOptions::new().map_raw(&file).expect("a mapping");
        rustix::fs::fcntl_add_seals(&file, seals).expect("seals");
        (Self { map: map.into(), slots: SLOTS, words: 1 }, file.into())
    }

    /// The same mapping, for another thread.
    pub fn again(&self) -> Self {
        Self { map: Arc::clone(&self.map), slots: self.slots, words: self.words }
    }

    /// The word at that offset of the file.
    pub fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len());
        let base = self.map.as_mut_ptr();
        // SAFETY: inside the mapping (asserted).
        let word = unsafe { base.add(offset) };
        // SAFETY: aligned, mapped as long as `self`, and touched by atomics only on this side.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Bytes of the file.
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.map.len()
    }

    /// madvise(2) to throw away the pages of the file itself.
    pub fn remove_pages(&self) -> std::io::Result<()> {
        // SAFETY: what is reached by atomics only may become anything.
        unsafe { self.map.unchecked_advise(UncheckedAdvice::Remove) }
    }

    /// madvise(2) to throw away this mapping's pages; those of the file stay.
    pub fn forget_pages(&self) -> std::io::Result<()> {
        // SAFETY: the mapping is shared, so nothing changes.
        unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) }
    }

    /// Sets a live word.
    pub fn set(&self, word: usize, value: u64) {
        self.word(LIVE + word).store(value, SeqCst);
    }

    /// Puts an element where that position has its slot.
    pub fn put(&self, position: u64, value: u64) {
        let first = self.words * (position % self.slots) as usize;
        (first..first + self.words).for_each(|word| self.word(FIRST_SLOT + 8 * word).store(value, SeqCst));
    }

    /// `n` elements from a position on, each its own position, published.
    pub fn publish(&self, from: u64, n: u64) {
        (0..n).map(|i| from.wrapping_add(i)).for_each(|position| self.put(position, position));
        self.set(TAIL, from.wrapping_add(n));
    }
}

/// A mapping that may only be read.
#[derive(Debug)]
pub struct ReadOnly {
    map: MmapRaw,
}

impl ReadOnly {
    /// Of the honest end's segment.
    pub fn new(fd: impl AsFd) -> Self {
        let file = File::from(fd.as_fd().try_clone_to_owned().expect("a copy of a descriptor"));
        Self { map: MmapOptions::new().map_raw_read_only(&file).expect("a mapping") }
    }

    /// The word at that offset of the file.
    pub fn word(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len());
        let base = self.map.as_ptr();
        // SAFETY: inside the mapping (asserted).
        let word = unsafe { base.add(offset) }.cast::<AtomicU64>();
        // SAFETY: mapped, aligned, and loaded only.
        unsafe { &*word }.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// A live word.
    pub fn live(&self, word: usize) -> u64 {
        let value = self.word(LIVE + word);
        std::sync::atomic::fence(SeqCst);
        value
    }

    /// mprotect(2) to writable.
    pub fn make_writable(&self) -> rustix::io::Result<()> {
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the mapping is this process's own, and nobody here relies on its being read-only.
        unsafe { rustix::mm::mprotect(self.map.as_mut_ptr().cast(), self.map.len(), flags) }
    }

    /// `MADV_POPULATE_WRITE`, as if it had been written to.
    pub fn populate_for_writing(&self) -> std::io::Result<()> {
        self.map.advise(Advice::PopulateWrite)
    }

    /// By `/proc/self/mem`, which ignores what a mapping allows.
    pub fn write_by_proc(&self) -> std::io::Result<()> {
        let memory = File::options().write(true).open("/proc/self/mem")?;
        memory.write_all_at(&[0xFF; 16], self.map.as_ptr() as u64 + LIVE as u64)
    }

    /// process_vm_writev(2) to oneself.
    pub fn write_as_remote(&self) -> nix::Result<()> {
        let to = RemoteIoVec { base: self.map.as_ptr() as usize + LIVE, len: 16 };
        process_vm_writev(getpid(), &[IoSlice::new(&[0xFF; 16])], &[to]).map(drop)
    }

    /// madvise(2) to throw the file's pages away.
    pub fn remove_pages(&self) -> std::io::Result<()> {
        // SAFETY: no reference into this mapping exists.
        unsafe { self.map.unchecked_advise(UncheckedAdvice::Remove) }
    }
}

/// A private writable mapping: a copy that the honest end never sees.
pub fn private_copy(fd: &OwnedFd) -> std::io::Result<()> {
    // SAFETY: the bytes are written to and never read as anything.
    let mut copy = unsafe { MmapOptions::new().map_copy(fd) }?;
    copy.fill(0xFF);
    Ok(())
}
