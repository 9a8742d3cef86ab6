//! Limits of setrlimit(2), each until it is dropped.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub(crate) struct Limit {
    resource: Resource,
    before: (u64, u64),
}

impl Limit {
    /// `descriptors`: no more than `value` new ones. `address-space`: no more than `value` bytes beyond those in use. The others:
    /// no more than `value`.
    pub(crate) fn new(what: &str, value: u64) -> Self {
        let (resource, most) = match what {
            "descriptors" => (Resource::RLIMIT_NOFILE, number_behind(value)),
            "address-space" => (Resource::RLIMIT_AS, address_space() + value),
            "file-size" => (Resource::RLIMIT_FSIZE, value),
            "locked-memory" => (Resource::RLIMIT_MEMLOCK, value),
            "processes" => (Resource::RLIMIT_NPROC, value),
            _ => panic!("no limit {what}"),
        };
        let before = getrlimit(resource).unwrap();
        setrlimit(resource, most, before.1).unwrap();
        Self { resource, before }
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        setrlimit(self.resource, self.before.0, self.before.1).unwrap();
    }
}

/// The number that a descriptor would have when `room` numbers below it are free, and no more.
fn number_behind(room: u64) -> u64 {
    let names: Vec<_> = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path()).collect();
    // The listing is closed by now, and its own number is no link any more.
    let open = |number: u64| {
        let link = std::path::PathBuf::from(format!("/proc/self/fd/{number}"));
        names.contains(&link) && std::fs::read_link(&link).is_ok()
    };
    let mut free = (0..).filter(|&number| !open(number));
    free.nth(room as usize).unwrap()
}

/// Bytes of address space in use.
fn address_space() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').next().unwrap().parse::<u64>().unwrap() * 4096
}

/// Leaves the allocator with memory in hand: its own failure ends a Rust program, whoever asks.
pub(crate) fn fill_the_heap() {
    let pieces: Vec<Vec<u8>> = (0..16).map(|_| vec![1; 4000]).collect();
    drop(std::hint::black_box(pieces));
}
