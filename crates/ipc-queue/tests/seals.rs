//! A peer that has an end's memfd can read it and nothing else.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::{
    fs::{File, OpenOptions},
    os::{fd::AsRawFd, unix::fs::FileExt},
    time::Duration,
};

use memmap2::MmapOptions;
use rig::{Kind, Raw, ReadOnly};
use rustix::{
    fs::{FallocateFlags, SealFlags},
    io::Errno,
};

const SLOT: usize = 8192;

/// The size of the segment, read anew.
fn size(raw: &Raw) -> u64 {
    rustix::fs::fstat(&raw.theirs).unwrap().st_size as u64
}

/// Elements in the slots, then the attempt, then the elements are still there, and the ring works.
fn attempt(what: &'static str, attack: impl Fn(&Raw)) {
    let alone = rig::alone(what);
    for kind in [Kind::Producer, Kind::DuplexServer, Kind::DuplexClient] {
        let (mut end, raw) = rig::open(kind, rig::options());
        let values: Vec<u64> = (0..8).map(|n| 0xA5A5_0000 + n).collect();
        assert_eq!(end.producer().push_slice(&values), Ok(8));
        let before = size(&raw);
        attack(&raw);
        assert_eq!(size(&raw), before, "{what}, {kind:?}: the size");
        let seen = ReadOnly::new(&raw.theirs);
        let there: Vec<u64> = (0..8).map(|n| seen.word(SLOT + 8 * n)).collect();
        assert_eq!(there, values, "{what}, {kind:?}: the elements");
        assert_eq!(seen.word(4096 + rig::TAIL), 8, "{what}, {kind:?}: the tail");
        raw.segment.set(rig::HEAD, 8);
        end.producer().push_timeout(77, Duration::from_secs(5)).unwrap();
        assert_eq!(seen.word(SLOT), 77, "{what}, {kind:?}: the next element");
        drop((end, raw, seen));
    }
    alone.assert_nothing_left(what);
}

#[test]
fn a_peer_cannot_map_the_segment_writable() {
    attempt("mmap, shared and writable", |raw| {
        let error = MmapOptions::new().map_raw(&raw.theirs).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(Errno::PERM.raw_os_error()));
    });
}

#[test]
fn a_peer_cannot_write_to_the_file() {
    attempt("write and pwrite", |raw| {
        assert_eq!(rustix::io::write(&raw.theirs, &[0; 16]), Err(Errno::PERM));
        for offset in [0, 4096, SLOT as u64] {
            assert_eq!(rustix::io::pwrite(&raw.theirs, &[0; 16], offset), Err(Errno::PERM));
        }
    });
}

#[test]
fn a_peer_cannot_shrink_or_grow_the_segment() {
    attempt("ftruncate and fallocate", |raw| {
        for to in [0, 4096, 8192, size(raw) - 1, size(raw) + 1, size(raw) + 4096] {
            assert_eq!(rustix::fs::ftruncate(&raw.theirs, to), Err(Errno::PERM), "to {to}");
        }
        assert_eq!(rustix::fs::fallocate(&raw.theirs, FallocateFlags::empty(), size(raw), 4096), Err(Errno::PERM));
    });
}

#[test]
fn a_peer_cannot_punch_holes() {
    attempt("fallocate, PUNCH_HOLE", |raw| {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        for offset in [0, 4096, SLOT as u64] {
            assert_eq!(rustix::fs::fallocate(&raw.theirs, flags, offset, 4096), Err(Errno::PERM), "at {offset}");
        }
    });
}

#[test]
fn a_peer_cannot_throw_pages_away() {
    attempt("MADV_REMOVE", |raw| {
        let error = ReadOnly::new(&raw.theirs).remove_pages().unwrap_err();
        let number = error.raw_os_error();
        assert!([Errno::ACCESS, Errno::PERM].map(|errno| Some(errno.raw_os_error())).contains(&number), "{error}");
    });
}

#[test]
fn a_peer_cannot_make_its_mapping_writable() {
    attempt("mprotect", |raw| {
        assert_eq!(ReadOnly::new(&raw.theirs).make_writable(), Err(Errno::ACCESS));
    });
}

/// Opening may work, since the file's mode allows it; using what was opened must not.
#[test]
fn a_peer_gains_nothing_by_opening_the_file_anew() {
    attempt("open by /proc", |raw| {
        let path = format!("/proc/self/fd/{}", raw.theirs.as_raw_fd());
        for truncate in [false, true] {
            let opened: std::io::Result<File> =
                OpenOptions::new().read(true).write(true).truncate(truncate).open(&path);
            let Ok(file) = opened else { continue };
            assert!(!truncate, "the file was truncated");
            assert!(file.write_all_at(&[0; 16], SLOT as u64).is_err());
            assert!(MmapOptions::new().map_raw(&file).is_err());
            assert!(file.set_len(0).is_err());
        }
    });
}

#[test]
fn a_peer_cannot_add_a_seal() {
    attempt("more seals", |raw| {
        for seal in [SealFlags::WRITE, SealFlags::SHRINK, SealFlags::SEAL] {
            assert_eq!(rustix::fs::fcntl_add_seals(&raw.theirs, seal), Err(Errno::PERM));
        }
    });
}
