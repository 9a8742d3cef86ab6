//! Elements, and a literal 0 as role.

use std::os::unix::net::UnixStream;

use memenpsf::{
    Error, Interface,
    zerocopy::{FromBytes, Immutable, IntoBytes},
};

#[derive(Clone, Copy, Debug, PartialEq, FromBytes, IntoBytes, Immutable)]
#[zerocopy(crate = "memenpsf::zerocopy")]
#[repr(C)]
struct Quote {
    price: u64,
    size: u32,
    venue: u32,
}

fn main() -> Result<(), Error> {
    let (client, server) = UnixStream::pair().expect("a pair of sockets");
    let other = std::thread::spawn(|| Interface::<Quote>::new("server", 8, server, 1));
    let mut client = Interface::<Quote>::new("client", 8, client, 0)?;
    let mut server = other.join().expect("no panic")?;
    let quote = Quote { price: 1, size: 2, venue: 3 };
    client.xmit(quote).expect("room");
    assert_eq!(server.recv_blocking(), Ok(quote));
    Ok(())
}
