//! What a process has begun and done, written where it can be read when that process stands still or is dead.
#![allow(unsafe_code, reason = "words in memory that two processes share")]

use std::{
    fs::{File, OpenOptions},
    os::fd::AsRawFd,
    sync::atomic::{
        AtomicU64,
        Ordering::{Acquire, Release},
    },
};

use memmap2::{MmapOptions, MmapRaw};
use rustix::fs::MemfdFlags;

/// The words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// How many elements would be sent if what was begun had been done.
    SendingUpTo,
    /// How many were sent.
    Sent,
    /// How many elements would be taken, at most, if what was begun had been done.
    TakingUpTo,
    /// How many were taken.
    Taken,
    /// 1 when finishing was begun, 2 when it was done.
    Finishing,
    /// 1 when the closing of the sending half was begun.
    ClosingSender,
    /// 1 when the closing of the receiving half was begun.
    ClosingReceiver,
    /// 1 during an operation, 0 before and after.
    Inside,
}

const BYTES: u64 = 4096;

/// A page of such words. It does not go away with the process that writes it.
#[derive(Debug)]
pub struct Progress {
    file: File,
    map: MmapRaw,
}

impl Progress {
    /// A new page, all words 0.
    pub fn create() -> Self {
        let fd = rustix::fs::memfd_create("progress", MemfdFlags::CLOEXEC).expect("a memfd");
        let file = File::from(fd);
        file.set_len(BYTES).expect("room for a page");
        Self::map(file)
    }

    /// The page that another process has made and calls by that name.
    pub fn open(name: &str) -> Self {
        Self::map(
            OpenOptions::new()
                .read(true)
                .write(true)
                .open(name)
                .expect("the page of the process that started this one"),
        )
    }

    fn map(file: File) -> Self {
        let map = MmapOptions::new().len(BYTES as usize).map_raw(&file).expect("a mapping of the page");
        Self { file, map }
    }

    /// How another process finds it, as long as this one lives.
    pub fn name(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }

    /// What a word says.
    pub fn get(&self, word: Word) -> u64 {
        self.word(word).load(Acquire)
    }

    /// Sets a word, behind everything that came before.
    pub fn set(&self, word: Word, value: u64) {
        self.word(word).store(value, Release);
    }

    /// Sets all words to 0.
    pub fn reset(&self) {
        for word in ALL {
            self.set(word, 0);
        }
    }

    fn word(&self, word: Word) -> &AtomicU64 {
        let base = self.map.as_mut_ptr().cast::<AtomicU64>();
        // SAFETY: a page has 512 words, and there are eight.
        let word = unsafe { base.add(word as usize) };
        // SAFETY: aligned, mapped for as long as `self` lives, and touched by atomics only, in both processes.
        unsafe { &*word }
    }
}

const ALL: [Word; 8] = [
    Word::SendingUpTo,
    Word::Sent,
    Word::TakingUpTo,
    Word::Taken,
    Word::Finishing,
    Word::ClosingSender,
    Word::ClosingReceiver,
    Word::Inside,
];
