//! No wake-up is lost, and none comes early.

use std::time::Duration;

use ipc_queue::Support;
use process_tests::{
    Watchdog,
    traffic::{
        Program,
        bells::{self, Waiter},
        litmus::{self, Order},
        parked,
    },
};

const PROGRAM: Program<'static> = Program(env!("CARGO_BIN_EXE_traffic_peer"));

/// Announcements of the litmus, and how many times it is tried to miss one.
const ROUNDS: u64 = 1_000_000;
const TRIES: usize = 200;

/// Messages published while the peer is about to sleep.
const COLLISIONS: u64 = 100_000;

/// Messages between sleepers.
const PARKED: u64 = 100_000;

/// Elements in the ring of the test of single bells.
const BELLS: usize = 64;

#[test]
fn with_membarrier_publisher_and_sleeper_never_miss_each_other() {
    let _watchdog = Watchdog::new("the litmus with membarrier", Duration::from_secs(200));
    assert!(Support::probe().membarrier, "this kernel has no membarrier: nothing to test");
    let outcome = litmus::run(PROGRAM, Order::Membarrier, ROUNDS);
    assert_eq!(outcome.missed, 0, "{outcome:?}");
}

#[test]
fn with_fences_publisher_and_sleeper_never_miss_each_other() {
    let _watchdog = Watchdog::new("the litmus with fences", Duration::from_secs(200));
    let outcome = litmus::run(PROGRAM, Order::Fences, ROUNDS);
    assert_eq!(outcome.missed, 0, "{outcome:?}");
}

/// Or the two tests above would prove nothing. On a busy machine the two processes may not run at the same time, so it is tried again.
#[test]
fn without_a_barrier_publisher_and_sleeper_do_miss_each_other() {
    let _watchdog = Watchdog::new("the litmus without a barrier", Duration::from_secs(200));
    let mut tries = (0..TRIES).map(|_| litmus::run(PROGRAM, Order::Nothing, ROUNDS));
    assert!(tries.any(|outcome| outcome.missed > 0), "no miss in {TRIES} times {ROUNDS} rounds");
}

#[test]
fn a_message_published_into_an_announcement_wakes_the_sleeper() {
    let _watchdog = Watchdog::new("messages published into announcements", Duration::from_secs(200));
    for fence in [false, true] {
        parked::publish_into_the_announcement(PROGRAM, COLLISIONS, fence);
    }
}

#[test]
fn room_made_into_an_announcement_wakes_the_sleeper() {
    let _watchdog = Watchdog::new("room made into announcements", Duration::from_secs(200));
    for fence in [false, true] {
        parked::take_into_the_announcement(PROGRAM, COLLISIONS, fence);
    }
}

#[test]
fn single_messages_wake_sleepers_at_both_ends_with_membarrier() {
    single_messages_wake_sleepers_at_both_ends(false);
}

#[test]
fn single_messages_wake_sleepers_at_both_ends_with_fences() {
    single_messages_wake_sleepers_at_both_ends(true);
}

fn single_messages_wake_sleepers_at_both_ends(fence: bool) {
    let _watchdog = Watchdog::new("the ping-pong between sleepers", Duration::from_secs(200));
    let parks = parked::ping_pong(PROGRAM, PARKED, fence);
    assert!(parks > PARKED / 2, "slept {parks} times in {PARKED} waits: not what was to be tested");
}

#[test]
fn both_halves_of_both_ends_wait_at_once_without_losing_a_wake_up_with_membarrier() {
    both_halves_of_both_ends_wait_at_once(false);
}

#[test]
fn both_halves_of_both_ends_wait_at_once_without_losing_a_wake_up_with_fences() {
    both_halves_of_both_ends_wait_at_once(true);
}

fn both_halves_of_both_ends_wait_at_once(fence: bool) {
    let _watchdog = Watchdog::new("two halves waiting at both ends", Duration::from_secs(200));
    let (xmit_parks, recv_parks) = parked::split(PROGRAM, PARKED, fence);
    assert!(xmit_parks.min(recv_parks) > PARKED / 100, "slept {xmit_parks} and {recv_parks} times in {PARKED} waits");
}

#[test]
fn a_bell_asked_for_at_the_nth_element_comes_with_exactly_the_nth() {
    the_bell_comes_with_exactly_the_nth(Waiter::Consumer);
}

#[test]
fn a_bell_asked_for_at_the_nth_free_slot_comes_with_exactly_the_nth() {
    the_bell_comes_with_exactly_the_nth(Waiter::Producer);
}

fn the_bell_comes_with_exactly_the_nth(waiter: Waiter) {
    let _watchdog = Watchdog::new("single bells", Duration::from_secs(100));
    for start in [0, u64::MAX - 1000] {
        for fence in [false, true] {
            bells::run(PROGRAM, waiter, BELLS, start, fence);
        }
    }
}
