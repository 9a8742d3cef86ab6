//! Headers as no sender writes them.

use std::os::fd::OwnedFd;

use local_socket::{Error, raw_channel};

use crate::{
    by_hand::{self, AHEAD, IN_MEMORY, INLINE, files, half, header, message, sealed},
    rig::Watchdog,
    victims::victims,
};

/// What can be wrong with a message before its payload is looked at.
fn is_about_the_frame(error: &Error) -> bool {
    use Error::{Malformed, TooLong, WrongFds, WrongLength};
    matches!(error, Malformed { .. } | TooLong { .. } | WrongFds { .. } | WrongLength { .. })
}

fn why(error: &Error) -> &'static str {
    let Error::Malformed { why } = error else { panic!("{error:?}") };
    why
}

#[test]
fn every_message_cut_short_is_refused() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for fds in [0, 1, 2] {
            let whole = message(fds, b"payload");
            for length in 0..whole.len() {
                let error = victim.refuses("cut short", &whole[..length], files(fds.into()));
                match (length, &error) {
                    (0..16, Error::Malformed { why }) => assert_eq!(*why, "the message is shorter than a header"),
                    (_, Error::WrongLength { expected: 7, got }) => assert_eq!(*got, length as u64 - 16),
                    _ => panic!("{length}: {error:?}"),
                }
            }
        }
    }
}

#[test]
fn every_other_byte_in_a_header_is_refused() {
    let _watchdog = Watchdog::new();
    type Make = fn() -> (Vec<u8>, Vec<OwnedFd>);
    let good: [Make; 4] = [
        || (message(0, &[7]), vec![]),
        || (message(2, b"some more bytes"), files(2)),
        || (header(IN_MEMORY, 1, 3), vec![sealed(b"abc"), files(1).remove(0)]),
        || (half(AHEAD, 0, 3, 0), vec![sealed(b"abc")]),
    ];
    for (number, victim) in victims().into_iter().enumerate() {
        for make in good {
            for place in 0..16 {
                // All of them once, and otherwise each bit.
                let others: Vec<u8> =
                    if number == 0 { (1..=255).collect() } else { (0..8).map(|bit| 1 << bit).collect() };
                for change in others {
                    let (mut bytes, fds) = make();
                    bytes[place] ^= change;
                    let error = victim.refuses("a changed header", &bytes, fds);
                    assert!(is_about_the_frame(&error), "{bytes:?}: {error:?}");
                    match place {
                        0..4 => assert_eq!(why(&error), "the message is not of a channel, or of another version"),
                        4 | 5 if change > 3 || place == 5 => {
                            assert_eq!(why(&error), "the message is of a kind that this version does not know");
                        }
                        6 | 7 => assert!(matches!(error, Error::WrongFds { .. }), "{error:?}"),
                        8.. => assert!(matches!(error, Error::WrongLength { .. } | Error::TooLong { .. }), "{error:?}"),
                        _ => {}
                    }
                }
            }
        }
    }
}

#[test]
fn as_many_descriptors_as_announced_must_come() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for (announced, come) in
            [(0, 1), (1, 0), (1, 2), (2, 1), (253, 252), (252, 253), (254, 253), (u16::MAX, 3), (0, 253)]
        {
            let error = victim.refuses("other descriptors", &message(announced, &[7]), files(come));
            let expected = usize::from(announced);
            assert!(matches!(error, Error::WrongFds { expected: e, got } if e == expected && got == come), "{error:?}");
            if come == 253 {
                // With the memory they are one too many.
                continue;
            }
            let mut fds = files(come);
            fds.insert(0, sealed(&[7]));
            let error = victim.refuses("other descriptors beside memory", &header(IN_MEMORY, announced, 1), fds);
            assert!(
                matches!(error, Error::WrongFds { expected: e, got } if e == expected + 1 && got == come + 1),
                "{error:?}"
            );
        }
    }
}

const HUGE: [u64; 7] = [u32::MAX as u64, 1 << 32, (1 << 32) + 4, i64::MAX as u64, 1 << 63, u64::MAX - 15, u64::MAX];

#[test]
fn four_gibibytes_announced_in_twenty_bytes_are_refused_and_never_allocated() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for length in HUGE {
            let bytes = [&header(0, 0, length), [0; 4].as_slice()].concat();
            assert_eq!(bytes.len(), 20);
            let error = victim.refuses("gibibytes", &bytes, vec![]);
            assert!(matches!(error, Error::WrongLength { expected, got: 4 } if expected == length), "{error:?}");
            let error = victim.refuses("gibibytes of memory", &header(IN_MEMORY, 0, length), vec![sealed(b"abcd")]);
            let Error::TooLong { length: told, room } = error else { panic!("{error:?}") };
            assert_eq!((told, room), (length as usize, 64 << 20));
            let error =
                victim.refuses("both", &[header(IN_MEMORY, 0, length), vec![0; 4]].concat(), vec![sealed(b"abcd")]);
            assert!(matches!(error, Error::WrongLength { expected: 0, got: 4 }), "{error:?}");
        }
    }
}

#[test]
fn a_datagram_longer_than_any_of_a_channel_is_refused() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        let error = victim.refuses("a long datagram", &message(0, &vec![0; INLINE + 1]), vec![]);
        let Error::TooLong { length, room } = error else { panic!("{error:?}") };
        assert_eq!((length, room), (INLINE + 17, INLINE + 16));
    }
}

#[test]
fn no_more_than_the_limit_is_taken_whichever_way_it_comes() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = raw_channel().unwrap();
    for limit in [0, 1, 10, 4096, INLINE, INLINE + 1, 1 << 20] {
        receiver.set_limit(limit);
        for short in [Some(0), limit.checked_sub(1), Some(limit)].into_iter().flatten() {
            sender.send(&vec![7; short], &[]).unwrap();
            assert_eq!(receiver.recv().unwrap().0, vec![7; short]);
        }
        sender.send(&vec![7; limit + 1], &by_hand::borrowed(&files(3))).unwrap();
        let before = crate::rig::descriptors();
        let error = receiver.recv().unwrap_err();
        assert!(matches!(error, Error::TooLong { length, room } if length == limit + 1 && room == limit), "{error:?}");
        assert_eq!(crate::rig::descriptors(), before);
    }
}
