//! The systems, a file each.

pub mod atomics;
pub mod bare;
pub mod crossbeam;
pub mod crossfire;
pub mod descriptors;
pub mod eventfd;
pub mod iceoryx2;
pub mod interprocess;
pub mod ipc_channel;
pub mod kanal;
pub mod kernel;
pub mod memenpsf;
pub mod polled;
pub mod ringbuf;
pub mod ringfire;
pub mod rtrb;
pub mod run;
pub mod shmem_ipc;
pub mod shmipc;
mod streams;
pub mod unix_ipc;
