//! What can be tried with the descriptor of the honest end's segment. All of it fails, and the connection works on.

use std::{
    fs::{File, OpenOptions},
    os::{fd::AsRawFd, unix::fs::FileExt},
};

use memmap2::MmapOptions;
use rustix::{
    fs::{FallocateFlags, OFlags, SealFlags},
    io::Errno,
};

use super::Case;
use crate::{
    expect::works,
    kind::ALL,
    raw::{Evil, Raw},
    segment::private_copy,
    things,
};

const GROUP: &str = "attacks";

/// What is tried, and it says what succeeded.
type Attack = fn(&Raw) -> Result<(), String>;

const ATTACKS: &[(&str, Attack)] = &[
    ("map-writable", |raw| refused("mmap", io(MmapOptions::new().map_raw(&raw.theirs).map(drop)), &[Errno::PERM])),
    ("write", |raw| {
        refused("write", rustix::io::write(&raw.theirs, &[0; 16]).map(drop), &[Errno::PERM])?;
        [0, 4096, 4096 + 384, size(raw) - 16].into_iter().try_for_each(|at| {
            refused("pwrite", rustix::io::pwrite(&raw.theirs, &[0xFF; 16], at).map(drop), &[Errno::PERM])
        })
    }),
    ("splice", |raw| {
        let (from, mut to) = std::io::pipe().map_err(|error| error.to_string())?;
        std::io::Write::write_all(&mut to, &[0xFF; 4096]).map_err(|error| error.to_string())?;
        let mut at = 4096;
        let flags = rustix::pipe::SpliceFlags::empty();
        let result = rustix::pipe::splice(&from, None, &raw.theirs, Some(&mut at), 4096, flags);
        refused("splice", result.map(drop), &[Errno::PERM])
    }),
    ("copy-into", |raw| {
        let other = crate::segment::bare_memfd(8192, true);
        let result = rustix::fs::copy_file_range(&other, Some(&mut 0), &raw.theirs, Some(&mut 4096), 4096);
        refused("copy_file_range", result.map(drop), &[Errno::PERM])
    }),
    ("truncate", |raw| {
        let size = size(raw);
        [0, 1, 4096, 8192, size - 4096, size - 1, size + 1, size + 4096, 1 << 40]
            .into_iter()
            .filter(|to| *to != size)
            .try_for_each(|to| {
                refused(&format!("ftruncate to {to}"), rustix::fs::ftruncate(&raw.theirs, to), &[Errno::PERM])
            })
    }),
    ("grow", |raw| {
        let size = size(raw);
        let result = rustix::fs::fallocate(&raw.theirs, FallocateFlags::empty(), size, 4096);
        refused("fallocate", result, &[Errno::PERM])
    }),
    ("punch-holes", |raw| {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        [0, 4096, 8192 - 4096].into_iter().try_for_each(|at| {
            refused(&format!("a hole at {at}"), rustix::fs::fallocate(&raw.theirs, flags, at, 4096), &[Errno::PERM])
        })
    }),
    ("zero-range", |raw| {
        let result = rustix::fs::fallocate(&raw.theirs, FallocateFlags::ZERO_RANGE, 4096, 4096);
        refused("zeros", result, &[Errno::PERM, Errno::OPNOTSUPP])
    }),
    ("collapse-range", |raw| {
        let result = rustix::fs::fallocate(&raw.theirs, FallocateFlags::COLLAPSE_RANGE, 0, 4096);
        refused("a collapse", result, &[Errno::PERM, Errno::OPNOTSUPP])
    }),
    ("madvise-remove", |raw| {
        refused("MADV_REMOVE", io(raw.seen.remove_pages()), &[Errno::PERM, Errno::ACCESS, Errno::INVAL])
    }),
    ("mprotect", |raw| refused("mprotect", raw.seen.make_writable(), &[Errno::ACCESS])),
    ("more-seals", |raw| {
        [SealFlags::WRITE, SealFlags::SHRINK, SealFlags::SEAL, SealFlags::EXEC].into_iter().try_for_each(|seal| {
            refused(&format!("{seal:?}"), rustix::fs::fcntl_add_seals(&raw.theirs, seal), &[Errno::PERM])
        })
    }),
    ("open-anew", |raw| {
        let file = File::from(things::reopened(&raw.theirs, OFlags::RDWR));
        refused("write", io(file.write_all_at(&[0; 16], 4096)), &[Errno::PERM])?;
        refused("mmap", io(MmapOptions::new().map_raw(&file).map(drop)), &[Errno::PERM])?;
        refused("set_len", io(file.set_len(0)), &[Errno::PERM])
    }),
    ("open-and-truncate", |raw| {
        let path = format!("/proc/self/fd/{}", raw.theirs.as_raw_fd());
        let result = OpenOptions::new().write(true).truncate(true).open(path).map(drop);
        refused("O_TRUNC", io(result), &[Errno::PERM])
    }),
    // A copy is a copy.
    ("map-private", |raw| private_copy(&raw.theirs).map_err(|error| error.to_string())),
    ("change-the-mode", |raw| {
        // Its owner may do that, and it changes nothing.
        let _ = rustix::fs::fchmod(&raw.theirs, rustix::fs::Mode::empty());
        refused("mmap", io(MmapOptions::new().map_raw(&raw.theirs).map(drop)), &[Errno::PERM])
    }),
    ("sendfile", |raw| {
        let from = crate::segment::bare_memfd(8192, true);
        let result = rustix::fs::sendfile(&raw.theirs, &from, Some(&mut 0), 4096);
        refused("sendfile", result.map(drop), &[Errno::PERM])
    }),
    ("proc-mem", |raw| refused("/proc/self/mem", io(raw.seen.write_by_proc()), &[Errno::IO, Errno::FAULT])),
    ("process-vm-writev", |raw| {
        let result = raw.seen.write_as_remote().map_err(|errno| Errno::from_raw_os_error(errno as i32));
        refused("process_vm_writev", result, &[Errno::FAULT])
    }),
    ("populate-for-writing", |raw| {
        let with = [Errno::INVAL, Errno::FAULT, Errno::ACCESS, Errno::PERM];
        refused("MADV_POPULATE_WRITE", io(raw.seen.populate_for_writing()), &with)
    }),
    // Its own, which the honest end has judged and reads: were a page lost, a read would be a signal.
    ("own-segment-madvise-remove", |raw| {
        refused("MADV_REMOVE", io(raw.segment.remove_pages()), &[Errno::PERM])?;
        raw.segment.forget_pages().map_err(|error| error.to_string())
    }),
    ("own-segment-truncate", |raw| {
        let (own, size) = (raw.own.as_ref().expect("its descriptor"), raw.segment.len() as u64);
        [0, 4096, size - 4096, size - 1, size + 1, size + 4096]
            .into_iter()
            .try_for_each(|to| refused(&format!("ftruncate to {to}"), rustix::fs::ftruncate(own, to), &[Errno::PERM]))
    }),
    ("own-segment-punch-holes", |raw| {
        let own = raw.own.as_ref().expect("its descriptor");
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        (0..raw.segment.len() as u64).step_by(4096).try_for_each(|at| {
            refused(&format!("a hole at {at}"), rustix::fs::fallocate(own, flags, at, 4096), &[Errno::PERM])
        })
    }),
    ("own-segment-anew", |raw| {
        let file = File::from(things::reopened(raw.own.as_ref().expect("its descriptor"), OFlags::RDWR));
        refused("write", io(file.write_all_at(&[0; 16], 4096)), &[Errno::PERM])?;
        refused("mmap", io(MmapOptions::new().map_raw(&file).map(drop)), &[Errno::PERM])?;
        refused("set_len", io(file.set_len(0)), &[Errno::PERM])
    }),
    ("lock", |raw| {
        rustix::fs::flock(&raw.theirs, rustix::fs::FlockOperation::LockExclusive).map_err(|errno| errno.to_string())
    }),
];

/// The size of the segment, read anew.
fn size(raw: &Raw) -> u64 {
    rustix::fs::fstat(&raw.theirs).expect("a status").st_size as u64
}

fn io(result: std::io::Result<()>) -> Result<(), Errno> {
    result.map_err(|error| Errno::from_raw_os_error(error.raw_os_error().unwrap_or(0)))
}

fn refused(what: &str, result: Result<(), Errno>, with: &[Errno]) -> Result<(), String> {
    match result {
        Err(errno) if with.contains(&errno) => Ok(()),
        other => Err(format!("{what}: {other:?} instead of one of {with:?}")),
    }
}

pub(super) fn add(cases: &mut Vec<Case>) {
    for &(name, attack) in ATTACKS {
        let deed = move |evil: Evil| {
            let raw = evil.open();
            let before = size(&raw);
            let contents: Vec<u64> = (0..4096 / 8).map(|n| raw.seen.word(n * 8)).collect();
            attack(&raw).unwrap_or_else(|what| panic!("{what}"));
            assert_eq!(size(&raw), before, "the size");
            assert!((0..4096 / 8).all(|n| raw.seen.word(n * 8) == contents[n]), "the header");
            raw.serve_well();
        };
        cases.push(Case::new(GROUP, name, ALL, deed, |_| works()));
    }
    // All at once, all the time, while messages flow.
    let deed = |evil: Evil| {
        evil.open().serve(|raw, turn| {
            let (_, attack) = ATTACKS[(turn % ATTACKS.len() as u64) as usize];
            attack(raw).unwrap_or_else(|what| panic!("{what}"));
        });
    };
    cases.push(Case::new(GROUP, "all-while-messages-flow", ALL, deed, |_| works()));
}
