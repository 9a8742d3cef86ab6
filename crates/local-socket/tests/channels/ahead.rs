//! Payloads that come ahead of their messages, in any order and number, with and without the messages.

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use local_socket::{Error, RawReceiver, RawSender, raw_channel};
use nix::{
    errno::Errno,
    unistd::{Pid, gettid},
};
use rustix::io::ioctl_fionread;

use crate::{
    by_hand::{
        self, AHEAD, CAME_AHEAD, borrowed, files, half, header, identities, lingering, memory, message, sealed,
        seqpacket_pair, traced,
    },
    inherited,
    rig::{HANG, Watchdog, descriptors, hear, say, taking},
    start,
    victims::victims,
};

/// How many payloads a receiver keeps.
const KEPT: u64 = 16;
const TIME: Duration = Duration::from_millis(50);

const NOT_THERE: &str = "the payload of the message has not come ahead, or too many others have come since";
const NO_MESSAGES: &str = "payloads come ahead, and no messages behind them";

/// The end of a channel that is sent to by hand, and the other one.
fn by_hand_and_receiver() -> (OwnedFd, RawReceiver) {
    let (bare, other) = seqpacket_pair();
    (bare, RawReceiver::try_from(other).unwrap())
}

fn send_ahead(bare: impl AsFd, ticket: u64, payload: &[u8]) {
    by_hand::send(bare, &half(AHEAD, 0, payload.len() as u64, ticket), vec![sealed(payload)]);
}

fn send_message(bare: impl AsFd, ticket: u64, length: usize, fds: Vec<OwnedFd>) {
    by_hand::send(bare, &half(CAME_AHEAD, fds.len() as u16, length as u64, ticket), fds);
}

fn is_malformed<T>(result: &Result<T, Error>, expected: &str) -> bool {
    matches!(result, Err(Error::Malformed { why }) if *why == expected)
}

#[test]
fn what_is_no_payload_is_not_kept() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for (own, come) in [(0, 0), (0, 2), (0, 253), (1, 1), (1, 2), (u16::MAX, 1), (253, 253)] {
            let mut fds = files(come);
            fds.truncate(come.saturating_sub(1));
            if come > 0 {
                fds.insert(0, sealed(&[7]));
            }
            let error = victim.refuses("other descriptors", &half(AHEAD, own, 1, 5), fds);
            assert!(matches!(error, Error::WrongFds { expected: 1, got } if got == come), "{error:?}");
        }
        for length in [0, 7, 9, 1000] {
            let bytes = [header(AHEAD, 0, 1), vec![0; length]].concat();
            let error = victim.refuses("another ticket", &bytes, vec![sealed(&[7])]);
            let told = matches!(error, Error::WrongLength { expected: 8, got } if got == length as u64);
            assert!(told, "{error:?}");
        }
        for (length, real) in [(0, 1), (1, 0), (5, 4), (4095, 4096)] {
            let error = victim.refuses("another length", &half(AHEAD, 0, length, 5), vec![sealed(&vec![0; real])]);
            let told =
                matches!(error, Error::WrongLength { expected, got } if expected == length && got == real as u64);
            assert!(told, "{error:?}");
        }
        let (slow, _reader) = lingering();
        let open = memory(&[7], by_hand::SEALS.difference(rustix::fs::SealFlags::WRITE));
        for (what, fd) in [("unsealed", open), ("lingering", slow), ("a socket", seqpacket_pair().0)] {
            let error = victim.refuses(what, &half(AHEAD, 0, 1, 5), vec![fd]);
            let why = "the message's payload does not lie in a sealed memfd";
            assert!(matches!(error, Error::Malformed { why: told } if told == why), "{what}: {error:?}");
        }
        let (slow, _reader) = lingering();
        victim.refuses("lingering behind a payload", &half(AHEAD, 0, 1, 5), vec![sealed(&[7]), slow]);
        for length in [(64 << 20) + 1, u64::MAX] {
            let error = victim.refuses("too long", &half(AHEAD, 0, length, 5), vec![sealed(&[7])]);
            assert!(matches!(error, Error::TooLong { room, .. } if room == 64 << 20), "{error:?}");
        }
        // Nothing of all that is there.
        let error = victim.refuses("not kept", &half(CAME_AHEAD, 0, 1, 5), vec![]);
        assert!(is_malformed(&Err::<(), _>(error), NOT_THERE));
    }
}

#[test]
fn a_message_whose_payload_has_not_come_is_refused_without_waiting_for_it() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for count in [0, 1, 253] {
            let error = victim.refuses("no payload", &half(CAME_AHEAD, count, 1, 5), files(count.into()));
            assert!(is_malformed(&Err::<(), _>(error), NOT_THERE));
        }
        let (slow, _reader) = lingering();
        victim.refuses("no payload for what lingers", &half(CAME_AHEAD, 1, 1, 5), vec![slow]);
        let error = victim.refuses("without a ticket", &header(CAME_AHEAD, 1, 1), files(1));
        assert!(matches!(error, Error::WrongLength { expected: 8, got: 0 }), "{error:?}");
        for (announced, come) in [(0, 1), (1, 0), (2, 1), (253, 252), (u16::MAX, 3)] {
            let error = victim.refuses("other descriptors", &half(CAME_AHEAD, announced, 1, 5), files(come));
            let told =
                matches!(error, Error::WrongFds { expected, got } if expected == usize::from(announced) && got == come);
            assert!(told, "{error:?}");
        }
        let error = victim.refuses("too long", &half(CAME_AHEAD, 0, u64::MAX, 5), vec![]);
        assert!(matches!(error, Error::TooLong { room, .. } if room == 64 << 20), "{error:?}");
    }
}

#[test]
fn a_payload_is_for_one_message_with_any_number_of_descriptors() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let before = descriptors();
    for count in [0, 1, 253] {
        let sent = files(count);
        let expected = identities(&sent);
        send_ahead(&bare, 5, b"abc");
        send_message(&bare, 5, 3, sent);
        let (bytes, fds) = receiver.try_recv().unwrap();
        assert_eq!((bytes.as_slice(), identities(&fds)), (b"abc".as_slice(), expected));
        drop(fds);
        send_message(&bare, 5, 3, files(count));
        assert!(is_malformed(&receiver.try_recv(), NOT_THERE), "its ticket is used");
        assert_eq!(descriptors(), before);
    }
}

#[test]
fn payloads_under_the_same_ticket_are_taken_in_their_order() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    send_ahead(&bare, 5, b"one");
    send_ahead(&bare, 5, b"two");
    for expected in [b"one", b"two"] {
        send_message(&bare, 5, 3, vec![]);
        assert_eq!(receiver.try_recv().unwrap().0, expected);
    }
    send_message(&bare, 5, 3, vec![]);
    assert!(is_malformed(&receiver.try_recv(), NOT_THERE));
}

#[test]
fn a_message_of_another_length_than_its_payload_is_refused_with_it() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let before = descriptors();
    for length in [0, 2, 4, 64 << 20] {
        send_ahead(&bare, 5, b"abc");
        send_message(&bare, 5, length, files(2));
        let error = receiver.try_recv().unwrap_err();
        let told = matches!(error, Error::WrongLength { expected, got: 3 } if expected == length as u64);
        assert!(told, "{error:?}");
        send_message(&bare, 5, 3, files(2));
        assert!(is_malformed(&receiver.try_recv(), NOT_THERE));
        assert_eq!(descriptors(), before);
    }
}

#[test]
fn sixteen_payloads_are_kept_and_one_more_drives_out_the_oldest() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let before = descriptors();
    let payload = |ticket: u64| ticket.to_le_bytes();
    let ahead = |tickets: std::ops::Range<u64>| tickets.for_each(|ticket| send_ahead(&bare, ticket, &payload(ticket)));
    ahead(0..KEPT);
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(descriptors(), before + 16);
    for ticket in (0..KEPT).rev() {
        send_message(&bare, ticket, 8, vec![]);
        assert_eq!(receiver.try_recv().unwrap().0, payload(ticket));
    }
    assert_eq!(descriptors(), before);
    // A message in the same call.
    ahead(0..KEPT);
    send_message(&bare, 0, 8, vec![]);
    assert_eq!(receiver.try_recv().unwrap().0, payload(0));
    ahead(KEPT..KEPT + 2);
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    send_message(&bare, 1, 8, files(1));
    assert!(is_malformed(&receiver.try_recv(), NOT_THERE), "it was the oldest");
    for ticket in 2..KEPT + 2 {
        send_message(&bare, ticket, 8, vec![]);
        assert_eq!(receiver.try_recv().unwrap().0, payload(ticket));
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn one_call_reads_sixteen_payloads_beyond_what_is_kept_and_no_more() {
    let _watchdog = Watchdog::new();
    for victim in victims() {
        for ticket in 0..2 * KEPT {
            send_ahead(&victim.bare, ticket, &[7]);
        }
        by_hand::send(&victim.bare, &message(0, &[7]), vec![]);
        assert!(is_malformed(&victim.receive(), NO_MESSAGES), "{}", victim.name);
        victim.receive().unwrap();
        for ticket in 0..KEPT {
            send_ahead(&victim.bare, ticket, &[7]);
        }
        victim.takes("behind sixteen", &message(0, &[7]), vec![]);
    }
}

#[test]
fn a_payload_without_a_message_is_in_nobodys_way_and_closed_with_the_receiver() {
    let _watchdog = Watchdog::new();
    let start = descriptors();
    for closed_first in [true, false] {
        let (bare, receiver) = by_hand_and_receiver();
        let before = descriptors();
        for ticket in 0..40 {
            send_ahead(&bare, ticket, b"never");
            by_hand::send(&bare, &message(1, b"inline"), files(1));
            let (bytes, fds) = receiver.recv().unwrap();
            assert_eq!((bytes.as_slice(), fds.len()), (b"inline".as_slice(), 1));
            drop(fds);
            assert_eq!(descriptors() - before, 16.min(ticket as usize + 1));
        }
        if closed_first {
            drop(bare);
            assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
            drop(receiver);
        } else {
            drop(OwnedFd::from(receiver));
            drop(bare);
        }
        assert_eq!(descriptors(), start);
    }
}

#[test]
fn two_senders_in_turns_keep_their_payloads_apart() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let other = bare.try_clone().unwrap();
    for (first, second) in [(1, 2), (2, 1)] {
        send_ahead(&bare, 1, b"one");
        send_ahead(&other, 2, b"two");
        by_hand::send(&other, &message(0, b"between"), vec![]);
        assert_eq!(receiver.try_recv().unwrap().0, b"between");
        for ticket in [first, second] {
            send_message(&other, ticket, 3, files(ticket as usize));
            let (bytes, fds) = receiver.try_recv().unwrap();
            let expected: &[u8] = if ticket == 1 { b"one" } else { b"two" };
            assert_eq!((bytes.as_slice(), fds.len()), (expected, ticket as usize));
        }
    }
}

#[test]
fn payloads_that_never_end_do_not_keep_a_call_beyond_its_time() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let memory = sealed(b"flood");
    let flood = thread::spawn(move || {
        let datagram = half(AHEAD, 0, 5, 5);
        // Until nobody receives.
        while fdpass::send_fds(&bare, &datagram, &[memory.as_fd()]).is_ok() {}
    });
    for _ in 0..10 {
        for time in [Duration::ZERO, TIME] {
            let start = Instant::now();
            let error = receiver.recv_timeout(time).unwrap_err();
            assert!(matches!(error, Error::TimedOut | Error::Malformed { why: NO_MESSAGES }), "{error:?}");
            assert!(start.elapsed() < HANG * TIME);
        }
    }
    drop(receiver);
    flood.join().unwrap();
}

#[test]
fn payloads_that_come_one_by_one_do_not_keep_a_call_beyond_its_time() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    thread::scope(|scope| {
        let (done, stop) = mpsc::channel::<()>();
        let socket = receiver.as_fd();
        let bare = &bare;
        scope.spawn(move || {
            while let Err(mpsc::TryRecvError::Empty) = stop.try_recv() {
                if ioctl_fionread(socket).unwrap() == 0 {
                    send_ahead(bare, 5, b"abc");
                }
                thread::yield_now();
            }
        });
        let error = taking(TIME, || receiver.recv_timeout(TIME).unwrap_err());
        assert!(matches!(error, Error::TimedOut), "{error:?}");
        drop(done);
    });
}

/// Sends a payload and is killed before its message.
pub(crate) fn payload_ahead() {
    send_ahead(inherited(), 5, &[7; 300_000]);
    say("ahead");
    hear();
}

#[test]
fn a_sender_killed_between_payload_and_message_has_sent_nothing() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let (sender, receiver) = raw_channel().unwrap();
    let sent = files(253);
    let mut peer = start("payload ahead", &[], OwnedFd::try_from(sender.clone()).unwrap());
    assert_eq!(peer.line(), "ahead");
    peer.kill();
    drop(peer);
    let long = vec![8; 300_000];
    sender.send(&long, &borrowed(&sent)).unwrap();
    let (bytes, fds) = receiver.recv().unwrap();
    assert!(bytes == long && identities(&fds) == identities(&sent));
    drop((sender, fds, sent));
    assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
    drop(receiver);
    assert_eq!(descriptors(), before);
}

/// A channel with room for one datagram more, and how many messages are in it.
fn almost_full() -> (RawSender, RawReceiver, usize) {
    let (sender, receiver) = raw_channel().unwrap();
    let mut count = 0;
    while sender.send_timeout(b"", &[], Duration::ZERO).is_ok() {
        count += 1;
    }
    receiver.recv().unwrap();
    (sender, receiver, count - 1)
}

#[test]
fn a_message_with_room_for_its_payload_alone_is_not_sent_and_the_next_one_is() {
    let _watchdog = Watchdog::new();
    let (sender, receiver, count) = almost_full();
    let (long, sent) = (vec![7; 300_000], files(253));
    let before = descriptors();
    assert!(matches!(sender.send_timeout(&long, &borrowed(&sent), Duration::ZERO), Err(Error::TimedOut)));
    for _ in 0..count {
        assert_eq!(receiver.try_recv().unwrap().0, b"");
    }
    assert_eq!(descriptors(), before);
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(descriptors(), before + 1, "its payload had gone");
    sender.send(&long, &borrowed(&sent)).unwrap();
    let (bytes, fds) = receiver.try_recv().unwrap();
    assert!(bytes == long && identities(&fds) == identities(&sent));
}

#[test]
fn a_payload_goes_once_however_long_its_message_waits_for_room() {
    let _watchdog = Watchdog::new();
    let (sender, receiver, count) = almost_full();
    let (long, sent) = (vec![7; 300_000], files(253));
    let before = descriptors();
    thread::scope(|scope| {
        let (threads, waiting) = mpsc::channel();
        let (sender, long, sent) = (&sender, &long, &sent);
        let sending = scope.spawn(move || {
            threads.send(gettid()).unwrap();
            sender.send_timeout(long, &borrowed(sent), Duration::from_secs(9))
        });
        wait_until_asleep(waiting.recv().unwrap());
        for _ in 0..count {
            assert_eq!(receiver.recv().unwrap().0, b"");
        }
        let (bytes, fds) = receiver.recv().unwrap();
        assert!(bytes == *long && identities(&fds) == identities(sent));
        sending.join().unwrap().unwrap();
    });
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    assert_eq!(descriptors(), before);
}

/// Has both of two threads wait for a message, and then does something.
fn with_two_waiting(receiver: &RawReceiver, act: impl FnOnce(&mpsc::Receiver<Result<(Vec<u8>, Vec<OwnedFd>), Error>>)) {
    thread::scope(|scope| {
        let (results, received) = mpsc::channel();
        let (threads, waiting) = mpsc::channel();
        for _ in 0..2 {
            let (results, threads) = (results.clone(), threads.clone());
            scope.spawn(move || {
                threads.send(gettid()).unwrap();
                results.send(receiver.recv()).unwrap();
            });
        }
        for thread in waiting.iter().take(2) {
            wait_until_asleep(thread);
        }
        act(&received);
    });
}

/// Waits until a thread sleeps, and longer than for a lock: only in its call is there something to wait for.
fn wait_until_asleep(thread: Pid) {
    let path = format!("/proc/self/task/{thread}/stat");
    let mut looks = 0;
    while looks < 100 {
        let sleeps = std::fs::read_to_string(&path).unwrap().rsplit_once(") ").unwrap().1.starts_with('S');
        looks = if sleeps { looks + 1 } else { 0 };
        thread::yield_now();
    }
}

#[test]
fn a_message_and_its_payload_may_be_received_by_two_threads_in_either_order() {
    let _watchdog = Watchdog::new();
    for message_first in [true, false] {
        let (bare, receiver) = by_hand_and_receiver();
        let (fd, trace) = traced();
        with_two_waiting(&receiver, |received| {
            if message_first {
                send_message(&bare, 5, 3, vec![fd]);
                send_ahead(&bare, 5, b"abc");
            } else {
                send_ahead(&bare, 5, b"abc");
                send_message(&bare, 5, 3, vec![fd]);
            }
            let (bytes, fds) = received.recv().unwrap().unwrap();
            assert_eq!((bytes.as_slice(), fds.len()), (b"abc".as_slice(), 1));
            drop(fds);
            assert!(!trace.is_open());
            by_hand::send(&bare, &message(0, b"next"), vec![]);
            assert_eq!(received.recv().unwrap().unwrap().0, b"next");
        });
    }
}

#[test]
fn as_many_messages_wait_for_their_payloads_as_other_threads_receive() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for comes in [true, false] {
        let (bare, receiver) = by_hand_and_receiver();
        let ((first, first_is), (left, left_is)) = (traced(), traced());
        with_two_waiting(&receiver, |received| {
            send_message(&bare, 5, 3, vec![first]);
            // The other thread has one in hand at most.
            send_message(&bare, 6, 3, vec![left]);
            by_hand::send(&bare, &message(0, b"next"), vec![]);
            assert_eq!(received.recv().unwrap().unwrap().0, b"next");
            send_message(&bare, 7, 3, files(1));
            assert!(is_malformed(&received.recv().unwrap(), NOT_THERE), "there is no other thread");
        });
        // The two threads may have come to it in either order.
        let (ticket, left_is, gone_is) =
            if left_is.is_open() { (6, left_is, first_is) } else { (5, first_is, left_is) };
        assert!(left_is.is_open() && !gone_is.is_open());
        if comes {
            send_ahead(&bare, ticket, b"abc");
            // The last one may still be there, if the thread before had one of the first two in hand that long.
            let (bytes, fds) = match receiver.try_recv() {
                Err(Error::Malformed { .. }) => receiver.try_recv(),
                received => received,
            }
            .unwrap();
            assert_eq!((bytes.as_slice(), fds.len()), (b"abc".as_slice(), 1));
        } else {
            drop(receiver);
        }
        assert!(!left_is.is_open());
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn what_lingers_in_a_message_that_waits_for_its_payload_is_closed_at_once_with_the_receiver() {
    let _watchdog = Watchdog::new();
    let (bare, receiver) = by_hand_and_receiver();
    let (slow, _reader) = lingering();
    with_two_waiting(&receiver, |received| {
        send_message(&bare, 5, 3, vec![slow]);
        for _ in 0..2 {
            by_hand::send(&bare, &message(0, b"next"), vec![]);
            assert_eq!(received.recv().unwrap().unwrap().0, b"next");
        }
    });
    drop(receiver);
}

/// As often as makes threads meet in most runs, and takes little time.
const MANY: u32 = 1000;

/// Waits where this user has too many descriptors on their way.
fn send_patiently(sender: &RawSender, bytes: &[u8], fds: &[std::os::fd::BorrowedFd<'_>]) {
    while let Err(error) = sender.send(bytes, fds) {
        let Error::Io(error) = error else { panic!("{error:?}") };
        assert_eq!(error.raw_os_error(), Some(Errno::ETOOMANYREFS as i32), "{error}");
        thread::yield_now();
    }
}

/// How many messages came, and whose: the first byte says it.
fn receive_all(receiver: &RawReceiver) -> [u32; 4] {
    let mut counts = [0; 4];
    loop {
        match receiver.recv() {
            Ok((bytes, fds)) => {
                assert!(bytes.iter().all(|byte| *byte == bytes[0]) && fds.len() == 253);
                counts[usize::from(bytes[0])] += 1;
            }
            Err(Error::EndOfFile) => return counts,
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn threads_that_send_and_threads_that_receive_lose_no_message_whose_payload_comes_ahead() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    for (senders, receivers) in [(1, 4), (4, 1), (4, 4)] {
        let (sender, receiver) = raw_channel().unwrap();
        let null = std::fs::File::open("/dev/null").unwrap();
        let counts = thread::scope(|scope| {
            let all: Vec<_> = (0..receivers).map(|_| scope.spawn(|| receive_all(&receiver))).collect();
            for number in 0..senders {
                let (sender, null) = (sender.clone(), null.as_fd());
                scope.spawn(move || {
                    for _ in 0..MANY / senders {
                        send_patiently(&sender, &vec![number as u8; 200_000], &[null; 253]);
                    }
                });
            }
            drop(sender);
            all.into_iter()
                .map(|one| one.join().unwrap())
                .reduce(|one, other| std::array::from_fn(|place| one[place] + other[place]))
        });
        let expected = std::array::from_fn(|place| if place < senders as usize { MANY / senders } else { 0 });
        assert_eq!(counts, Some(expected));
    }
    assert_eq!(descriptors(), before);
}

#[test]
fn each_message_has_a_ticket_of_its_own() {
    let _watchdog = Watchdog::new();
    let (bare, other) = seqpacket_pair();
    let sender = RawSender::try_from(other).unwrap();
    let sent = files(253);
    let tickets: std::collections::HashSet<_> = (0..20)
        .map(|_| {
            sender.send(&vec![7; 300_000], &borrowed(&sent)).unwrap();
            let ticket = by_hand::receive(&bare).0.split_off(16);
            assert_eq!(by_hand::receive(&bare).0.split_off(16), ticket);
            ticket
        })
        .collect();
    assert_eq!(tickets.len(), 20);
}
