//! The far end of the traffic in the tests.

use process_tests::traffic::{FAR_END, play};

fn main() {
    let mut args = std::env::args().skip(1);
    assert_eq!(args.next().as_deref(), Some(FAR_END), "this program is started by tests");
    play(args);
}
