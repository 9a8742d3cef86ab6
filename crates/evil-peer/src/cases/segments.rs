//! Every kind of descriptor in the segment's place.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use rustix::fs::{FallocateFlags, OFlags, SealFlags};

use super::Case;
use crate::{
    expect::{End, Expect, Then, refused, takes, works},
    kind::{ALL, DUPLEX, Kind, RECEIVING},
    offer::Offer,
    raw::Evil,
    segment::{BARE, FINISHED, HEAD, SEALS, SIZE, Segment, TAIL, TMPFS, bare_memfd, memfd, seals},
    things, wire,
};

const GROUP: &str = "segment";
/// No shared memory.
const TYPE: u16 = 16;
const UNSEALED: u16 = 17;
const WRONG_SIZE: u16 = 18;
const SPARSE: u16 = 19;
const UNMAPPABLE: u16 = 20;

pub(super) fn add(cases: &mut Vec<Case>) {
    no_memfds(cases);
    lacking_seals(cases);
    wrong_sizes(cases);
    odd_memfds(cases);
    own_segments(cases);
    busy(cases);
}

fn place(
    name: impl Into<String>,
    make: impl Fn(Kind) -> std::os::fd::OwnedFd + 'static,
    expect: impl Fn(Kind) -> Expect + 'static,
) -> Case {
    Case::offer(GROUP, name, ALL, move |offer| offer.fds[0] = make(offer.kind), expect)
}

fn no_memfds(cases: &mut Vec<Case>) {
    for &(name, make) in things::NO_MEMFDS {
        let expect = move |kind: Kind| {
            // A regular file on tmpfs is told from a memfd by its seals; nothing else has any.
            if name.starts_with("disk") && things::file_system(make(kind.peer_size())) == TMPFS {
                refused(UNSEALED, SEALS, 1)
            } else {
                refused(TYPE, 0, 22)
            }
        };
        cases.push(place(name, move |kind| make(kind.peer_size()), expect));
    }
    let path = |kind: Kind| things::reopened(bare_memfd(kind.peer_size(), true), OFlags::PATH);
    cases.push(place("path-only", path, |_| refused(TYPE, 0, 9)));
    let possible = things::huge(SIZE).map(drop).map_err(|errno| format!("no memfd of huge pages: {errno}"));
    let huge = |kind: Kind| things::huge(kind.peer_size()).expect("tried before");
    cases.push(place("huge-pages", huge, |_| refused(TYPE, TMPFS, 0x9584_58f6)).only_if(possible));
}

fn lacking_seals(cases: &mut Vec<Case>) {
    let sets = [
        ("none", SealFlags::empty()),
        ("write-only", SealFlags::WRITE),
        ("no-shrink", seals() - SealFlags::SHRINK),
        ("no-grow", seals() - SealFlags::GROW),
        ("no-future-write", seals() - SealFlags::FUTURE_WRITE),
        ("no-seal", seals() - SealFlags::SEAL),
        ("write-for-future-write", (seals() - SealFlags::FUTURE_WRITE) | SealFlags::WRITE),
    ];
    for (name, set) in sets {
        let found = u64::from(set.bits());
        let make = move |kind: Kind| memfd(kind.peer_size(), set, true);
        cases.push(place(format!("seals-{name}"), make, move |_| refused(UNSEALED, SEALS, found)));
    }
    // The first flaw counts: unsealed, and of another size, and sparse.
    cases.push(place("everything-wrong", |_| bare_memfd(1, false), |_| refused(UNSEALED, SEALS, 0)));
}

/// From the right size to a wrong one.
type Change = fn(u64) -> u64;

fn wrong_sizes(cases: &mut Vec<Case>) {
    let changes: [(&str, Change); 10] = [
        ("empty", |_| 0),
        ("one-byte", |_| 1),
        ("half", |size| size / 2),
        ("short-by-a-page", |size| size - 4096),
        ("short-by-a-byte", |size| size - 1),
        ("long-by-a-byte", |size| size + 1),
        ("long-by-a-page", |size| size + 4096),
        ("twice", |size| size * 2),
        ("4-gib-more", |size| size + (1 << 32)),
        ("as-large-as-can-be", |_| i64::MAX as u64 & !4095),
    ];
    for (name, change) in changes {
        // What is too large to be allocated is not.
        let make = move |kind: Kind| {
            let size = change(kind.peer_size());
            memfd(size, seals(), (1..1 << 20).contains(&size))
        };
        let expect = move |kind: Kind| refused(WRONG_SIZE, kind.peer_size(), change(kind.peer_size()));
        cases.push(place(format!("size-{name}"), make, expect));
    }
    let sparse = |kind: Kind| memfd(kind.peer_size(), seals(), false);
    cases.push(place("nothing-but-a-hole", sparse, |kind| refused(SPARSE, kind.peer_size(), 0)));
    let hole = |kind: Kind| things::with_a_hole(kind.peer_size());
    cases.push(place("a-hole-of-a-page", hole, |kind| refused(SPARSE, kind.peer_size(), kind.peer_size() - 4096)));
    // Half a GiB that is announced as such, within the limit, and nothing of it there.
    let slots = 1u64 << 26;
    let large = move |offer: &mut Offer| {
        offer.hello.slots = slots;
        offer.fds[0] = memfd(slots * 8 + BARE, seals(), false);
    };
    let expect = move |_| refused(SPARSE, slots * 8 + BARE, 0);
    cases.push(Case::offer(GROUP, "sparse-within-the-limit", RECEIVING, large, expect));
    let beyond = move |offer: &mut Offer| {
        offer.hello.slots = slots * 2;
        offer.fds[0] = memfd(slots * 16 + BARE, seals(), false);
    };
    let expect = move |_| refused(12, 1 << 30, slots * 16 + BARE);
    cases.push(Case::offer(GROUP, "sparse-beyond-the-limit", RECEIVING, beyond, expect));
}

fn odd_memfds(cases: &mut Vec<Case>) {
    let write_only = |kind: Kind| things::reopened(memfd(kind.peer_size(), seals(), true), OFlags::WRONLY);
    cases.push(place("write-only", write_only, |_| refused(UNMAPPABLE, 0, 13)));
    // These are as good as any.
    let read_only = |offer: &mut Offer| offer.fds[0] = things::reopened(&offer.fds[0], OFlags::RDONLY);
    cases.push(Case::offer(GROUP, "read-only", ALL, read_only, |_| works()));
    let again = |offer: &mut Offer| offer.fds[0] = things::reopened(&offer.fds[0], OFlags::RDWR);
    cases.push(Case::offer(GROUP, "opened-again", ALL, again, |_| works()));
    let more = |offer: &mut Offer| {
        let fd = things::not_executable(offer.kind.peer_size());
        (offer.segment, offer.fds[0]) = Segment::of(fd, seals());
    };
    cases.push(Case::offer(GROUP, "one-seal-more", ALL, more, |_| works()));
    // Nobody can write this one, so nothing ever comes.
    let frozen = |offer: &mut Offer| offer.fds[0] = things::frozen(offer.kind.peer_size());
    cases.push(Case::offer(GROUP, "frozen", ALL, frozen, |_| Expect::Opens(Then::Idles)));
    let garbage = |offer: &mut Offer| {
        for word in 0..offer.segment.len() / 8 {
            offer.segment.word(word * 8).store(u64::MAX, std::sync::atomic::Ordering::SeqCst);
        }
        [TAIL, HEAD, FINISHED].into_iter().for_each(|word| offer.segment.set(word, 0));
        offer.start_at(0);
    };
    cases.push(Case::offer(GROUP, "garbage-wherever-it-does-not-matter", ALL, garbage, |_| works()));
}

/// Sound, and its file kept busy by many: before Linux 6.15 all of them, and who else allocates, queue for a lock of the file.
fn busy(cases: &mut Vec<Case>) {
    const MANY: usize = 32;
    let slots = 1u64 << 23;
    let deed = move |evil: Evil| {
        let mut offer = Offer::new(evil.kind);
        offer.hello.slots = slots;
        (offer.segment, offer.fds[0]) = Segment::new(slots * 8 + BARE);
        let file = offer.fds[0].try_clone().expect("a copy");
        let over = AtomicBool::new(false);
        let raw = std::thread::scope(|scope| {
            for _ in 0..MANY {
                scope.spawn(|| {
                    while !over.load(SeqCst) {
                        let _ = rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, slots * 8 + BARE);
                    }
                });
            }
            let raw = evil.open_with(offer, wire::send);
            over.store(true, SeqCst);
            raw
        });
        raw.segment.publish(0, 3);
        raw.ring();
        raw.until_over();
    };
    let case = Case::new(GROUP, "fallocated-by-many", RECEIVING, deed, |_| takes(3, End::Silence));
    cases.push(case.with(|honest| honest.handshake = 5000));
}

/// The honest client's own segment as its peer's.
fn own_segments(cases: &mut Vec<Case>) {
    let deed = |evil: Evil| {
        let came = wire::read_frame(&evil.stream).expect("a Hello");
        let mut offer = Offer::new(evil.kind);
        // The socket too, where there is one: it rings for itself.
        offer.fds = came.fds;
        offer.accept_at_once();
        offer.send(&evil.stream);
        wire::until_over(&evil.stream);
    };
    let opens = |_| Expect::Opens(Then::HearsItself);
    cases.push(Case::new(GROUP, "its-own", &DUPLEX[1..], deed, opens));
    let deed = move |evil: Evil| deed(evil);
    cases.push(Case::new(GROUP, "its-own-with-slots", &[Kind::Producer], deed, |_| refused(WRONG_SIZE, BARE, SIZE)));
}
