//! Pages of a forked child's own, with a pattern in them, at the very addresses where its parent has its segments.
#![allow(unsafe_code, reason = "mapping pages at chosen addresses")]

use std::{ffi::c_void, num::NonZeroUsize, ptr::NonNull};

use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

const PAGE: usize = 4096;
/// Pages beside those that take the segments' places.
const MORE: usize = 1000;

/// # Invariants
///
/// O1. Each was mapped by this process, one page, writable, and only this process knows of it.
pub(crate) struct OwnPages(Vec<NonNull<c_void>>);

/// The addresses of the pages of all segments that are mapped now.
pub(crate) fn segment_pages() -> Vec<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let ranges = maps.lines().filter(|line| line.contains("memfd:memenpsf")).map(|line| {
        let (start, rest) = line.split_once('-').unwrap();
        let (end, _) = rest.split_once(' ').unwrap();
        usize::from_str_radix(start, 16).unwrap()..usize::from_str_radix(end, 16).unwrap()
    });
    ranges.flat_map(|range| range.step_by(PAGE)).collect()
}

impl OwnPages {
    /// Maps one page at each of `places`, which must be free, and 1 000 elsewhere.
    pub(crate) fn map(places: &[usize]) -> Self {
        let elsewhere = std::iter::repeat_n(None, MORE);
        let places = places.iter().map(|&place| NonZeroUsize::new(place)).chain(elsewhere);
        let pages = places.map(|place| {
            let fixed = if place.is_some() { MapFlags::MAP_FIXED_NOREPLACE } else { MapFlags::empty() };
            let flags = MapFlags::MAP_PRIVATE | fixed;
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            // SAFETY: never takes the place of another mapping.
            unsafe { mmap_anonymous(place, NonZeroUsize::new(PAGE).unwrap(), protection, flags) }.unwrap()
        });
        let mut own = Self(pages.collect());
        own.words().for_each(|(pattern, word)| *word = pattern);
        own
    }

    /// Panics unless every page is as it was made.
    pub(crate) fn check(&mut self) {
        self.words().for_each(|(pattern, word)| assert_eq!(*word, pattern, "a page of the child's own has changed"));
    }

    /// Every word, with what should be in it: its address, which no position can be.
    fn words(&mut self) -> impl Iterator<Item = (usize, &mut usize)> {
        self.0.iter().flat_map(|page| {
            // SAFETY: O1.
            let words = unsafe { std::slice::from_raw_parts_mut(page.as_ptr().cast::<usize>(), PAGE / 8) };
            words.iter_mut().map(|word| (std::ptr::from_ref(word).addr(), word))
        })
    }
}
