//! Descriptors of every kind, to be sent where a segment or a socket is due.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    net::{TcpListener, TcpStream},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        linux::net::SocketAddrExt,
        unix::{
            fs::OpenOptionsExt,
            net::{SocketAddr, UnixDatagram, UnixListener, UnixStream},
        },
    },
    time::Duration,
};

use nix::mount::{MsFlags, mount};

use rustix::{
    event::EventfdFlags,
    fs::{FallocateFlags, MemfdFlags, OFlags, SealFlags},
    net::{AddressFamily, SocketFlags, SocketType},
};

use crate::segment::{BARE, bare_memfd, memfd, seals};

/// Makes a descriptor in the place of a segment of that many bytes.
pub type Make = fn(u64) -> OwnedFd;

/// What is no memfd at all.
pub const NO_MEMFDS: &[(&str, Make)] = &[
    ("dev-zero", |_| open("/dev/zero")),
    ("dev-null", |_| open("/dev/null")),
    ("dev-full", |_| open("/dev/full")),
    ("directory", |_| open("/")),
    ("directory-on-tmpfs", |_| open("/dev")),
    ("directory-in-proc", |_| open("/proc")),
    ("file-in-proc", |_| open("/proc/self/mem")),
    ("pipe-to-read", |_| std::io::pipe().expect("a pipe").0.into()),
    ("pipe-to-write", |_| std::io::pipe().expect("a pipe").1.into()),
    ("eventfd", |_| rustix::event::eventfd(1, EventfdFlags::empty()).expect("an eventfd")),
    ("epoll", |_| rustix::event::epoll::create(rustix::event::epoll::CreateFlags::CLOEXEC).expect("an epoll")),
    ("pidfd", |_| {
        rustix::process::pidfd_open(rustix::process::getpid(), rustix::process::PidfdFlags::empty()).expect("a pidfd")
    }),
    ("unix-stream", |_| UnixStream::pair().expect("sockets").0.into()),
    ("unix-datagram", |_| UnixDatagram::pair().expect("sockets").0.into()),
    ("tcp-listener", |_| TcpListener::bind(("127.0.0.1", 0)).expect("a port").into()),
    ("disk-file", |size| disk_file(size, true).into()),
    ("disk-file-read-only", |size| disk_file(size, false).into()),
];

fn open(path: &str) -> OwnedFd {
    File::open(path).expect("a file").into()
}

/// A file without a name, where temporary files are.
fn disk_file(size: u64, writable: bool) -> File {
    let path = std::env::temp_dir().join(format!("evil-peer-{}", std::process::id()));
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&path).expect("a file");
    let again = OpenOptions::new().read(true).write(writable).open(&path).expect("a file");
    std::fs::remove_file(&path).expect("no name is left");
    file.set_len(size).expect("a size");
    rustix::fs::fallocate(&file, FallocateFlags::empty(), 0, size).expect("space");
    again
}

/// The same file by way of `/proc`.
pub fn reopened(fd: impl AsFd, flags: OFlags) -> OwnedFd {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    let (read, write) = (flags != OFlags::WRONLY, flags == OFlags::WRONLY || flags == OFlags::RDWR);
    let custom = if flags == OFlags::PATH { flags.bits() as i32 } else { 0 };
    OpenOptions::new().read(read).write(write).custom_flags(custom).open(path).expect("the same file").into()
}

/// A memfd of huge pages, where the machine has some.
pub fn huge(size: u64) -> rustix::io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING | MemfdFlags::HUGETLB;
    let fd = rustix::fs::memfd_create("memenpsf", flags)?;
    rustix::fs::ftruncate(&fd, size.next_multiple_of(2 << 20))?;
    rustix::fs::fcntl_add_seals(&fd, seals())?;
    Ok(fd)
}

/// A memfd with a seal from the start, where the kernel has it: F_SEAL_EXEC.
pub fn not_executable(size: u64) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::NOEXEC_SEAL;
    let Ok(fd) = rustix::fs::memfd_create("memenpsf", flags) else { return bare_memfd(size, true) };
    rustix::fs::fallocate(&fd, FallocateFlags::empty(), 0, size).expect("memory");
    fd
}

/// All there but for one page.
pub fn with_a_hole(size: u64) -> OwnedFd {
    let fd = bare_memfd(size, true);
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    rustix::fs::fallocate(&fd, flags, BARE - 4096, 4096).expect("a hole");
    rustix::fs::fcntl_add_seals(&fd, seals()).expect("seals");
    fd
}

/// Sealed more than is needed: nobody can write it at all.
pub fn frozen(size: u64) -> OwnedFd {
    memfd(size, seals() | SealFlags::WRITE, true)
}

/// Makes a descriptor in the place of a second socket.
pub type MakeSocket = fn() -> OwnedFd;

/// What is no connected Unix stream socket.
pub const NO_SOCKETS: &[(&str, MakeSocket)] = &[
    ("datagram", || UnixDatagram::pair().expect("sockets").0.into()),
    ("datagram-unbound", || UnixDatagram::unbound().expect("a socket").into()),
    ("seqpacket", || {
        let flags = SocketFlags::CLOEXEC;
        rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).expect("sockets").0
    }),
    ("unconnected", || rustix::net::socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket")),
    ("listener", || {
        let path = std::env::temp_dir().join(format!("evil-peer-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("a listener");
        std::fs::remove_file(&path).expect("no name is left");
        listener.into()
    }),
    // Who hears its bells took no part in this.
    ("connected-to-a-service", || service().0.into()),
    ("connected-to-a-service-without-a-path", || {
        let address = SocketAddr::from_abstract_name(format!("evil-peer-{}", std::process::id())).expect("an address");
        let _listener = UnixListener::bind_addr(&address).expect("a listener");
        UnixStream::connect_addr(&address).expect("a service").into()
    }),
    ("tcp-connected", || {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        TcpStream::connect(listener.local_addr().expect("an address")).expect("loopback").into()
    }),
    ("tcp-unconnected", || rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket")),
    ("pipe", || std::io::pipe().expect("a pipe").0.into()),
    ("eventfd", || rustix::event::eventfd(1, EventfdFlags::empty()).expect("an eventfd")),
    ("dev-null", || open("/dev/null")),
    ("path-only", || reopened(bare_memfd(BARE, true), OFlags::PATH)),
    ("memfd", || memfd(BARE, seals(), true)),
];

/// What has connected to a path, and what was accepted there.
pub fn service() -> (UnixStream, UnixStream) {
    let path = std::env::temp_dir().join(format!("evil-peer-{}.sock", std::process::id()));
    let listener = UnixListener::bind(&path).expect("a listener");
    let stream = UnixStream::connect(&path).expect("a service");
    std::fs::remove_file(&path).expect("no name is left");
    (stream, listener.accept().expect("a client").0)
}

/// How long a lingering socket holds whoever closes it last.
pub const HELD: Duration = Duration::from_secs(20);

/// A socket that holds whoever closes it last inside close(2): its data is never acknowledged.
pub fn lingering() -> OwnedFd {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let mut socket = TcpStream::connect(listener.local_addr().expect("an address")).expect("loopback");
    let (reader, _) = listener.accept().expect("loopback");
    rustix::net::sockopt::set_socket_linger(&socket, Some(HELD)).expect("an option");
    socket.set_nonblocking(true).expect("a flag");
    while socket.write(&[0; 1 << 16]).is_ok() {}
    // Open and unread as long as this process lives.
    std::mem::forget(reader);
    socket.into()
}

/// The path of a FUSE file system that answers nothing: whoever asks about the file waits for ever.
pub fn unanswered() -> Result<OwnedFd, String> {
    let why = |error: &dyn std::fmt::Display| format!("no FUSE file system: {error}");
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|error| why(&error))?;
    // The mount goes when this process goes.
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNS).map_err(|errno| why(&errno))?;
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(|errno| why(&errno))?;
    let place = std::env::temp_dir().join(format!("evil-peer-fuse-{}", std::process::id()));
    std::fs::create_dir(&place).map_err(|error| why(&error))?;
    let data = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let mounted =
        mount(Some("none"), &place, Some("fuse"), MsFlags::MS_NODEV | MsFlags::MS_NOSUID, Some(data.as_str()));
    let opened = mounted.map(|()| rustix::fs::open(&place, OFlags::PATH | OFlags::CLOEXEC, rustix::fs::Mode::empty()));
    let _ = nix::mount::umount2(&place, nix::mount::MntFlags::MNT_DETACH);
    let _ = std::fs::remove_dir(&place);
    // It is answered by nobody, but there is somebody who could.
    std::mem::forget(device);
    opened.map_err(|errno| why(&errno))?.map_err(|errno| why(&errno))
}

/// What refusing a descriptor that is no memfd tells: two file systems, or an errno.
pub fn file_system(fd: impl AsFd) -> u64 {
    rustix::fs::fstatfs(fd).expect("a file system").f_type as u64
}
