//! A producer whose messages come at uneven distances, so that the consumer falls asleep at every possible moment.

use ipc_queue::{Options, Producer};
use process_tests::socket_of_peer;

fn main() {
    let count: u64 = std::env::args().nth(1).and_then(|count| count.parse().ok()).expect("a number of messages");
    let mut producer = Producer::<u64>::new(socket_of_peer(), &Options::new().capacity(64)).expect("a consumer");
    for value in 0..count {
        producer.push_blocking(value).expect("the consumer takes all");
        // A multiplicative hash: from nothing up to some microseconds.
        for _ in 0..value.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56 {
            std::hint::spin_loop();
        }
    }
    producer.finish().expect("the consumer is there to the end");
}
