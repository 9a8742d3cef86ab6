use std::os::unix::net::UnixStream;

use memenpsf::{Interface, Options};

fn main() {
    let (stream, _peer) = UnixStream::pair().unwrap();
    let mut producer = ipc_queue::Producer::<u64>::new(stream, &Options::new()).unwrap();
    let _ = producer.pop();
    let (mut xmit, _recv) = Interface::<u64>::pair(&Options::new()).unwrap().0.split();
    let _ = xmit.recv();
}
