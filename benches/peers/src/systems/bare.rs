//! Our ring without what makes it safe and wakeable: two indices, slots and the same pause in shared memory, where
//! either side may write anything. No judge, no guard, no wake word, no atomic copy: what these cost is the difference.

use std::{
    hint::spin_loop,
    mem::size_of,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::atomic::{AtomicU64, Ordering::*},
};

use memfd::MemfdOptions;
use memmap2::{MmapOptions, MmapRaw};

use crate::system::{Abilities, BetweenProcesses, Gone, Receiver, Sender, Shape, Side, System, Words};

pub struct Bare;

impl System for Bare {
    const NAME: &'static str = "bare ring";
    const ABILITIES: Abilities =
        Abilities { blocks: false, batches: true, lends: true, notices_death: false, largest: 1 << 30 };
}

/// Bytes before the slots: tail and head, on lines of their own.
const HEAD_AT: usize = 128;
const SLOTS_AT: usize = 4096;

impl BetweenProcesses for Bare {
    fn open<const N: usize>(side: Side, stream: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let capacity = shape.capacity.next_power_of_two();
        let length = SLOTS_AT + capacity * size_of::<Words<N>>();
        let rings = match side {
            Side::Near => {
                let rings = [(); 2].map(|()| {
                    let memory = MemfdOptions::default().create("bare ring").expect("a memfd");
                    memory.as_file().set_len(length as u64).expect("memory");
                    OwnedFd::from(memory.into_file())
                });
                let lent = rings.each_ref().map(AsFd::as_fd);
                fdpass::send_fds(&stream, b"rings", &lent).expect("a socket");
                rings
            }
            Side::Far => {
                let mut payload = [0; 5];
                let received = fdpass::recv_fds(&stream, &mut payload, 2).expect("two descriptors");
                let [mine, theirs] = <[OwnedFd; 2]>::try_from(received.fds).expect("two descriptors");
                [theirs, mine]
            }
        };
        let [out, back] = rings.map(|ring| Ring::<N> {
            memory: MmapOptions::new().len(length).map_raw(&ring).expect("a mapping"),
            mask: capacity as u64 - 1,
            position: 0,
            theirs: 0,
        });
        (Out(out), In { ring: back, pause: 1, paused: false })
    }
}

struct Ring<const N: usize> {
    memory: MmapRaw,
    mask: u64,
    position: u64,
    theirs: u64,
}

impl<const N: usize> Ring<N> {
    #[inline(always)]
    fn word(&self, at: usize) -> &AtomicU64 {
        // SAFETY: `at` is a multiple of 8 below `SLOTS_AT`, in a mapping that lives as long as `self`; both sides use
        // it as an atomic.
        unsafe { &*self.memory.as_mut_ptr().add(at).cast::<AtomicU64>() }
    }

    #[inline(always)]
    fn slot(&self, position: u64) -> *mut Words<N> {
        // SAFETY: the masked index is below the capacity for which the mapping was made.
        unsafe { self.memory.as_mut_ptr().add(SLOTS_AT).cast::<Words<N>>().add((position & self.mask) as usize) }
    }
}

struct Out<const N: usize>(Ring<N>);

impl<const N: usize> Out<N> {
    /// Whether there is room for so many.
    #[inline(always)]
    fn has_room(&mut self, n: u64) -> bool {
        let ring = &mut self.0;
        let full = |ring: &Ring<N>| ring.position - ring.theirs + n > ring.mask + 1;
        if full(ring) {
            ring.theirs = ring.word(HEAD_AT).load(Acquire);
            if full(ring) {
                (0..16).for_each(|_| spin_loop());
                return false;
            }
        }
        true
    }

    #[inline(always)]
    fn publish(&mut self, n: u64) {
        self.0.position += n;
        self.0.word(0).store(self.0.position, Release);
    }
}

impl<const N: usize> Sender<N> for Out<N> {
    #[inline(always)]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        Ok(self.try_send_batch(1, |_, message| write(message))? == 1)
    }

    #[inline(always)]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let n = most.min(self.0.mask.div_ceil(2) as usize);
        if !self.has_room(n as u64) {
            return Ok(0);
        }
        for index in 0..n {
            // SAFETY: a free slot, which the other side does not read before it is published.
            write(index, unsafe { &mut *self.0.slot(self.0.position + index as u64) });
        }
        self.publish(n as u64);
        Ok(n)
    }
}

struct In<const N: usize> {
    ring: Ring<N>,
    pause: u32,
    paused: bool,
}

impl<const N: usize> In<N> {
    /// How many messages are there.
    #[inline(always)]
    fn available(&mut self) -> u64 {
        let ring = &mut self.ring;
        if ring.theirs == ring.position {
            ring.theirs = ring.word(0).load(Acquire);
            let n = ring.theirs - ring.position;
            if n == 0 {
                self.paused = true;
                (0..self.pause).for_each(|_| spin_loop());
            } else if std::mem::take(&mut self.paused) {
                self.pause = if n > 1 { (self.pause * 2).min(32) } else { 1 };
            }
        }
        self.ring.theirs - self.ring.position
    }
}

impl<const N: usize> Receiver<N> for In<N> {
    #[inline(always)]
    fn try_receive(&mut self, read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        Ok(self.try_receive_batch(1, read)? == 1)
    }

    #[inline(always)]
    fn try_receive_batch(&mut self, most: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let n = self.available().min(most as u64);
        for index in 0..n {
            // SAFETY: a published slot, which the other side does not write before it is given back.
            read(unsafe { &*self.ring.slot(self.ring.position + index) });
        }
        if n > 0 {
            self.ring.position += n;
            self.ring.word(HEAD_AT).store(self.ring.position, Release);
        }
        Ok(n as usize)
    }
}
