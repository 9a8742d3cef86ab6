//! A process full of a secret that talks about other things.
#![allow(unsafe_code, reason = "fresh pages, filled and given back")]

use std::{hint::black_box, num::NonZeroUsize, os::unix::net::UnixStream, time::Duration};

use ipc_queue::{Consumer, Element, Options, Producer, Role, Wait, duplex};
use memenpsf::{Error, Interface};
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use process_tests::{
    secret::{SECRET, fill},
    socket_of_peer,
};

/// What is sent instead.
const OTHER: u8 = 0x11;
/// Longer than the test's watchdog.
const LONG: Duration = Duration::from_secs(600);

/// How an end of elements `T` talks, for `by_size`.
pub(crate) trait Talk {
    fn run<T: Element + Copy>(self);
}

/// Elements with and without tails in their slots, their words and their pages.
pub(crate) fn by_size(size: &str, talk: impl Talk) {
    match size {
        "1" => talk.run::<[u8; 1]>(),
        "3" => talk.run::<[u8; 3]>(),
        "8" => talk.run::<u64>(),
        "24" => talk.run::<[u64; 3]>(),
        "1000" => talk.run::<[u8; 1000]>(),
        "4100" => talk.run::<[u8; 4100]>(),
        _ => panic!("no element of {size} bytes"),
    }
}

/// Connects as `kind`, with a ring of so many elements, and does what `doing` says.
pub(crate) struct Secretive<'a> {
    pub(crate) kind: &'a str,
    pub(crate) capacity: usize,
    pub(crate) doing: &'a str,
}

impl Talk for Secretive<'_> {
    fn run<T: Element + Copy>(self) {
        let stream = socket_of_peer();
        fill_everything();
        let options = options(self.capacity).name(short("me")).schema(short("a"));
        let options = match self.doing {
            "name" => options.name(String::from_utf8(SECRET.to_vec()).unwrap()),
            // The other one has another.
            "refuse" => options.schema(short("b")),
            _ => options,
        };
        let ends = open::<T>(self.kind, stream, &options);
        if self.doing == "refuse" {
            return assert!(matches!(ends, Err(Error::Refused(_))));
        }
        fill_stack();
        exchange(ends.unwrap(), OTHER, |producer| {
            if self.doing == "abort" {
                abort(producer);
            }
        });
    }
}

pub(crate) fn options(capacity: usize) -> Options {
    Options::new().capacity(capacity).wait(Wait::Sleep)
}

/// The two halves of an end, of which a one-way queue has one.
pub(crate) type Halves<T> = (Option<Producer<T>>, Option<Consumer<T>>);

pub(crate) fn open<T: Element>(kind: &str, stream: UnixStream, options: &Options) -> Result<Halves<T>, Error> {
    let both = |role| duplex(stream.try_clone().unwrap(), role, options).map(|(one, other)| (Some(one), Some(other)));
    match kind {
        "client" => both(Role::Client),
        "server" => both(Role::Server),
        "producer" => Producer::new(stream, options).map(|producer| (Some(producer), None)),
        _ => Consumer::new(stream, options).map(|consumer| (None, Some(consumer))),
    }
}

/// Sends and receives at once, until both have ended.
pub(crate) fn exchange<T: Element + Copy>(
    (mut producer, mut consumer): Halves<T>,
    byte: u8,
    last: impl FnOnce(&mut Producer<T>),
) {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            fill_stack();
            if let Some(consumer) = &mut consumer {
                while consumer.pop_blocking().is_ok() {}
            }
        });
        if let Some(producer) = &mut producer {
            send(producer, value::<T>(byte));
            last(producer);
            producer.finish().unwrap();
            producer.flush(LONG).unwrap();
        }
    });
}

/// Every way to send, one after the other, until all of it is taken.
fn send<T: Element + Copy>(producer: &mut Producer<T>, value: T) {
    let ring = producer.capacity();
    producer.push_blocking(value).unwrap();
    producer.push_ref(&value).or_else(|error| producer.push_blocking(value).map_err(|_| error)).unwrap();
    producer.flush(LONG).unwrap();
    producer.push_slice(&vec![value; ring.div_ceil(2)]).unwrap();
    producer.flush(LONG).unwrap();
    // Of this one slot is filled, and the others go as they are.
    let mut reservation = producer.reserve(ring).unwrap();
    reservation.as_mut_slices().0[0] = value;
    reservation.commit(ring);
    producer.flush(LONG).unwrap();
    let mut reservation = producer.reserve(ring.min(3)).unwrap();
    reservation.as_mut_slices().0[0] = value;
    reservation.commit(1);
    producer.send_control().unwrap();
    producer.flush(LONG).unwrap();
}

/// What a user wrote into a reservation is in the ring, sent or not.
fn abort<T: Element + Copy>(producer: &mut Producer<T>) {
    let bytes = vec_of_secret(size_of::<T>() + SECRET.len());
    let mut reservation = producer.reserve(producer.capacity()).unwrap();
    for (i, slot) in reservation.iter_mut().enumerate() {
        *slot = T::read_from_bytes(&bytes[i * size_of::<T>() % SECRET.len()..][..size_of::<T>()]).ok().unwrap();
    }
    drop(reservation);
}

fn value<T: Element>(byte: u8) -> T {
    T::read_from_bytes(&vec![byte; size_of::<T>()]).ok().unwrap()
}

/// A short text in a buffer that holds the secret behind it.
fn short(text: &str) -> String {
    let mut buffer = String::from_utf8(SECRET.to_vec()).unwrap();
    buffer.replace_range(..text.len(), text);
    buffer.truncate(text.len());
    buffer
}

fn vec_of_secret(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fill(&mut bytes);
    bytes
}

/// The heap, given back in part; pages given back to the kernel; stacks; a ring of an earlier connection.
fn fill_everything() {
    fill_heap();
    fill_pages();
    fill_stack();
    for _ in 0..4 {
        std::thread::spawn(fill_stack).join().unwrap();
    }
    let (mut earlier, _kept) = Interface::<[u8; 64]>::pair(&options(1024)).unwrap();
    while earlier.xmit(SECRET).is_ok() {}
    drop(earlier);
    // Closed by now, and their pages free.
    fill_heap();
}

fn fill_heap() {
    let mut pieces: Vec<_> =
        (4..17).flat_map(|power| (0..24).map(move |more| vec_of_secret((1 << power) + more))).collect();
    black_box(&mut pieces);
    let mut number = 0;
    pieces.retain(|_| {
        number += 1;
        number % 3 == 0
    });
    // The others stay for as long as the process does.
    std::mem::forget(pieces);
}

fn fill_pages() {
    const LENGTH: NonZeroUsize = NonZeroUsize::new(4 << 20).unwrap();
    let (protection, flags) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: at an address of the kernel's choice.
    let pages = unsafe { mmap_anonymous(None, LENGTH, protection, flags) }.unwrap();
    // SAFETY: fresh and writable, and known to nobody else.
    fill(unsafe { std::slice::from_raw_parts_mut(pages.as_ptr().cast(), LENGTH.get()) });
    // SAFETY: nothing refers to it any more.
    unsafe { munmap(pages, LENGTH.get()) }.unwrap();
}

/// As deep as the calls that come will go, and deeper.
#[inline(never)]
fn fill_stack() {
    let mut frame = [0; 256 << 10];
    fill(&mut frame);
    black_box(&mut frame);
}
