//! A server at a path.

use memenpsf::{Listener, Options, RecvError};
use process_tests::Holdings;

/// Connections after which everything that is made once has been made.
const WARM: usize = 50;

/// Listens at `path` until it is killed, and says so; or says why it cannot.
pub(crate) fn listen(path: &str) {
    match Listener::bind(path) {
        Ok(listener) => {
            println!("listening");
            // Ends by the kill. Clients are let in, so that the backlog never fills, and out.
            loop {
                let _ = listener.accept();
            }
        }
        Err(error) => println!("{error}"),
    }
}

/// Serves `count` clients, one behind the other, sending back what they send, and tells what it held before and after.
pub(crate) fn echo(path: &str, count: usize) {
    let listener = Listener::bind(path).unwrap();
    println!("listening");
    for served in 0..count {
        if served == WARM {
            println!("{:?}", Holdings::now());
        }
        let mut client = listener.accept().unwrap().open::<u64>(&Options::new().capacity(2)).unwrap();
        let end = loop {
            match client.recv_blocking() {
                Ok(value) => client.xmit_blocking(value).unwrap(),
                Err(end) => break end,
            }
        };
        assert_eq!(end, RecvError::Disconnected);
    }
    println!("{:?}", Holdings::now());
}
