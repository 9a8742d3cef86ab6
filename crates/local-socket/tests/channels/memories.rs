//! Memory beside a message, as no sender makes it.

use std::{
    fs::File,
    os::{
        fd::OwnedFd,
        unix::{fs::OpenOptionsExt, net::UnixStream},
    },
};

use local_socket::{Error, RawReceiver};
use rustix::fs::{MemfdFlags, OFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::{
    by_hand::{self, IN_MEMORY, SEALS, header, lingering, memory, sealed, seqpacket_pair},
    rig::Watchdog,
    victims::victims,
};

const NOT_SEALED: &str = "the message's payload does not lie in a sealed memfd";

#[test]
fn memory_that_is_not_there_is_refused() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        let error = victim.refuses("no memory", &header(IN_MEMORY, 0, 1), vec![]);
        assert!(matches!(error, Error::WrongFds { expected: 1, got: 0 }), "{error:?}");
    }
}

/// An empty file that has a length.
fn sparse(length: u64, seals: SealFlags) -> OwnedFd {
    let file = memfd_create(c"sparse", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&file, length).unwrap();
    fcntl_add_seals(&file, seals).unwrap();
    file
}

#[test]
fn memory_that_somebody_could_still_change_is_refused() {
    let _watchdog = Watchdog::new();
    let parts = [SealFlags::SEAL, SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE];
    let subset = |bits: usize| {
        parts.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1).map(|(_, seal)| *seal).collect::<SealFlags>()
    };
    for victim in victims() {
        for bits in 0..15 {
            let error = victim.refuses("partly sealed", &header(IN_MEMORY, 0, 1), vec![memory(&[7], subset(bits))]);
            assert!(matches!(error, Error::Malformed { why } if why == NOT_SEALED), "{error:?}");
        }
        // A mapping from before can still write.
        let future = SEALS.difference(SealFlags::WRITE) | SealFlags::FUTURE_WRITE;
        let error = victim.refuses("sealed for later", &header(IN_MEMORY, 0, 1), vec![memory(&[7], future)]);
        assert!(matches!(error, Error::Malformed { why } if why == NOT_SEALED), "{error:?}");
        victim.takes("sealed", &header(IN_MEMORY, 0, 1), vec![memory(&[7], subset(15))]);
        victim.takes("sealed more", &header(IN_MEMORY, 0, 1), vec![memory(&[7], SEALS | SealFlags::FUTURE_WRITE)]);
    }
}

#[test]
fn what_is_no_memory_is_refused_without_waiting_for_it() {
    let _watchdog = Watchdog::new();
    let path_only =
        |path: &str| File::options().read(true).custom_flags(OFlags::PATH.bits() as i32).open(path).unwrap();
    for victim in victims() {
        let (writer, traced) = by_hand::traced();
        let (slow, _reader) = lingering();
        let things: Vec<(&str, OwnedFd)> = vec![
            ("a pipe to write", writer),
            ("a pipe to read", std::io::pipe().unwrap().0.into()),
            ("a directory", File::open("/").unwrap().into()),
            ("a file", File::open("/proc/self/exe").unwrap().into()),
            ("a device", File::open("/dev/zero").unwrap().into()),
            ("a path", path_only("/dev/zero").into()),
            ("a path of a directory", path_only("/").into()),
            ("a socket", UnixStream::pair().unwrap().0.into()),
            ("a seqpacket socket", seqpacket_pair().0),
            ("a socket that lingers", slow),
        ];
        for (what, thing) in things {
            let error = victim.refuses(what, &header(IN_MEMORY, 0, 1), vec![thing]);
            assert!(matches!(error, Error::Malformed { why } if why == NOT_SEALED), "{what}: {error:?}");
        }
        assert!(!traced.is_open());
    }
}

#[test]
fn what_lingers_is_closed_at_once_wherever_it_comes() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        let (slow, _reader) = lingering();
        victim.refuses("as a surplus", &by_hand::message(0, &[7]), vec![slow]);
        let (slow, _reader) = lingering();
        victim.refuses("behind memory", &header(IN_MEMORY, 0, 1), vec![sealed(&[7]), slow]);
        let (slow, _reader) = lingering();
        victim.refuses("beside memory that is too long", &header(IN_MEMORY, 1, 1), vec![sealed(&[7, 7]), slow]);
        let (slow, _reader) = lingering();
        victim.refuses("with a header that is none", &[0; 16], vec![slow]);
    }
}

#[test]
fn memory_of_another_length_is_refused() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for (announced, length) in [(1, 0), (0, 1), (4096, 4095), (4095, 4096), (1 << 20, (1 << 20) - 1), (7, 4 << 30)]
        {
            let error = victim.refuses("another length", &header(IN_MEMORY, 0, announced), vec![sparse(length, SEALS)]);
            let told = matches!(error, Error::WrongLength { expected, got } if expected == announced && got == length);
            assert!(told, "{error:?}");
        }
    }
}

#[test]
fn memory_without_pages_is_zeros_and_no_longer_than_the_limit() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        let error = victim.refuses("sparse", &header(IN_MEMORY, 0, 4 << 30), vec![sparse(4 << 30, SEALS)]);
        assert!(matches!(error, Error::TooLong { room, .. } if room == 64 << 20), "{error:?}");
    }
    let (bare, other) = seqpacket_pair();
    let receiver = RawReceiver::try_from(other).unwrap();
    by_hand::send(&bare, &header(IN_MEMORY, 0, 1 << 20), vec![sparse(1 << 20, SEALS)]);
    assert_eq!(receiver.recv().unwrap().0, vec![0; 1 << 20]);
    // The longest without a word about it.
    by_hand::send(&bare, &header(IN_MEMORY, 0, 64 << 20), vec![sparse(64 << 20, SEALS)]);
    assert_eq!(receiver.recv().unwrap().0.len(), 64 << 20);
    by_hand::send(&bare, &header(IN_MEMORY, 0, (64 << 20) + 1), vec![sparse((64 << 20) + 1, SEALS)]);
    assert!(matches!(receiver.recv(), Err(Error::TooLong { .. })));
}

#[test]
fn memory_may_be_read_from_the_middle_on_and_may_be_empty() {
    use std::io::{Seek, SeekFrom};
    let _watchdog = Watchdog::new();
    let (bare, other) = seqpacket_pair();
    let receiver = RawReceiver::try_from(other).unwrap();
    let mut file = File::from(sealed(b"abc"));
    file.seek(SeekFrom::Start(2)).unwrap();
    by_hand::send(&bare, &header(IN_MEMORY, 0, 3), vec![file.into()]);
    assert_eq!(receiver.recv().unwrap().0, b"abc");
    by_hand::send(&bare, &header(IN_MEMORY, 0, 0), vec![sealed(b"")]);
    assert_eq!(receiver.recv().unwrap().0, b"");
}
