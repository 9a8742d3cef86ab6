//! Both directions over one stream.

use std::{os::unix::net::UnixStream, sync::Arc};

use crate::{
    Consumer, Element, Error, Options, Producer, Role,
    element::assert_fits,
    frames::Direction,
    half::Half,
    meet::{Met, meet},
};

/// Waits for the peer at the other end of `stream`, which must call this too, with the other role, and opens a ring each way.
///
/// The two rings are independent of each other: each has its own socket, and each half can go to a thread of its own. The two sides
/// may choose different capacities, each for the ring it fills. `stream` must not have been used before and belongs to the
/// connection from then on; it is made nonblocking.
///
/// # Errors
///
/// See [`Error`]. Nothing is left behind.
pub fn duplex<T>(stream: UnixStream, role: Role, options: &Options) -> Result<(Producer<T>, Consumer<T>), Error>
where
    T: Element,
{
    const { assert_fits::<T>() };
    let Met { connection, barrier, first, second, ours, theirs } = meet::<T>(stream, role, Direction::Both, options)?;
    let second = second.ok_or(Error::Disconnected)?;
    let (sending, receiving) = match role {
        Role::Client => (first, second),
        Role::Server => (second, first),
    };
    let connection = Arc::new(connection);
    let (wait, shared) = (options.wait, Arc::clone(&connection));
    let producer = Half::new(shared, sending, barrier, wait, ours.slot_count, ours.start);
    let consumer = Half::new(connection, receiving, barrier, wait, theirs.slot_count, theirs.start);
    Ok((Producer::from_parts(producer), Consumer::from_parts(consumer)))
}
