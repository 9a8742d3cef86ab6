//! Waiting by `arm`, a descriptor and `disarm`, as an event loop does.
#![allow(clippy::unwrap_used, reason = "a test ends where it cannot go on")]

use std::time::Duration;

use ipc_queue::{Consumer, Options, RecvError};
use process_tests::{Peer, Watchdog};
use rustix::event::{PollFd, PollFlags, poll};

const MESSAGES: u64 = 200_000;

#[test]
fn an_event_loop_that_arms_before_it_sleeps_misses_no_message() {
    let _watchdog = Watchdog::new("an event loop", Duration::from_secs(60));
    let (mut peer, stream) = Peer::start(env!("CARGO_BIN_EXE_uneven_producer"), &[&MESSAGES.to_string()]);
    let mut consumer = Consumer::<u64>::new(stream, &Options::new()).unwrap();
    let mut expected = 0;
    let mut slept = 0;
    loop {
        match consumer.pop() {
            Ok(value) => {
                assert_eq!(value, expected);
                expected += 1;
            }
            Err(RecvError::Empty) => {
                if consumer.arm() {
                    slept += 1;
                    poll(&mut [PollFd::new(&consumer, PollFlags::IN)], None).unwrap();
                    consumer.disarm();
                }
            }
            Err(end) => {
                assert_eq!(end, RecvError::Finished);
                break;
            }
        }
    }
    assert_eq!(expected, MESSAGES);
    assert_eq!(consumer.stats().parks, slept);
    assert!(slept > 1000, "slept {slept} times: too few to show anything");
    assert!(peer.wait().success());
}
