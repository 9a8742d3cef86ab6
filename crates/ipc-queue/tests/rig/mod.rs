//! A peer made by hand: frames from bytes and segments from system calls, with nothing of the crate's own.
#![allow(unsafe_code, reason = "a hostile peer writes to shared memory as it likes")]
#![allow(dead_code, reason = "each test file uses its part")]

use std::{
    fs::File,
    io::Write,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use ipc_queue::{Consumer, Error, Options, Producer, Role, duplex};
use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};
use rustix::{
    fs::{FallocateFlags, MemfdFlags, SealFlags},
    mm::MprotectFlags,
};

pub(crate) const VERSION: u16 = 2;
pub(crate) const ORDER: u32 = 0x0102_0304;
pub(crate) const HELLO: u16 = 1;
pub(crate) const ACCEPT: u16 = 2;
pub(crate) const REJECT: u16 = 3;
pub(crate) const TMPFS: u64 = 0x0102_1994;

/// The slots of a segment of the raw peer, where it has any.
pub(crate) const SLOTS: u64 = 8;
/// Bytes of a segment with as many slots of eight bytes.
pub(crate) const SIZE: u64 = 12288;

pub(crate) const TAIL: usize = 0;
pub(crate) const HEAD: usize = 128;
pub(crate) const WAKE_TAIL: usize = 256;
pub(crate) const WAKE_HEAD: usize = 384;
pub(crate) const FINISHED: usize = 392;

/// The name of threads with the end under test: what they start would be called the same.
pub(crate) const REAL: &str = "real-end";

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// One test at a time, for so many seconds; at the end descriptors, mappings and threads are as they were.
pub(crate) struct Alone {
    before: [usize; 4],
    _still_here: Sender<()>,
    _lock: MutexGuard<'static, ()>,
}

pub(crate) fn alone(what: &'static str) -> Alone {
    let lock = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let seconds = 30;
    let (still_here, end) = mpsc::channel::<()>();
    thread::spawn(move || {
        if end.recv_timeout(Duration::from_secs(seconds)) == Err(RecvTimeoutError::Timeout) {
            // Not by a macro, whose text the harness would keep for itself.
            let _ = writeln!(std::io::stderr(), "\nwatchdog: {what}: no end after {seconds} s");
            std::process::abort();
        }
    });
    Alone { before: counts(), _still_here: still_here, _lock: lock }
}

impl Alone {
    /// Nothing is left of what was done since.
    pub(crate) fn assert_nothing_left(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(2);
        // A thread that was joined may be in the list for a moment more.
        while counts() != self.before && Instant::now() < until {
            thread::yield_now();
        }
        assert_eq!(counts(), self.before, "{what}: descriptors, mappings of memfds, pages that tell a fork, threads");
    }
}

fn counts() -> [usize; 4] {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap().count();
    // The lines of `maps`, each with what it is like behind it.
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mappings = smaps.lines().filter(|line| line.contains("memfd:")).count();
    let guards = smaps.lines().filter(|line| line.starts_with("VmFlags:") && line.contains(" wf")).count();
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    [fds, mappings, guards, tasks.map(name).filter(|name| name.trim_end() == REAL).count()]
}

/// Ends the loop of another thread when it goes, also by a failed assertion.
#[derive(Debug)]
pub(crate) struct Ends<'a>(pub(crate) &'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// What the end under test is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Consumer,
    Producer,
    DuplexServer,
    DuplexClient,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [Self::Consumer, Self::Producer, Self::DuplexServer, Self::DuplexClient];

    pub(crate) fn is_client(self) -> bool {
        matches!(self, Self::Producer | Self::DuplexClient)
    }

    pub(crate) fn is_duplex(self) -> bool {
        matches!(self, Self::DuplexServer | Self::DuplexClient)
    }

    /// The direction that its Hello says.
    pub(crate) fn direction(self) -> u8 {
        match self {
            Self::Producer => 1,
            Self::Consumer => 2,
            _ => 0,
        }
    }
}

/// The end under test, open.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time")]
pub(crate) enum End {
    Consumer(Consumer<u64>),
    Producer(Producer<u64>),
    Duplex(Producer<u64>, Consumer<u64>),
}

impl End {
    pub(crate) fn consumer(&mut self) -> &mut Consumer<u64> {
        match self {
            Self::Consumer(consumer) | Self::Duplex(_, consumer) => consumer,
            Self::Producer(_) => panic!("a producer only"),
        }
    }

    pub(crate) fn producer(&mut self) -> &mut Producer<u64> {
        match self {
            Self::Producer(producer) | Self::Duplex(producer, _) => producer,
            Self::Consumer(_) => panic!("a consumer only"),
        }
    }
}

pub(crate) type Meeting = JoinHandle<Result<End, Error>>;

/// Runs the end under test on a thread of its own.
pub(crate) fn real(kind: Kind, stream: UnixStream, options: Options) -> Meeting {
    let work = move || match kind {
        Kind::Consumer => Consumer::new(stream, &options).map(End::Consumer),
        Kind::Producer => Producer::new(stream, &options).map(End::Producer),
        Kind::DuplexServer => duplex(stream, Role::Server, &options).map(|(p, c)| End::Duplex(p, c)),
        Kind::DuplexClient => duplex(stream, Role::Client, &options).map(|(p, c)| End::Duplex(p, c)),
    };
    thread::Builder::new().name(REAL.into()).spawn(work).unwrap()
}

/// Settings that end a test soon should it wait for ever.
pub(crate) fn options() -> Options {
    Options::new().capacity(SLOTS as usize).handshake_timeout(Duration::from_secs(10))
}

/// A pair whose first socket is ours: it blocks, but not for ever.
pub(crate) fn pair() -> (UnixStream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    (ours, theirs)
}

/// A Hello, field by field.
#[derive(Clone, Debug)]
pub(crate) struct Hello {
    pub(crate) magic: [u8; 4],
    pub(crate) order: u32,
    pub(crate) kind: u16,
    pub(crate) version: u16,
    /// What the header says, if not the truth.
    pub(crate) length: Option<u32>,
    pub(crate) version_min: u16,
    pub(crate) version_max: u16,
    pub(crate) features: u32,
    pub(crate) role: u8,
    pub(crate) direction: u8,
    pub(crate) layout: u16,
    pub(crate) align: u32,
    pub(crate) size: u64,
    pub(crate) slots: u64,
    pub(crate) start: u64,
    pub(crate) schema: &'static str,
    pub(crate) name: &'static str,
    /// What the length bytes say, if not the truth.
    pub(crate) lengths: Option<[u8; 2]>,
}

impl Hello {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.version_min.to_ne_bytes());
        body.extend(self.version_max.to_ne_bytes());
        body.extend(self.features.to_ne_bytes());
        body.extend([self.role, self.direction]);
        body.extend(self.layout.to_ne_bytes());
        body.extend(self.align.to_ne_bytes());
        body.extend(self.size.to_ne_bytes());
        body.extend(self.slots.to_ne_bytes());
        body.extend(self.start.to_ne_bytes());
        body.extend(self.lengths.unwrap_or([self.schema.len() as u8, self.name.len() as u8]));
        body.extend([0; 6]);
        body.extend(self.schema.as_bytes());
        body.extend(self.name.as_bytes());
        let mut bytes = self.magic.to_vec();
        bytes.extend(self.order.to_ne_bytes());
        bytes.extend(self.kind.to_ne_bytes());
        bytes.extend(self.version.to_ne_bytes());
        bytes.extend(self.length.unwrap_or(body.len() as u32).to_ne_bytes());
        bytes.extend(body);
        bytes
    }
}

/// Any frame.
pub(crate) fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"mnpf".to_vec();
    bytes.extend(ORDER.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(VERSION.to_ne_bytes());
    bytes.extend((body.len() as u32).to_ne_bytes());
    bytes.extend(body);
    bytes
}

pub(crate) fn reject(code: u16, here: u64, there: u64, text: &str) -> Vec<u8> {
    let mut body = code.to_ne_bytes().to_vec();
    body.extend([text.len() as u8, 0, 0, 0, 0, 0]);
    body.extend(here.to_ne_bytes());
    body.extend(there.to_ne_bytes());
    body.extend(text.as_bytes());
    frame(REJECT, &body)
}

/// What the raw peer says and sends first, correct as it comes from `offer`.
#[derive(Debug)]
pub(crate) struct Offer {
    pub(crate) hello: Hello,
    pub(crate) fds: Vec<OwnedFd>,
    /// Sent in the Hello's place.
    pub(crate) instead: Option<Vec<u8>>,
    /// Sent right behind it.
    pub(crate) behind: Vec<u8>,
    pub(crate) segment: Segment,
    /// Where the end under test rings for the second ring.
    pub(crate) inbox: Option<UnixStream>,
}

/// A correct peer of that end.
pub(crate) fn offer(kind: Kind) -> Offer {
    let slots = if kind == Kind::Producer { 0 } else { SLOTS };
    let (segment, fd) = Segment::new(8192 + if slots == 0 { 0 } else { 4096 }, seals(), true);
    let mut fds = vec![fd];
    let inbox = kind.is_duplex().then(|| {
        let (ours, theirs) = pair();
        fds.push(theirs.into());
        ours
    });
    let hello = Hello {
        magic: *b"mnpf",
        order: ORDER,
        kind: HELLO,
        version: VERSION,
        length: None,
        version_min: VERSION,
        version_max: VERSION,
        features: 0,
        role: u8::from(kind.is_client()),
        direction: [0, 2, 1][usize::from(kind.direction())],
        layout: 1,
        align: 8,
        size: 8,
        slots,
        start: 0,
        schema: "",
        name: "raw",
        lengths: None,
    };
    Offer { hello, fds, instead: None, behind: Vec::new(), segment, inbox }
}

impl Offer {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.instead.clone().unwrap_or_else(|| self.hello.bytes());
        bytes.extend(&self.behind);
        bytes
    }

    pub(crate) fn send(&self, socket: &UnixStream) {
        send(socket, &self.bytes(), &self.fds);
    }
}

pub(crate) fn send(socket: &UnixStream, bytes: &[u8], fds: &[OwnedFd]) {
    let fds: Vec<BorrowedFd<'_>> = fds.iter().map(AsFd::as_fd).collect();
    let sent = fdpass::send_fds(socket, bytes, &fds).unwrap();
    (&*socket).write_all(&bytes[sent..]).unwrap();
}

/// A frame that came, and its descriptors.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) kind: u16,
    pub(crate) body: Vec<u8>,
    pub(crate) fds: Vec<OwnedFd>,
}

impl Came {
    /// Code and numbers of a Reject.
    pub(crate) fn reject(&self) -> (u16, u64, u64) {
        assert_eq!(self.kind, REJECT);
        let field = |at: usize| u64::from_ne_bytes(self.body[at..at + 8].try_into().unwrap());
        (u16::from_ne_bytes(self.body[..2].try_into().unwrap()), field(8), field(16))
    }
}

pub(crate) fn read_frame(socket: &UnixStream) -> Came {
    let mut fds = Vec::new();
    let mut bytes = Vec::new();
    let mut fill = |length: usize| {
        while bytes.len() < length {
            let mut buffer = vec![0; length - bytes.len()];
            let received =
                fdpass::recv_fds(socket, &mut buffer, fdpass::MAX_FDS).expect("a frame of the end under test");
            bytes.extend(&buffer[..received.len]);
            fds.extend(received.fds);
        }
        bytes.clone()
    };
    let header = fill(16);
    assert_eq!(header[..4], *b"mnpf");
    assert_eq!(header[4..8], ORDER.to_ne_bytes());
    let kind = u16::from_ne_bytes(header[8..10].try_into().unwrap());
    let length = u32::from_ne_bytes(header[12..16].try_into().unwrap()) as usize;
    let body = fill(16 + length).split_off(16);
    Came { kind, body, fds }
}

/// The raw side of a connection that is open.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) stream: UnixStream,
    /// To ring for the second ring, and where the end under test rings for it.
    pub(crate) second: Option<(UnixStream, UnixStream)>,
    pub(crate) segment: Segment,
    /// The segment of the end under test.
    pub(crate) theirs: OwnedFd,
    kind: Kind,
}

impl Raw {
    /// To ring for the ring that the end under test empties.
    pub(crate) fn to_consumer(&self) -> &UnixStream {
        if self.kind == Kind::DuplexClient { &self.second.as_ref().unwrap().0 } else { &self.stream }
    }

    /// To ring for the ring that the end under test fills.
    pub(crate) fn to_producer(&self) -> &UnixStream {
        if self.kind == Kind::DuplexServer { &self.second.as_ref().unwrap().0 } else { &self.stream }
    }

    /// Where its consumer rings.
    pub(crate) fn heard_from_consumer(&self) -> &UnixStream {
        if self.kind == Kind::DuplexClient { &self.second.as_ref().unwrap().1 } else { &self.stream }
    }

    /// Where its producer rings.
    pub(crate) fn heard_from_producer(&self) -> &UnixStream {
        if self.kind == Kind::DuplexServer { &self.second.as_ref().unwrap().1 } else { &self.stream }
    }
}

/// A handshake as it should be.
pub(crate) fn open(kind: Kind, options: Options) -> (End, Raw) {
    let (stream, theirs) = pair();
    let meeting = real(kind, theirs, options);
    open_with(kind, stream, meeting, offer(kind), &send)
}

type SendWith<'a> = &'a dyn Fn(&UnixStream, &[u8], &[OwnedFd]);

pub(crate) fn open_with(
    kind: Kind,
    stream: UnixStream,
    meeting: Meeting,
    offer: Offer,
    send: SendWith<'_>,
) -> (End, Raw) {
    let hello = |stream: &UnixStream| {
        let came = read_frame(stream);
        assert_eq!(came.kind, HELLO);
        came
    };
    let mut came;
    if kind.is_client() {
        came = hello(&stream);
        send(&stream, &offer.bytes(), &offer.fds);
    } else {
        send(&stream, &offer.bytes(), &offer.fds);
        came = hello(&stream);
    }
    let Offer { segment, inbox, .. } = offer;
    let accept = read_frame(&stream);
    assert_eq!((accept.kind, accept.body.len(), accept.fds.len()), (ACCEPT, 0, 0));
    assert_eq!(came.fds.len(), if kind.is_duplex() { 2 } else { 1 });
    let second = inbox.map(|inbox| (UnixStream::from(came.fds.pop().unwrap()), inbox));
    let theirs = came.fds.pop().unwrap();
    send(&stream, &frame(ACCEPT, &[]), &[]);
    let end = meeting.join().unwrap().unwrap();
    (end, Raw { stream, second, segment, theirs, kind })
}

pub(crate) fn seals() -> SealFlags {
    SealFlags::SHRINK | SealFlags::GROW | SealFlags::FUTURE_WRITE | SealFlags::SEAL
}

/// A descriptor of a segment made like no other.
pub(crate) fn memfd(size: u64, seals: SealFlags, allocate: bool) -> OwnedFd {
    Segment::new(size, seals, allocate).1
}

/// A writable mapping of a segment.
#[derive(Debug)]
pub(crate) struct Segment {
    map: MmapRaw,
}

impl Segment {
    pub(crate) fn new(size: u64, seals: SealFlags, allocate: bool) -> (Self, OwnedFd) {
        let fd = rustix::fs::memfd_create("raw", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
        rustix::fs::ftruncate(&fd, size).unwrap();
        if allocate {
            rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, size).unwrap();
        }
        let file = File::from(fd);
        let map = MmapOptions::new().len(size as usize).map_raw(&file).unwrap();
        rustix::fs::fcntl_add_seals(&file, seals).unwrap();
        (Self { map }, file.into())
    }

    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len());
        let base = self.map.as_mut_ptr();
        // SAFETY: inside the mapping (asserted).
        let word = unsafe { base.add(offset) };
        // SAFETY: aligned, mapped as long as `self`, and touched by atomics only on this side.
        unsafe { AtomicU64::from_ptr(word.cast()) }
    }

    /// Sets a live word.
    pub(crate) fn set(&self, word: usize, value: u64) {
        self.word(4096 + word).store(value, SeqCst);
    }

    /// Puts an element where that position has its slot.
    pub(crate) fn put(&self, position: u64, value: u64) {
        self.word(8192 + 8 * (position % SLOTS) as usize).store(value, SeqCst);
    }

    /// Elements `from..to`, each its own position, published.
    pub(crate) fn publish(&self, from: u64, to: u64) {
        (from..to).for_each(|position| self.put(position, position));
        self.set(TAIL, to);
    }
}

/// A mapping that may only be read.
#[derive(Debug)]
pub(crate) struct ReadOnly {
    map: MmapRaw,
}

impl ReadOnly {
    pub(crate) fn new(fd: &OwnedFd) -> Self {
        Self { map: MmapOptions::new().map_raw_read_only(fd).unwrap() }
    }

    pub(crate) fn word(&self, offset: usize) -> u64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.map.len());
        let base = self.map.as_ptr();
        // SAFETY: inside the mapping (asserted).
        let word = unsafe { base.add(offset) };
        // SAFETY: mapped, aligned.
        unsafe { word.cast::<u64>().read_volatile() }
    }

    /// mprotect(2) to writable.
    pub(crate) fn make_writable(&self) -> rustix::io::Result<()> {
        let flags = MprotectFlags::READ | MprotectFlags::WRITE;
        // SAFETY: the mapping is this test's own, and nobody relies on its being read-only.
        unsafe { rustix::mm::mprotect(self.map.as_mut_ptr().cast(), self.map.len(), flags) }
    }

    /// madvise(2) to throw the file's pages away.
    pub(crate) fn remove_pages(&self) -> std::io::Result<()> {
        // SAFETY: no reference into this mapping exists.
        unsafe { self.map.unchecked_advise(UncheckedAdvice::Remove) }
    }
}
