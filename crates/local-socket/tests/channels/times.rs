//! Calls that end in time, and calls that wait for as long as it takes.

use std::{
    os::fd::AsFd,
    time::{Duration, Instant},
};

use local_socket::{Error, RawReceiver, RawSender, channel, raw_channel};
use rustix::io::ioctl_fionbio;

use crate::{
    by_hand,
    rig::{HANG, Watchdog, descriptors, taking},
    signal_storm::under_signals,
};

const TIME: Duration = Duration::from_millis(50);

fn fill(sender: &RawSender) {
    while sender.send_timeout(&[], &[], Duration::ZERO).is_ok() {}
}

/// Something for each kind of call that nobody answers.
fn wait_in_vain(receiver: &RawReceiver, full: &RawSender) {
    let (bare, other) = by_hand::seqpacket_pair();
    let typed = local_socket::Receiver::<u8>::from(RawReceiver::try_from(other).unwrap());
    for error in [
        taking(TIME, || receiver.recv_timeout(TIME)).unwrap_err(),
        taking(TIME, || typed.recv_timeout(TIME)).unwrap_err(),
        taking(TIME, || full.send_timeout(b"x", &[], TIME)).unwrap_err(),
        taking(TIME, || full.send_timeout(&[0; 300 << 10], &[], TIME)).unwrap_err(),
        taking(TIME, || local_socket::Sender::from(full.clone()).send_timeout(7, TIME)).unwrap_err().error,
    ] {
        assert!(matches!(error, Error::TimedOut), "{error:?}");
    }
    drop(bare);
}

#[test]
fn a_time_is_kept_with_signals_and_without() {
    let _watchdog = Watchdog::new();
    let (_sender, receiver) = raw_channel().unwrap();
    let (full, _unread) = raw_channel().unwrap();
    fill(&full);
    let before = descriptors();
    wait_in_vain(&receiver, &full);
    assert_eq!(descriptors(), before);
    under_signals(|| wait_in_vain(&receiver, &full));
    for socket in [receiver.as_fd(), full.as_fd()] {
        ioctl_fionbio(socket, true).unwrap();
    }
    wait_in_vain(&receiver, &full);
}

#[test]
fn no_time_is_no_wait_and_takes_what_is_there() {
    let _watchdog = Watchdog::new();
    let (sender, receiver) = channel::<u8>().unwrap();
    let start = Instant::now();
    assert!(matches!(receiver.try_recv(), Err(Error::WouldBlock)));
    assert!(matches!(receiver.recv_timeout(Duration::ZERO), Err(Error::TimedOut)));
    for value in 0..3 {
        sender.send_timeout(value, Duration::ZERO).unwrap();
    }
    assert_eq!(receiver.try_recv().unwrap(), 0);
    assert_eq!(receiver.recv_timeout(Duration::ZERO).unwrap(), 1);
    // As long as there is time.
    assert_eq!(receiver.recv_timeout(Duration::MAX).unwrap(), 2);
    sender.send_timeout(3, Duration::MAX).unwrap();
    let raw = sender.into_raw_sender();
    fill(&raw);
    assert!(matches!(raw.send_timeout(b"x", &[], Duration::ZERO), Err(Error::TimedOut)));
    assert!(start.elapsed() < HANG * TIME);
}

/// Makes both calls wait for the other side, which takes its time.
fn wait_for_the_other() {
    for nonblocking in [false, true] {
        let (sender, receiver) = channel::<u8>().unwrap();
        ioctl_fionbio(&receiver, nonblocking).unwrap();
        ioctl_fionbio(&sender, nonblocking).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Not for something to happen: for signals to come meanwhile.
                std::thread::sleep(TIME);
                sender.send(7).unwrap();
            });
            taking(TIME / 2, || assert_eq!(receiver.recv().unwrap(), 7));
        });
        let raw = sender.clone().into_raw_sender();
        fill(&raw);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(TIME);
                let receiver = local_socket::Receiver::<()>::from(receiver.into_raw_receiver());
                while receiver.recv().is_ok() {}
            });
            taking(TIME / 2, || raw.send(b"", &[]).unwrap());
            let signed = raw.send_timeout(&[], &[], Duration::from_secs(9));
            signed.unwrap();
            drop((raw, sender));
        });
    }
}

#[test]
fn a_call_without_a_time_waits_whatever_the_flags_of_the_socket_and_the_signals() {
    let _watchdog = Watchdog::new();
    wait_for_the_other();
    under_signals(wait_for_the_other);
}
