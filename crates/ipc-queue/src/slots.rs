//! Filling this side's slots and copying out of the peer's.
//!
//! This file and `segment.rs` are the only ones that touch shared memory.
#![allow(unsafe_code, reason = "slots are reached through raw pointers")]

use std::{mem::MaybeUninit, ptr::NonNull};

use crate::{
    Element,
    segment::Segment,
    sync::{AtomicU64, Ordering::Relaxed},
};
#[cfg(target_arch = "aarch64")]
use core::arch::aarch64::uint8x16_t as Wide;
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::__m128i as Wide;
use core::sync::atomic::{AtomicU8, AtomicU16, AtomicU32};

/// From this many bytes on, one opaque block copy beats words.
const LONG: usize = 512;

/// Whether loads may be wider than an atomic: ThreadSanitizer sees atomics only.
const WIDER: bool = !cfg!(tsan);

/// The slots of a ring.
///
/// # Invariants
///
/// R1. `base` is aligned for `T` and has `mask + 1` slots behind it, mapped for as long as this lives (its holder keeps the
///     segment).
/// R2. `mask + 1` is a power of two.
#[derive(Debug)]
struct Slots<T> {
    base: NonNull<T>,
    mask: u64,
}

impl<T> Slots<T> {
    fn new(segment: &Segment, count: u64) -> Self {
        debug_assert!(count.is_power_of_two(), "the handshake agrees on powers of two");
        Self { base: segment.slots().cast(), mask: count.wrapping_sub(1) }
    }

    #[inline(always)]
    fn at(&self, position: u64) -> NonNull<T> {
        // SAFETY: R1, R2: the masked index is below the number of slots.
        unsafe { self.base.add((position & self.mask) as usize) }
    }

    /// How many of `n` slots from `position` on lie before the ring's end; the others begin at the first slot.
    #[inline(always)]
    fn before_wrap(&self, position: u64, n: usize) -> usize {
        n.min((self.mask - (position & self.mask) + 1) as usize)
    }
}

/// This side's own slots: nobody else can write to them.
#[derive(Debug)]
pub(crate) struct OwnSlots<T>(Slots<T>);

// SAFETY: a handle to memory that holds plain `T`s and that this handle alone uses in this process.
unsafe impl<T: Send> Send for OwnSlots<T> {}

impl<T: Element> OwnSlots<T> {
    /// The slots of a segment that this side made for `count` elements of type `T`.
    pub(crate) fn new(own: &Segment, count: u64) -> Self {
        Self(Slots::new(own, count))
    }

    #[inline(always)]
    pub(crate) fn fill(&mut self, position: u64, value: &T) {
        let slot = self.0.at(position).as_ptr();
        // SAFETY: one whole slot (R1), which no reference of this process covers while `&mut self` is held.
        unsafe { slot.copy_from_nonoverlapping(value, 1) };
    }

    /// Whether fetching the next slot makes the next `fill` faster: smaller ones come by themselves, and larger ones are copied by whole
    /// lines that need not be fetched.
    pub(crate) const PREFETCHES: bool = size_of::<T>() >= FETCHED && size_of::<T>() < 4096;

    /// Fetches the first lines of a free slot for writing: its last reader has them, and `fill` would wait for each.
    #[inline(always)]
    pub(crate) fn prefetch(&self, position: u64) {
        let slot = self.0.at(position).cast::<u8>().as_ptr();
        for offset in (0..FETCHED).step_by(LINE) {
            prefetch_for_writing(slot.wrapping_add(offset));
        }
    }

    /// Fills as many slots from `position` on as there are values: at most the ring.
    #[inline]
    pub(crate) fn fill_run(&mut self, position: u64, values: &[T]) {
        let (first, second) = self.slices_mut(position, values.len());
        let (before, after) = values.split_at(first.len());
        copy_slice(first, before);
        copy_slice(second, after);
    }

    /// `n` slots from `position` on, `n` at most the ring: two slices, since a ring wraps.
    #[inline]
    pub(crate) fn slices_mut(&mut self, position: u64, n: usize) -> (&mut [T], &mut [T]) {
        assert!(n as u64 <= self.0.mask + 1, "more slots than the ring has");
        let before = self.0.before_wrap(position, n);
        let (first, second) = (self.0.at(position), self.0.base);
        // SAFETY: `before` slots up to the ring's end (R1). The bytes of a memfd are always initialised, every bit pattern is
        // a `T`, and only this process can write them, here and nowhere else (`&mut self`).
        let first = unsafe { std::slice::from_raw_parts_mut(first.as_ptr(), before) };
        // SAFETY: as above; `n - before` slots from the start do not reach `position`, because `n` is at most the ring.
        let second = unsafe { std::slice::from_raw_parts_mut(second.as_ptr(), n - before) };
        (first, second)
    }
}

/// Bytes of a slot that are fetched before it is filled.
const FETCHED: usize = 1024;

/// Bytes of a cache line: where lines are longer, some are asked for twice.
const LINE: usize = 64;

#[inline(always)]
fn prefetch_for_writing(address: *const u8) {
    // SAFETY: a hint, which touches no memory as far as the program can see, whatever the address.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
}

/// A `memcpy`: elements are plain bytes.
#[inline(always)]
fn copy_slice<T: Element>(to: &mut [T], from: &[T]) {
    assert_eq!(to.len(), from.len());
    let to = to.as_mut_ptr();
    // SAFETY: two live slices of one length; one is in the segment, which no `&[T]` of a caller can be, because references into it
    // are lent out with the producer's borrow only.
    unsafe { to.copy_from_nonoverlapping(from.as_ptr(), from.len()) };
}

/// The peer's slots: it may write to them at any time, so elements are copied out and never referred to.
#[derive(Debug)]
pub(crate) struct PeerSlots<T>(Slots<T>);

// SAFETY: as for `OwnSlots`.
unsafe impl<T: Send> Send for PeerSlots<T> {}

impl<T: Element> PeerSlots<T> {
    /// The slots of a peer's segment that was judged to hold `count` elements of type `T`.
    pub(crate) fn new(peer: &Segment, count: u64) -> Self {
        Self(Slots::new(peer, count))
    }

    #[inline(always)]
    pub(crate) fn take(&self, position: u64) -> T {
        let mut value = MaybeUninit::<T>::uninit();
        self.take_into(position, &mut value);
        // SAFETY: `take_into` has written all of it, and every bit pattern is a `T`.
        unsafe { value.assume_init() }
    }

    #[inline(always)]
    fn take_into(&self, position: u64, out: &mut MaybeUninit<T>) {
        let slot = self.0.at(position);
        // SAFETY: one slot (R1), aligned for its own width; `out` is as large.
        unsafe { copy_out::<T>(slot, out.as_mut_ptr(), 1) };
    }

    /// Overwrites `out` with as many elements from `position` on: at most the ring.
    #[inline]
    pub(crate) fn overwrite(&self, position: u64, out: &mut [T]) {
        let out = std::ptr::from_mut(out) as *mut [MaybeUninit<T>];
        // SAFETY: same layout and the same borrow; `take_run` writes only whole elements through it.
        self.take_run(position, unsafe { &mut *out });
    }

    /// Appends `n` elements from `position` on: at most the ring.
    #[inline]
    pub(crate) fn append(&self, position: u64, n: usize, out: &mut Vec<T>) {
        out.reserve(n);
        self.take_run(position, &mut out.spare_capacity_mut()[..n]);
        // SAFETY: `take_run` has filled `n` elements of the spare capacity.
        unsafe { out.set_len(out.len() + n) };
    }

    /// Copies as many elements from `position` on as `out` has room for: at most the ring.
    #[inline]
    fn take_run(&self, position: u64, out: &mut [MaybeUninit<T>]) {
        assert!(out.len() as u64 <= self.0.mask + 1, "more slots than the ring has");
        let before = self.0.before_wrap(position, out.len());
        let (first, second) = out.split_at_mut(before);
        // SAFETY: `before` slots up to the ring's end (R1) into as many elements.
        unsafe { copy_out::<T>(self.0.at(position), first.as_mut_ptr().cast(), first.len()) };
        // SAFETY: the rest, from the first slot on, into as many elements.
        unsafe { copy_out::<T>(self.0.base, second.as_mut_ptr().cast(), second.len()) };
    }

    /// `n` slots from `position` on as slices.
    ///
    /// # Safety
    ///
    /// The peer must not write to these slots while the slices live, and `n` must be at most the ring.
    pub(crate) unsafe fn slices(&self, position: u64, n: usize) -> (&[T], &[T]) {
        let before = self.0.before_wrap(position, n);
        // SAFETY: `before` slots up to the ring's end (R1), initialised; the caller vouches for the peer.
        let first = unsafe { std::slice::from_raw_parts(self.0.at(position).as_ptr(), before) };
        // SAFETY: as above, from the first slot on.
        let second = unsafe { std::slice::from_raw_parts(self.0.base.as_ptr(), n - before) };
        (first, second)
    }
}

/// Copies `n` elements out of memory that the peer may be writing to.
///
/// Each word is loaded by one relaxed atomic load whose width, the largest power of two up to 8 that divides an element, is always the
/// same at the same address. Wider loads and long runs are opaque assembly, which the compiler takes for bytes that came from anywhere.
/// What arrives may be a mixture of what the peer wrote, and every mixture is a `T`.
///
/// # Safety
///
/// `from` has `n` slots behind it in a live mapping; `to` has room for `n` elements and does not overlap them.
#[inline(always)]
unsafe fn copy_out<T>(from: NonNull<T>, to: *mut T, n: usize) {
    let bytes = n * size_of::<T>();
    let (from, to) = (from.cast::<u8>().as_ptr().cast_const(), to.cast::<u8>());
    if bytes >= LONG {
        // SAFETY: the caller's promise, in bytes.
        return unsafe { copy_block(from, to, bytes) };
    }
    let mut offset = 0;
    while WIDER && offset + size_of::<Wide>() <= bytes {
        // SAFETY: the caller's promise: these bytes are below `bytes`.
        unsafe { copy_wide(from.wrapping_add(offset), to.wrapping_add(offset)) };
        offset += size_of::<Wide>();
    }
    let width = const { width(size_of::<T>()) };
    while offset < bytes {
        // SAFETY: `offset` is a multiple of `width`, which divides a `Wide` as well, and below `bytes`, which is one too; slots begin
        // at a page boundary, so `from + offset` is aligned for `width`.
        unsafe { copy_word(from.wrapping_add(offset), to.wrapping_add(offset), width) };
        offset += width;
    }
}

/// The largest power of two up to 8 that divides `size`.
const fn width(size: usize) -> usize {
    let lowest_bit = size & size.wrapping_neg();
    if lowest_bit > 8 { 8 } else { lowest_bit }
}

/// # Safety
///
/// `from` is aligned for `width` and has that many bytes in a live mapping; `to` has room for them.
#[inline(always)]
unsafe fn copy_word(from: *const u8, to: *mut u8, width: usize) {
    macro_rules! copy {
        ($atomic:ty, $integer:ty) => {{
            // SAFETY: aligned and mapped (the caller's promise); touched by atomics only.
            let word = unsafe { &*from.cast::<$atomic>() }.load(Relaxed);
            // SAFETY: room for it (the caller's promise); `to` may have any alignment.
            unsafe { to.cast::<$integer>().write_unaligned(word) }
        }};
    }
    match width {
        1 => copy!(AtomicU8, u8),
        2 => copy!(AtomicU16, u16),
        4 => copy!(AtomicU32, u32),
        _ => copy!(AtomicU64, u64),
    }
}

/// # Safety
///
/// `from` has the bytes of a `Wide` in a live mapping, and `to` has room for them. Either may have any alignment.
#[inline(always)]
unsafe fn copy_wide(from: *const u8, to: *mut u8) {
    let word: Wide;
    // SAFETY: reads just the bytes promised.
    #[cfg(target_arch = "x86_64")]
    unsafe {
        core::arch::asm!("movdqu {to}, [{from}]", to = out(xmm_reg) word, from = in(reg) from,
            options(nostack, preserves_flags, readonly));
    }
    // SAFETY: as above.
    #[cfg(target_arch = "aarch64")]
    unsafe {
        core::arch::asm!("ldr {to:q}, [{from}]", to = out(vreg) word, from = in(reg) from,
            options(nostack, preserves_flags, readonly));
    }
    // SAFETY: room for it (the caller's promise).
    unsafe { to.cast::<Wide>().write_unaligned(word) };
}

/// # Safety
///
/// `from` has `bytes` bytes in a live mapping, `to` has room for them, and they do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn copy_block(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: reads and writes just the bytes promised; the direction flag is clear by the ABI.
    unsafe {
        core::arch::asm!(
            "rep movsb",
            inout("rcx") bytes => _, inout("rsi") from => _, inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

/// # Safety
///
/// `from` has `bytes` bytes in a live mapping, `to` has room for them, and they do not overlap.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
unsafe fn copy_block(from: *const u8, to: *mut u8, bytes: usize) {
    // SAFETY: reads and writes just the bytes promised: pairs of words while there are 16 bytes, then single ones.
    unsafe {
        core::arch::asm!(
            "2: subs {left}, {left}, #16",
            "b.lo 3f",
            "ldp {a}, {b}, [{from}], #16",
            "stp {a}, {b}, [{to}], #16",
            "b 2b",
            "3: adds {left}, {left}, #16",
            "b.eq 5f",
            "4: ldrb {a:w}, [{from}], #1",
            "strb {a:w}, [{to}], #1",
            "subs {left}, {left}, #1",
            "b.ne 4b",
            "5:",
            left = inout(reg) bytes => _, from = inout(reg) from => _, to = inout(reg) to => _,
            a = out(reg) _, b = out(reg) _,
            options(nostack)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_as_wide_as_the_element_allows() {
        let widths: Vec<usize> = [1, 2, 3, 4, 6, 8, 12, 24, 64, 1000, 65536].map(width).to_vec();
        assert_eq!(widths, [1, 2, 1, 4, 2, 8, 4, 8, 8, 8, 8]);
    }

    #[test]
    fn copies_of_any_length_arrive_whole() {
        let from: Vec<u8> = (0..4096u32).map(|i| (i % 251) as u8).collect();
        for length in (0..=64).chain([511, 512, 513, 1000, 4095, 4096]) {
            let mut to = vec![0; length];
            let start = NonNull::from(&from[0]);
            // SAFETY: both have `length` bytes.
            unsafe { copy_out::<u8>(start, to.as_mut_ptr(), length) };
            assert_eq!(to, from[..length], "{length} bytes");
        }
    }
}
