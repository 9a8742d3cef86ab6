//! Messages between two processes arrive in order and whole, none lost or doubled.

use std::time::Duration;

use process_tests::{
    Watchdog,
    traffic::{Program, cells, hot::run_one},
};

const PROGRAM: Program<'static> = Program(env!("CARGO_BIN_EXE_traffic_peer"));

/// Messages in a cell, and bytes in one of large elements, each way.
const COUNT: u64 = 100_000;
const BYTES: u64 = 128 << 20;

/// Messages in one more, each way.
const MANY: u64 = 10_000_000;

#[test]
fn elements_of_every_size_cross_rings_of_every_capacity_in_order_and_whole() {
    let _watchdog = Watchdog::new("the torture", Duration::from_secs(400));
    let cells = cells::all(COUNT, BYTES);
    assert_eq!(cells.len(), 4 * 47, "8 sizes and 6 capacities, but for the ring of 4 GiB, each with four flows");
    for cell in &cells {
        cells::run(PROGRAM, cell);
    }
}

#[test]
fn ten_million_messages_each_way_at_once_arrive_in_order() {
    let _watchdog = Watchdog::new("ten million messages", Duration::from_secs(200));
    run_one(PROGRAM, MANY);
}
