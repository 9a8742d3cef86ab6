//! `interprocess`: a local socket, which on Linux is a Unix stream socket under an abstract name, and messages of a
//! fixed size over it.
//!
//! The crate has no way of sending many at once but the stream itself.

use std::{
    io::{self, Read, Write},
    os::unix::net::UnixStream,
    process,
    rc::Rc,
    sync::atomic::{AtomicU32, Ordering},
};

use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Stream, prelude::*};

use super::streams;
use crate::system::{Abilities, BetweenProcesses, Receiver, Sender, Shape, Side, System, Waiting};

pub struct Interprocess;

impl System for Interprocess {
    const NAME: &'static str = "interprocess";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: false, notices_death: true, largest: usize::MAX };
}

impl BetweenProcesses for Interprocess {
    fn open<const N: usize>(side: Side, mut stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let local = match side {
            Side::Near => {
                static LINKS: AtomicU32 = AtomicU32::new(0);
                let (process, link) = (process::id(), LINKS.fetch_add(1, Ordering::Relaxed));
                let name = format!("peers-interprocess-{process:08x}-{link:08x}");
                let address = name.as_str().to_ns_name::<GenericNamespaced>().expect("an abstract name");
                let listener = ListenerOptions::new().name(address).create_sync().expect("a socket that listens");
                stream.write_all(name.as_bytes()).expect("the other end listens");
                listener.accept().expect("the other end calls")
            }
            Side::Far => {
                let mut name = [0; "peers-interprocess-00000000-00000000".len()];
                stream.read_exact(&mut name).expect("a name to call");
                let name = str::from_utf8(&name).expect("text");
                Stream::connect(name.to_ns_name::<GenericNamespaced>().expect("an abstract name")).expect("a listener")
            }
        };
        local.set_nonblocking(shape.waiting == Waiting::Spin).expect("a mode that can be set");
        let local = Rc::new(local);
        streams::ends(Half(Rc::clone(&local)), Half(local))
    }
}

/// An end is used from both directions.
struct Half(Rc<Stream>);

impl Read for Half {
    #[inline]
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        (&*self.0).read(bytes)
    }
}

impl Write for Half {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&*self.0).flush()
    }
}
