//! Every way in which a peer can be wrong while two ends meet: the exact reason on both sides, and nothing left behind.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod rig;

use std::{
    fs::{File, OpenOptions},
    net::Shutdown,
    os::{
        fd::{AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
        },
    },
    thread,
    time::{Duration, Instant},
};

use ipc_queue::{Consumer, Error, Options, Producer, Reason, Refused, Role, Support, Wait, duplex};
use rig::{ACCEPT, Kind, Offer, SIZE, TMPFS, alone, frame, memfd, offer, pair, read_frame, real, seals, send};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{FallocateFlags, MemfdFlags, OFlags, SealFlags, fallocate},
    net::{AddressFamily, SocketType},
};

const DUPLEX: &[Kind] = &[Kind::DuplexServer, Kind::DuplexClient];
const SERVERS: &[Kind] = &[Kind::Consumer, Kind::DuplexServer];
/// The ends whose peer has slots.
const FILLED: &[Kind] = &[Kind::Consumer, Kind::DuplexServer, Kind::DuplexClient];

fn refusal(result: Result<rig::End, Error>, what: &str) -> Refused {
    match result {
        Err(Error::Refused(refused)) => refused,
        other => panic!("{what}: {other:?}"),
    }
}

struct Case {
    what: &'static str,
    kinds: &'static [Kind],
    change: fn(&mut Offer),
    reason: Reason,
    /// The value of the end under test, and the raw peer's.
    numbers: fn(Kind) -> (u64, u64),
}

/// Has each end of each case meet the raw peer that is wrong in that one way.
fn refuse(test: &'static str, options: &Options, cases: &[Case]) {
    let alone = alone(test);
    for case in cases {
        for &kind in case.kinds {
            let what = format!("{}, {kind:?}", case.what);
            let (stream, theirs) = pair();
            let meeting = real(kind, theirs, options.clone());
            if kind.is_client() {
                assert_eq!(read_frame(&stream).kind, rig::HELLO, "{what}");
            }
            let mut offer = offer(kind);
            (case.change)(&mut offer);
            offer.send(&stream);
            let told = loop {
                let came = read_frame(&stream);
                if came.kind == rig::REJECT {
                    break came.reject();
                }
            };
            let refused = refusal(meeting.join().unwrap(), &what);
            let (here, there) = (case.numbers)(kind);
            assert_eq!((refused.reason(), refused.here(), refused.there()), (case.reason, here, there), "{what}");
            assert!(!refused.by_peer(), "{what}");
            assert_eq!(told, (case.reason as u16, here, there), "{what}: what the peer is told");
            drop((stream, offer));
            alone.assert_nothing_left(&what);
        }
    }
}

#[test]
fn frames_of_something_else_are_refused() {
    use Reason::{ByteOrder, Magic, Malformed, OutOfOrder, Version};
    let magic = u64::from(u32::from_be_bytes(*b"mnpf"));
    assert_eq!(magic, 0x6d6e_7066);
    let cases = [
        Case {
            what: "another magic",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.magic = *b"mnpg",
            reason: Magic,
            numbers: |_| (0x6d6e_7066, 0x6d6e_7067),
        },
        Case {
            what: "garbage",
            kinds: &Kind::ALL,
            change: |offer| offer.instead = Some((0..200).map(|n| (n as u8).wrapping_mul(37) ^ 0x5A).collect()),
            reason: Magic,
            numbers: |_| (0x6d6e_7066, 0x5a7f_1035),
        },
        Case {
            what: "the other byte order",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.order = 0x0403_0201,
            reason: ByteOrder,
            numbers: |_| (0x0102_0304, 0x0403_0201),
        },
        Case {
            what: "a frame of version 1",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.version = 1,
            reason: Version,
            numbers: |_| (2, 1),
        },
        Case {
            what: "a body that is too long",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.length = Some(1025),
            reason: Malformed,
            numbers: |_| (1024, 1025),
        },
        Case {
            what: "a body of 4 GiB",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.length = Some(u32::MAX),
            reason: Malformed,
            numbers: |_| (1024, u64::from(u32::MAX)),
        },
        Case {
            what: "a Hello that is too short",
            kinds: &Kind::ALL,
            change: |offer| offer.instead = Some(frame(rig::HELLO, &[1; 47])),
            reason: Malformed,
            numbers: |_| (48, 47),
        },
        Case {
            what: "a Hello with less text than it says",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.lengths = Some([255, 255]),
            reason: Malformed,
            numbers: |_| (48 + 510, 51),
        },
        Case {
            what: "a Hello with more text than it says",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.lengths = Some([0, 2]),
            reason: Malformed,
            numbers: |_| (50, 51),
        },
        Case {
            what: "a Reject of a reason that does not exist",
            kinds: &Kind::ALL,
            change: |offer| offer.instead = Some(rig::reject(99, 1, 2, "")),
            reason: Malformed,
            numbers: |_| (0, 99),
        },
        Case {
            what: "a Reject that is too short",
            kinds: &Kind::ALL,
            change: |offer| offer.instead = Some(frame(rig::REJECT, &[1, 0])),
            reason: Malformed,
            numbers: |_| (24, 2),
        },
        Case {
            what: "Accept first",
            kinds: &Kind::ALL,
            change: |offer| offer.instead = Some(frame(ACCEPT, &[])),
            reason: OutOfOrder,
            numbers: |_| (0, 2),
        },
        Case {
            what: "an Accept with a body",
            kinds: &Kind::ALL,
            change: |offer| offer.behind = frame(ACCEPT, &[0; 3]),
            reason: Malformed,
            numbers: |_| (0, 3),
        },
        Case {
            what: "Hello twice",
            kinds: &Kind::ALL,
            change: |offer| offer.behind = offer.hello.bytes(),
            reason: OutOfOrder,
            numbers: |_| (0, 1),
        },
        Case {
            what: "an unknown kind",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.kind = 9,
            reason: OutOfOrder,
            numbers: |_| (0, 9),
        },
        Case {
            what: "an unknown kind behind the Hello",
            kinds: &Kind::ALL,
            change: |offer| offer.behind = frame(4, b"more"),
            reason: OutOfOrder,
            numbers: |_| (0, 4),
        },
    ];
    refuse("frames_of_something_else_are_refused", &rig::options(), &cases);
}

#[test]
fn a_hello_that_does_not_fit_is_refused_with_both_numbers() {
    use Reason::{Direction, ElementAlign, ElementSize, Layout, Role, SegmentTooLarge, SlotCount, Version};
    let cases = [
        Case {
            what: "only later versions",
            kinds: &Kind::ALL,
            change: |offer| (offer.hello.version_min, offer.hello.version_max) = (3, 4),
            reason: Version,
            numbers: |_| (2, 4),
        },
        Case {
            what: "only earlier versions",
            kinds: &Kind::ALL,
            change: |offer| (offer.hello.version_min, offer.hello.version_max) = (0, 1),
            reason: Version,
            numbers: |_| (2, 1),
        },
        Case {
            what: "the same role",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.role ^= 1,
            reason: Role,
            numbers: |kind| [(1, 1), (0, 0)][usize::from(kind.is_client())],
        },
        Case {
            what: "no role",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.role = 2,
            reason: Role,
            numbers: |kind| [(1, 2), (0, 2)][usize::from(kind.is_client())],
        },
        Case {
            what: "one way against both ways",
            kinds: &[Kind::DuplexServer, Kind::DuplexClient],
            change: |offer| offer.hello.direction = 1,
            reason: Direction,
            numbers: |_| (0, 1),
        },
        Case {
            what: "consume against both ways",
            kinds: &[Kind::DuplexServer, Kind::DuplexClient],
            change: |offer| offer.hello.direction = 2,
            reason: Direction,
            numbers: |_| (0, 2),
        },
        Case {
            what: "both ways against one way",
            kinds: &[Kind::Consumer, Kind::Producer],
            change: |offer| offer.hello.direction = 0,
            reason: Direction,
            numbers: |kind| (u64::from(kind.direction()), 0),
        },
        Case {
            what: "the same way",
            kinds: &[Kind::Consumer, Kind::Producer],
            change: |offer| offer.hello.direction ^= 3,
            reason: Direction,
            numbers: |kind| (u64::from(kind.direction()), u64::from(kind.direction())),
        },
        Case {
            what: "no direction",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.direction = 3,
            reason: Direction,
            numbers: |kind| (u64::from(kind.direction()), 3),
        },
        Case {
            what: "another layout",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.layout = 2,
            reason: Layout,
            numbers: |_| (1, 2),
        },
        Case {
            what: "larger elements",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.size = 16,
            reason: ElementSize,
            numbers: |_| (8, 16),
        },
        Case {
            what: "elements of no size",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.size = 0,
            reason: ElementSize,
            numbers: |_| (8, 0),
        },
        Case {
            what: "elements of another alignment",
            kinds: &Kind::ALL,
            change: |offer| offer.hello.align = 4,
            reason: ElementAlign,
            numbers: |_| (8, 4),
        },
        Case {
            what: "no slots",
            kinds: FILLED,
            change: |offer| offer.hello.slots = 0,
            reason: SlotCount,
            numbers: |_| (1, 0),
        },
        Case {
            what: "three slots",
            kinds: FILLED,
            change: |offer| offer.hello.slots = 3,
            reason: SlotCount,
            numbers: |_| (1, 3),
        },
        Case {
            what: "as many slots as can be said",
            kinds: FILLED,
            change: |offer| offer.hello.slots = u64::MAX,
            reason: SlotCount,
            numbers: |_| (1, u64::MAX),
        },
        Case {
            what: "slots of a consumer",
            kinds: &[Kind::Producer],
            change: |offer| offer.hello.slots = 8,
            reason: SlotCount,
            numbers: |_| (0, 8),
        },
        Case {
            what: "three slots of a consumer",
            kinds: &[Kind::Producer],
            change: |offer| offer.hello.slots = 3,
            reason: SlotCount,
            numbers: |_| (0, 3),
        },
        Case {
            what: "a segment over the limit",
            kinds: FILLED,
            change: |offer| offer.hello.slots = 1 << 17,
            reason: SegmentTooLarge,
            numbers: |_| (1 << 20, (1 << 20) + 8192),
        },
        Case {
            what: "a segment beyond 64 bits",
            kinds: FILLED,
            change: |offer| offer.hello.slots = 1 << 63,
            reason: SegmentTooLarge,
            numbers: |_| (1 << 20, u64::MAX),
        },
    ];
    let options = rig::options().max_segment(1 << 20);
    refuse("a_hello_that_does_not_fit_is_refused_with_both_numbers", &options, &cases);
}

#[test]
fn another_schema_is_refused_in_the_words_of_both() {
    let cases = [Case {
        what: "another schema",
        kinds: &Kind::ALL,
        change: |offer| offer.hello.schema = "b/1",
        reason: Reason::Schema,
        numbers: |_| (0, 0),
    }];
    refuse("another_schema_is_refused_in_the_words_of_both", &rig::options().schema("a/1"), &cases);

    let _alone = alone("another_schema_is_refused_in_the_words_of_both");
    let (stream, theirs) = pair();
    let meeting = real(Kind::Consumer, theirs, rig::options().schema("a/1"));
    let mut offer = offer(Kind::Consumer);
    offer.hello.schema = "b\u{1b}";
    offer.send(&stream);
    let came = read_frame(&stream);
    assert_eq!(&came.body[24..], b"a/1", "the text of the refusing end");
    let text = refusal(meeting.join().unwrap(), "schema").to_string();
    assert_eq!(text, r#"refused: schema: "a/1" here, "b\u{1b}" there"#);
}

#[test]
fn a_schema_that_one_side_leaves_out_is_not_checked() {
    let alone = alone("a_schema_that_one_side_leaves_out_is_not_checked");
    for (ours, theirs) in [("", "b/1"), ("a/1", ""), ("a/1", "a/1")] {
        for kind in Kind::ALL {
            accepts(kind, rig::options().schema(ours), |offer| offer.hello.schema = theirs);
            alone.assert_nothing_left(theirs);
        }
    }
}

#[test]
fn who_sleeps_at_once_does_not_ask_for_membarrier() {
    let _alone = alone("who_sleeps_at_once_does_not_ask_for_membarrier");
    let can = Support::probe().membarrier;
    for (wait, asks) in [(Wait::Adaptive, can), (Wait::Spin, can), (Wait::Sleep, false)] {
        let (stream, theirs) = pair();
        let meeting = real(Kind::Producer, theirs, rig::options().wait(wait));
        let hello = read_frame(&stream);
        let features = u32::from_ne_bytes(hello.body[4..8].try_into().unwrap());
        assert_eq!(features, u32::from(asks), "{wait:?}");
        drop(stream);
        assert!(meeting.join().unwrap().is_err());
    }
}

#[test]
fn a_peer_with_features_of_a_later_time_is_accepted() {
    let alone = alone("a_peer_with_features_of_a_later_time_is_accepted");
    for kind in Kind::ALL {
        accepts(kind, rig::options(), |offer| offer.hello.features = !1);
        alone.assert_nothing_left("later features");
    }
}

#[test]
fn a_peer_that_can_speak_later_versions_too_is_accepted() {
    let alone = alone("a_peer_that_can_speak_later_versions_too_is_accepted");
    for kind in Kind::ALL {
        accepts(kind, rig::options(), |offer| {
            (offer.hello.version, offer.hello.version_min, offer.hello.version_max) = (7, 0, 9);
        });
        alone.assert_nothing_left("later versions");
    }
}

/// A changed peer that is right all the same.
fn accepts(kind: Kind, options: Options, change: impl Fn(&mut Offer)) {
    let (stream, theirs) = pair();
    let mut offer = offer(kind);
    change(&mut offer);
    let meeting = real(kind, theirs, options);
    drop(rig::open_with(kind, stream, meeting, offer, &rig::send));
}

#[test]
fn frames_in_pieces_of_one_byte_are_put_together() {
    let alone = alone("frames_in_pieces_of_one_byte_are_put_together");
    let bytewise = |stream: &UnixStream, bytes: &[u8], fds: &[OwnedFd]| {
        rig::send(stream, &bytes[..1], fds);
        bytes[1..].iter().for_each(|byte| rig::send(stream, &[*byte], &[]));
    };
    for kind in Kind::ALL {
        let (stream, theirs) = pair();
        let meeting = real(kind, theirs, rig::options());
        let (mut end, raw) = rig::open_with(kind, stream, meeting, offer(kind), &bytewise);
        if kind != Kind::Producer {
            raw.segment.publish(0, 3);
            assert_eq!(end.consumer().pop(), Ok(0), "{kind:?}");
            assert_eq!(end.consumer().peer_name(), "raw");
        }
        drop((end, raw));
        alone.assert_nothing_left("frames in pieces");
    }
}

#[test]
fn a_wrong_number_of_descriptors_is_refused() {
    use Reason::{DescriptorsMissing, DescriptorsSurplus};
    let cases = [
        Case {
            what: "none",
            kinds: &Kind::ALL,
            change: |offer| offer.fds.clear(),
            reason: DescriptorsMissing,
            numbers: |kind| (1 + u64::from(kind.is_duplex()), 0),
        },
        Case {
            what: "no second socket",
            kinds: DUPLEX,
            change: |offer| offer.fds.truncate(1),
            reason: DescriptorsMissing,
            numbers: |_| (2, 1),
        },
        Case {
            what: "one too many",
            kinds: &[Kind::Consumer, Kind::Producer],
            change: |offer| more_descriptors(offer, 2),
            reason: DescriptorsSurplus,
            numbers: |_| (1, 2),
        },
        Case {
            what: "three",
            kinds: &Kind::ALL,
            change: |offer| more_descriptors(offer, 3),
            reason: DescriptorsSurplus,
            numbers: |_| (2, 3),
        },
    ];
    refuse("a_wrong_number_of_descriptors_is_refused", &rig::options(), &cases);
}

fn more_descriptors(offer: &mut Offer, n: usize) {
    offer.fds.resize_with(n, || File::open("/dev/null").unwrap().into());
}

/// The kernel closes most of them before anybody can count them.
#[test]
fn as_many_descriptors_as_a_message_carries_are_refused_and_closed() {
    let alone = alone("as_many_descriptors_as_a_message_carries_are_refused_and_closed");
    for kind in Kind::ALL {
        let (stream, theirs) = pair();
        let meeting = real(kind, theirs, rig::options());
        let mut offer = offer(kind);
        more_descriptors(&mut offer, 253);
        offer.send(&stream);
        let refused = refusal(meeting.join().unwrap(), "253 descriptors");
        assert_eq!((refused.reason(), refused.here()), (Reason::DescriptorsSurplus, 2), "{kind:?}");
        assert!((3..=253).contains(&refused.there()), "{kind:?}: {refused}");
        drop((stream, offer));
        alone.assert_nothing_left("253 descriptors");
    }
}

#[test]
fn an_accept_with_descriptors_is_refused() {
    let alone = alone("an_accept_with_descriptors_is_refused");
    for kind in Kind::ALL {
        let (stream, theirs) = pair();
        let meeting = real(kind, theirs, rig::options());
        offer(kind).send(&stream);
        rig::send(&stream, &frame(ACCEPT, &[]), &[File::open("/dev/null").unwrap().into()]);
        let refused = refusal(meeting.join().unwrap(), "Accept");
        let seen = (refused.reason(), refused.here(), refused.there());
        assert_eq!(seen, (Reason::DescriptorsSurplus, 0, 1), "{kind:?}");
        drop(stream);
        alone.assert_nothing_left("Accept with descriptors");
    }
}

/// A segment with all seals but these.
fn without(offer: &mut Offer, seal: SealFlags) {
    offer.fds[0] = memfd(SIZE, seals() - seal, true);
}

/// The memfd once more, opened some other way.
fn reopened(offer: &mut Offer, flags: OFlags) {
    let path = format!("/proc/self/fd/{}", offer.fds[0].as_raw_fd());
    let mut options = OpenOptions::new();
    options.read(flags != OFlags::WRONLY).write(flags == OFlags::WRONLY).custom_flags(flags.bits() as i32);
    offer.fds[0] = options.open(path).unwrap().into();
}

#[test]
fn a_segment_that_could_change_under_the_reader_is_refused() {
    use Reason::{SegmentSize, SegmentSparse, SegmentUnmappable, SegmentUnsealed};
    let cases = [
        Case {
            what: "no seals",
            kinds: FILLED,
            change: |offer| without(offer, SealFlags::all()),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0),
        },
        Case {
            what: "can shrink",
            kinds: FILLED,
            change: |offer| without(offer, SealFlags::SHRINK),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0x15),
        },
        Case {
            what: "can grow",
            kinds: FILLED,
            change: |offer| without(offer, SealFlags::GROW),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0x13),
        },
        Case {
            what: "can be written to, which includes holes",
            kinds: FILLED,
            change: |offer| without(offer, SealFlags::FUTURE_WRITE),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0x7),
        },
        Case {
            what: "can get more seals",
            kinds: FILLED,
            change: |offer| without(offer, SealFlags::SEAL),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0x16),
        },
        Case {
            what: "a consumer's segment without seals",
            kinds: &[Kind::Producer],
            change: |offer| offer.fds[0] = memfd(8192, SealFlags::empty(), true),
            reason: SegmentUnsealed,
            numbers: |_| (0x17, 0),
        },
        Case {
            what: "too short by a page",
            kinds: FILLED,
            change: |offer| offer.fds[0] = memfd(8192, seals(), true),
            reason: SegmentSize,
            numbers: |_| (12288, 8192),
        },
        Case {
            what: "too short by a byte",
            kinds: FILLED,
            change: |offer| offer.fds[0] = memfd(12287, seals(), true),
            reason: SegmentSize,
            numbers: |_| (12288, 12287),
        },
        Case {
            what: "too long by a page",
            kinds: FILLED,
            change: |offer| offer.fds[0] = memfd(16384, seals(), true),
            reason: SegmentSize,
            numbers: |_| (12288, 16384),
        },
        Case {
            what: "a consumer's segment that is too long",
            kinds: &[Kind::Producer],
            change: |offer| offer.fds[0] = memfd(SIZE, seals(), true),
            reason: SegmentSize,
            numbers: |_| (8192, 12288),
        },
        Case {
            what: "nothing but a hole",
            kinds: FILLED,
            change: |offer| offer.fds[0] = memfd(SIZE, seals(), false),
            reason: SegmentSparse,
            numbers: |_| (12288, 0),
        },
        Case {
            what: "nothing but a hole, from a consumer",
            kinds: &[Kind::Producer],
            change: |offer| offer.fds[0] = memfd(8192, seals(), false),
            reason: SegmentSparse,
            numbers: |_| (8192, 0),
        },
        Case {
            what: "holes, and as many blocks beyond the end",
            kinds: FILLED,
            change: |offer| {
                let fd = memfd(SIZE, SealFlags::empty(), false);
                fallocate(&fd, FallocateFlags::KEEP_SIZE, SIZE, SIZE).unwrap();
                rustix::fs::fcntl_add_seals(&fd, seals()).unwrap();
                offer.fds[0] = fd;
            },
            reason: SegmentSparse,
            numbers: |_| (12288, 12288),
        },
        Case {
            what: "open for writing only",
            kinds: &Kind::ALL,
            change: |offer| reopened(offer, OFlags::WRONLY),
            reason: SegmentUnmappable,
            numbers: |_| (0, 13),
        },
    ];
    refuse("a_segment_that_could_change_under_the_reader_is_refused", &rig::options(), &cases);
}

#[test]
fn what_is_no_memfd_is_no_segment() {
    const INVAL: u64 = 22;
    let cases = [
        Case {
            what: "a pipe",
            kinds: &Kind::ALL,
            change: |offer| offer.fds[0] = std::io::pipe().unwrap().0.into(),
            reason: Reason::SegmentType,
            numbers: |_| (0, INVAL),
        },
        Case {
            what: "a directory",
            kinds: &Kind::ALL,
            change: |offer| offer.fds[0] = File::open("/").unwrap().into(),
            reason: Reason::SegmentType,
            numbers: |_| (0, INVAL),
        },
        Case {
            what: "a directory in /proc",
            kinds: &Kind::ALL,
            change: |offer| offer.fds[0] = File::open("/proc").unwrap().into(),
            reason: Reason::SegmentType,
            numbers: |_| (0, INVAL),
        },
        Case {
            what: "a file in /proc",
            kinds: &Kind::ALL,
            change: |offer| offer.fds[0] = File::open("/proc/self/status").unwrap().into(),
            reason: Reason::SegmentType,
            numbers: |_| (0, INVAL),
        },
        Case {
            what: "/dev/zero",
            kinds: &Kind::ALL,
            change: |offer| offer.fds[0] = File::open("/dev/zero").unwrap().into(),
            reason: Reason::SegmentType,
            numbers: |_| (0, INVAL),
        },
        Case {
            what: "a memfd that is only a path",
            kinds: &Kind::ALL,
            change: |offer| reopened(offer, OFlags::PATH),
            reason: Reason::SegmentType,
            numbers: |_| (0, 9),
        },
    ];
    refuse("what_is_no_memfd_is_no_segment", &rig::options(), &cases);
}

/// Huge pages have seals too, and other rules.
#[test]
#[allow(clippy::print_stdout, reason = "what is skipped stands in the test's output")]
fn a_memfd_of_huge_pages_is_no_segment() {
    const HUGETLBFS: u64 = 0x9584_58f6;
    fn huge() -> rustix::io::Result<OwnedFd> {
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
        let fd = rustix::fs::memfd_create("huge", flags)?;
        rustix::fs::fcntl_add_seals(&fd, seals())?;
        Ok(fd)
    }
    if let Err(errno) = huge() {
        return println!("SKIPPED: no memfd of huge pages: {errno}");
    }
    let cases = [Case {
        what: "huge pages",
        kinds: &Kind::ALL,
        change: |offer| offer.fds[0] = huge().unwrap(),
        reason: Reason::SegmentType,
        numbers: |_| (TMPFS, HUGETLBFS),
    }];
    refuse("a_memfd_of_huge_pages_is_no_segment", &rig::options(), &cases);
}

#[test]
fn a_regular_file_is_no_segment() {
    fn file() -> File {
        let path = format!("{}/no-segment-{}", env!("CARGO_TARGET_TMPDIR"), std::process::id());
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        std::io::Write::write_all(&mut &file, &[0; SIZE as usize]).unwrap();
        file
    }
    let file_system = || rustix::fs::fstatfs(file()).unwrap().f_type as u64;
    // A file on a tmpfs is told from a memfd by its seals.
    let reason = if file_system() == TMPFS { Reason::SegmentUnsealed } else { Reason::SegmentType };
    let cases = [Case {
        what: "a file",
        kinds: FILLED,
        change: |offer| offer.fds[0] = file().into(),
        reason,
        numbers: |_| match rustix::fs::fstatfs(file()).unwrap().f_type as u64 {
            TMPFS => (0x17, 1),
            _ => (0, 22),
        },
    }];
    refuse("a_regular_file_is_no_segment", &rig::options(), &cases);
}

#[test]
fn a_second_socket_that_could_not_carry_bells_is_refused() {
    let cases = [
        Case {
            what: "a datagram socket",
            kinds: DUPLEX,
            change: |offer| offer.fds[1] = UnixDatagram::pair().unwrap().0.into(),
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "a seqpacket socket",
            kinds: DUPLEX,
            change: |offer| {
                let flags = rustix::net::SocketFlags::CLOEXEC;
                let pair = rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
                offer.fds[1] = pair.unwrap().0;
            },
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "a stream that is not connected",
            kinds: DUPLEX,
            change: |offer| {
                offer.fds[1] = rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
            },
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "a stream that a service accepted",
            kinds: DUPLEX,
            change: |offer| offer.fds[1] = connected_to_a_service().into(),
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "a TCP socket",
            kinds: DUPLEX,
            change: |offer| {
                offer.fds[1] = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
            },
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "a pipe",
            kinds: DUPLEX,
            change: |offer| offer.fds[1] = std::io::pipe().unwrap().0.into(),
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
        Case {
            what: "another memfd",
            kinds: DUPLEX,
            change: |offer| offer.fds[1] = memfd(SIZE, seals(), true),
            reason: Reason::Socket,
            numbers: |_| (0, 0),
        },
    ];
    refuse("a_second_socket_that_could_not_carry_bells_is_refused", &rig::options(), &cases);
}

fn connected_to_a_service() -> UnixStream {
    let name = format!("memenpsf-a-service.{}", std::process::id());
    let address = SocketAddr::from_abstract_name(name).unwrap();
    let _listener = UnixListener::bind_addr(&address).unwrap();
    UnixStream::connect_addr(&address).unwrap()
}

#[test]
fn the_peers_reject_is_reported_in_our_words() {
    let alone = alone("the_peers_reject_is_reported_in_our_words");
    for kind in Kind::ALL {
        for code in 1..=22u16 {
            let (stream, theirs) = pair();
            let meeting = real(kind, theirs, rig::options().schema("mine"));
            rig::send(&stream, &rig::reject(code, 16, 8, if code == 13 { "yours" } else { "" }), &[]);
            let refused = refusal(meeting.join().unwrap(), "Reject");
            assert_eq!((refused.reason() as u16, refused.here(), refused.there()), (code, 8, 16), "{kind:?}");
            assert!(refused.by_peer());
            let text = refused.to_string();
            assert!(text.starts_with("refused by the peer: "), "{text}");
            match refused.reason() {
                Reason::ElementSize => assert_eq!(text, "refused by the peer: element size: 8 here, 16 there"),
                Reason::Schema => assert_eq!(text, r#"refused by the peer: schema: "mine" here, "yours" there"#),
                _ => {}
            }
            drop(stream);
            alone.assert_nothing_left("Reject");
        }
    }
}

#[test]
fn a_peer_that_reads_nothing_holds_nobody_up_beyond_the_time() {
    let alone = alone("a_peer_that_reads_nothing_holds_nobody_up_beyond_the_time");
    let after = Duration::from_millis(100);
    for kind in Kind::ALL {
        for wrong in [false, true] {
            let (stream, theirs) = pair();
            // Not a byte more has room.
            theirs.set_nonblocking(true).unwrap();
            while std::io::Write::write(&mut &theirs, &[0; 4096]).is_ok() {}
            while std::io::Write::write(&mut &theirs, &[0]).is_ok() {}
            let mut offer = offer(kind);
            if wrong {
                offer.hello.magic = *b"none";
            }
            offer.send(&stream);
            let started = Instant::now();
            let result = real(kind, theirs, rig::options().handshake_timeout(after)).join().unwrap();
            let took = started.elapsed();
            if wrong && !kind.is_client() {
                // The refusal cannot be said, and that is not waited for.
                assert_eq!(refusal(result, "nobody reads").reason(), Reason::Magic, "{kind:?}");
            } else {
                assert!(matches!(result, Err(Error::TimedOut { .. })), "{kind:?}: {result:?}");
                assert!(took >= after, "{kind:?}: {took:?}");
            }
            assert!(took < after * 20, "{kind:?}: {took:?}");
            drop((stream, offer));
            alone.assert_nothing_left("nobody reads");
        }
    }
}

/// How much of the handshake the raw peer sends before it says nothing more.
fn steps(kind: Kind) -> Vec<(&'static str, Vec<u8>)> {
    let hello = offer(kind).hello.bytes();
    let accept = frame(ACCEPT, &[]);
    vec![
        ("one byte", hello[..1].to_vec()),
        ("half a header", hello[..8].to_vec()),
        ("a header", hello[..16].to_vec()),
        ("all but the last byte of a Hello", hello[..hello.len() - 1].to_vec()),
        ("a Hello", hello.clone()),
        ("a Hello and half an Accept", [&hello, &accept[..9]].concat()),
    ]
}

#[test]
fn silence_ends_when_the_time_is_over_and_not_before() {
    let alone = alone("silence_ends_when_the_time_is_over_and_not_before");
    let after = Duration::from_millis(100);
    for kind in Kind::ALL {
        for (step, bytes) in [("nothing", Vec::new())].into_iter().chain(steps(kind)) {
            let (stream, theirs) = pair();
            let started = Instant::now();
            let meeting = real(kind, theirs, rig::options().handshake_timeout(after));
            if !bytes.is_empty() {
                rig::send(&stream, &bytes, &offer(kind).fds);
            }
            let result = meeting.join().unwrap();
            let took = started.elapsed();
            assert!(
                matches!(result, Err(Error::TimedOut { after: said }) if said == after),
                "{kind:?}, {step}: {result:?}"
            );
            assert!(took >= after && took < after * 20, "{kind:?}, {step}: {took:?}");
            drop(stream);
            alone.assert_nothing_left(step);
        }
    }
}

#[test]
fn a_peer_that_trickles_has_no_more_time_than_any_other() {
    let alone = alone("a_peer_that_trickles_has_no_more_time_than_any_other");
    let (stream, theirs) = pair();
    let meeting = real(Kind::Consumer, theirs, rig::options().handshake_timeout(Duration::from_millis(100)));
    let offer = offer(Kind::Consumer);
    let started = Instant::now();
    let pace = Timespec::try_from(Duration::from_millis(20)).unwrap();
    for byte in offer.bytes() {
        let _ = std::io::Write::write(&mut &stream, &[byte]);
        // A byte each time this runs out, until the end under test hangs up.
        if poll(&mut [PollFd::new(&stream, PollFlags::empty())], Some(&pace)) == Ok(1) {
            break;
        }
    }
    assert!(matches!(meeting.join().unwrap(), Err(Error::TimedOut { .. })));
    assert!(started.elapsed() < Duration::from_millis(1000));
    drop((stream, offer));
    alone.assert_nothing_left("a trickle");
}

#[test]
fn a_peer_that_goes_away_at_any_step_is_reported_as_gone() {
    let alone = alone("a_peer_that_goes_away_at_any_step_is_reported_as_gone");
    for kind in Kind::ALL {
        for (step, bytes) in steps(kind) {
            let (stream, theirs) = pair();
            let meeting = real(kind, theirs, rig::options());
            if kind.is_client() {
                read_frame(&stream);
            }
            rig::send(&stream, &bytes, &offer(kind).fds);
            if step.starts_with("a Hello") {
                while read_frame(&stream).kind != ACCEPT {}
            }
            drop(stream);
            let result = meeting.join().unwrap();
            assert!(matches!(result, Err(Error::Disconnected)), "{kind:?}, {step}: {result:?}");
            alone.assert_nothing_left(step);
        }
    }
}

#[test]
fn a_peer_that_is_gone_before_it_is_spoken_to_is_reported_as_gone() {
    let alone = alone("a_peer_that_is_gone_before_it_is_spoken_to_is_reported_as_gone");
    for kind in Kind::ALL {
        let (stream, theirs) = pair();
        drop(stream);
        let result = real(kind, theirs, rig::options()).join().unwrap();
        assert!(matches!(result, Err(Error::Disconnected)), "{kind:?}: {result:?}");
        alone.assert_nothing_left("gone before");

        // Its Hello is there, but nobody hears the answer.
        let (stream, theirs) = pair();
        offer(kind).send(&stream);
        drop(stream);
        let result = real(kind, theirs, rig::options()).join().unwrap();
        assert!(matches!(result, Err(Error::Disconnected)), "{kind:?}, after a Hello: {result:?}");
        alone.assert_nothing_left("gone after a Hello");
    }
}

#[test]
fn a_peer_that_does_not_fit_and_goes_away_is_refused_for_what_does_not_fit() {
    let alone = alone("a_peer_that_does_not_fit_and_goes_away_is_refused_for_what_does_not_fit");
    for kind in Kind::ALL {
        let (stream, theirs) = pair();
        let mut offer = offer(kind);
        offer.hello.size = 16;
        let meeting = if kind.is_client() {
            let meeting = real(kind, theirs, rig::options());
            read_frame(&stream);
            offer.send(&stream);
            drop(stream);
            meeting
        } else {
            offer.send(&stream);
            drop(stream);
            real(kind, theirs, rig::options())
        };
        let refused = refusal(meeting.join().unwrap(), &format!("wrong and gone, {kind:?}"));
        assert_eq!((refused.reason(), refused.here(), refused.there()), (Reason::ElementSize, 8, 16), "{kind:?}");
        drop(offer);
    }
    alone.assert_nothing_left("wrong and gone");
}

#[test]
fn a_peer_that_hears_nothing_more_is_still_told_apart_by_what_it_said() {
    let alone = alone("a_peer_that_hears_nothing_more_is_still_told_apart_by_what_it_said");
    let (stream, theirs) = pair();
    rig::send(&stream, &rig::reject(9, 16, 8, ""), &[]);
    stream.shutdown(Shutdown::Both).unwrap();
    let refused = refusal(real(Kind::Producer, theirs, rig::options()).join().unwrap(), "said and gone");
    assert_eq!((refused.reason(), refused.here(), refused.there()), (Reason::ElementSize, 8, 16));
    drop(stream);
    alone.assert_nothing_left("said and gone");
}

#[test]
fn two_ends_refuse_each_other_each_in_its_own_words() {
    let alone = alone("two_ends_refuse_each_other_each_in_its_own_words");
    for [server, client] in &PAIRS {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let other = real_of(client.end, theirs);
        let here = real_of(server.end, ours).join().unwrap();
        assert_eq!((here.as_str(), other.join().unwrap().as_str()), (server.says, client.says));
        alone.assert_nothing_left(server.says);
    }
}

/// An end of some kind and type, and what it says to an end that does not fit.
struct Says {
    end: fn(UnixStream) -> Result<(), Error>,
    says: &'static str,
}

/// The server and the client.
const PAIRS: [[Says; 2]; 8] = [
    [
        Says {
            end: |stream| Consumer::<u64>::new(stream, &rig::options()).map(drop),
            says: "refused: element size: 8 here, 16 there",
        },
        Says {
            end: |stream| Producer::<u128>::new(stream, &rig::options()).map(drop),
            says: "refused by the peer: element size: 16 here, 8 there",
        },
    ],
    [
        Says {
            end: |stream| Consumer::<[u8; 8]>::new(stream, &rig::options()).map(drop),
            says: "refused: element alignment: 1 here, 8 there",
        },
        Says {
            end: |stream| Producer::<u64>::new(stream, &rig::options()).map(drop),
            says: "refused by the peer: element alignment: 8 here, 1 there",
        },
    ],
    [
        Says {
            end: |stream| Consumer::<u64>::new(stream, &rig::options()).map(drop),
            says: "refused: direction: consume here, both ways there",
        },
        Says {
            end: |stream| duplex::<u64>(stream, Role::Client, &rig::options()).map(drop),
            says: "refused by the peer: direction: both ways here, consume there",
        },
    ],
    [
        Says {
            end: |stream| duplex::<u64>(stream, Role::Server, &rig::options()).map(drop),
            says: "refused: direction: both ways here, produce there",
        },
        Says {
            end: |stream| Producer::<u64>::new(stream, &rig::options()).map(drop),
            says: "refused by the peer: direction: produce here, both ways there",
        },
    ],
    [
        Says {
            end: |stream| Consumer::<u64>::new(stream, &rig::options().max_segment(12288)).map(drop),
            says: "refused: segment over the limit: 12288 here, 16384 there",
        },
        Says {
            end: |stream| Producer::<u64>::new(stream, &rig::options().capacity(1024)).map(drop),
            says: "refused by the peer: segment over the limit: 16384 here, 12288 there",
        },
    ],
    [
        Says {
            end: |stream| duplex::<u64>(stream, Role::Server, &rig::options().capacity(1024)).map(drop),
            says: "refused by the peer: segment over the limit: 16384 here, 12288 there",
        },
        Says {
            end: |stream| duplex::<u64>(stream, Role::Client, &rig::options().max_segment(12288)).map(drop),
            says: "refused: segment over the limit: 12288 here, 16384 there",
        },
    ],
    [
        Says {
            end: |stream| duplex::<u64>(stream, Role::Server, &rig::options().schema("a")).map(drop),
            says: r#"refused: schema: "a" here, "b" there"#,
        },
        Says {
            end: |stream| duplex::<u64>(stream, Role::Client, &rig::options().schema("b")).map(drop),
            says: r#"refused by the peer: schema: "b" here, "a" there"#,
        },
    ],
    [
        Says {
            end: |stream| duplex::<u64>(stream, Role::Client, &rig::options()).map(drop),
            says: "refused: both ends are clients",
        },
        Says {
            end: |stream| Producer::<u64>::new(stream, &rig::options()).map(drop),
            says: "refused: both ends are clients",
        },
    ],
];

/// Runs an end that will be refused on a thread of its own.
fn real_of(end: fn(UnixStream) -> Result<(), Error>, stream: UnixStream) -> thread::JoinHandle<String> {
    let work = move || end(stream).expect_err("two ends that do not fit").to_string();
    thread::Builder::new().name(rig::REAL.into()).spawn(work).unwrap()
}

#[test]
fn two_clients_refuse_each_other() {
    let alone = alone("two_clients_refuse_each_other");
    for kind in [Kind::Producer, Kind::DuplexClient] {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let ends = [real(kind, ours, rig::options()), real(kind, theirs, rig::options())];
        for end in ends {
            let refused = refusal(end.join().unwrap(), "two clients");
            assert_eq!((refused.reason(), refused.here(), refused.there()), (Reason::Role, 0, 0), "{kind:?}");
        }
        alone.assert_nothing_left("two clients");
    }
}

#[test]
fn two_servers_time_out_with_a_hint() {
    let alone = alone("two_servers_time_out_with_a_hint");
    for &kind in SERVERS {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let impatient = rig::options().handshake_timeout(Duration::from_millis(100));
        let [first, second] =
            [(ours, impatient), (theirs, rig::options())].map(|(end, options)| real(kind, end, options));
        let error = first.join().unwrap().unwrap_err();
        assert!(matches!(error, Error::TimedOut { .. }), "{error:?}");
        assert!(error.to_string().contains("`Interface::pair()`"), "{error}");
        // Who gives up first hangs up.
        assert!(matches!(second.join().unwrap(), Err(Error::Disconnected)));
        alone.assert_nothing_left("two servers");
    }
}

#[test]
fn a_stream_that_is_none_is_refused_before_anything_is_done() {
    let alone = alone("a_stream_that_is_none_is_refused_before_anything_is_done");
    let not_streams: [fn() -> OwnedFd; 4] = [
        || UnixDatagram::pair().unwrap().0.into(),
        || rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap(),
        || std::io::pipe().unwrap().0.into(),
        || File::open("/dev/null").unwrap().into(),
    ];
    for make in not_streams {
        for kind in Kind::ALL {
            let result = real(kind, make().into(), rig::options()).join().unwrap();
            assert!(matches!(result, Err(Error::NotAUnixStream)), "{kind:?}: {result:?}");
            alone.assert_nothing_left("no stream");
        }
    }
}

#[test]
fn a_peer_that_hears_nothing_does_not_keep_the_handshake_by_talking() {
    let alone = rig::alone("a_peer_that_hears_nothing_does_not_keep_the_handshake_by_talking");
    for kind in Kind::ALL {
        let (ours, theirs) = pair();
        ours.shutdown(std::net::Shutdown::Read).unwrap();
        let meeting = real(kind, theirs, rig::options());
        if !kind.is_client() {
            let offer = offer(kind);
            offer.send(&ours);
        }
        send(&ours, &frame(ACCEPT, &[]), &[]);
        // The stream stays open: no end of it tells the other that there is nothing to wait for.
        let result = meeting.join().unwrap();
        assert!(matches!(result, Err(Error::Disconnected)), "{kind:?}: {result:?}");
        drop(ours);
        alone.assert_nothing_left("a deaf peer");
    }
}
