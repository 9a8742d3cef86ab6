//! Control messages, byte by byte: cmsg(3), sendmsg(2), recvmsg(2) and the options around them.
//!
//! The only file of the crate with `unsafe`. It hands out owned descriptors and judges nothing.
#![allow(unsafe_code, reason = "system calls take pointers, and a number from the kernel becomes an owned descriptor")]

use std::{
    io::{IoSlice, IoSliceMut},
    mem::{MaybeUninit, size_of},
    num::NonZero,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
    ptr,
};

use nix::{
    errno::Errno,
    libc::{self, c_int, c_void},
};

use crate::{Credentials, MAX_FDS};

/// `SO_PASSPIDFD` of `asm-generic/socket.h`, Linux 6.5.
pub(crate) const SO_PASSPIDFD: c_int = 76;
/// `SCM_PIDFD` of `linux/socket.h`, Linux 6.5; the data is one `int`, a descriptor or a negated errno.
const SCM_PIDFD: c_int = 0x04;

/// The kernel's `struct cmsghdr`: a `size_t` and two `int`s.
const HEADER: usize = size_of::<usize>() + 2 * size_of::<c_int>();
const FD: usize = size_of::<c_int>();
const CREDENTIALS: usize = size_of::<libc::ucred>();

/// `CMSG_LEN`: the header and the data, and no padding.
const fn cmsg_len(data: usize) -> usize {
    HEADER + data
}

/// `CMSG_SPACE`: the header and the data, padded so that another header can follow.
const fn cmsg_space(data: usize) -> usize {
    cmsg_len(data).next_multiple_of(size_of::<usize>())
}

const SEND_ROOM: usize = cmsg_space(MAX_FDS * FD);
/// For as many descriptors as a message can carry, and for credentials before and a pidfd after them,
/// which `SO_PASSCRED` and `SO_PASSPIDFD` bring.
///
/// The room for those two is always there: asking whether the options are on costs as much as a
/// receive that finds nothing, and the answer can be old when the message comes.
const RECV_ROOM: usize = cmsg_space(CREDENTIALS) + cmsg_space(MAX_FDS * FD) + cmsg_len(FD);

const _: () = {
    assert!(HEADER == size_of::<libc::cmsghdr>());
    // SAFETY: `CMSG_LEN` computes with numbers only.
    assert!(cmsg_len(3 * FD) == unsafe { libc::CMSG_LEN((3 * FD) as u32) } as usize);
    // SAFETY: `CMSG_SPACE` computes with numbers only.
    assert!(cmsg_space(3 * FD) == unsafe { libc::CMSG_SPACE((3 * FD) as u32) } as usize);
};

/// Memory for control messages, aligned as their headers want it.
#[repr(C, align(8))]
struct Aligned<const N: usize>([u8; N]);

/// Everything one `recvmsg` delivered. Dropping it closes every descriptor that came.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Bytes of payload; with `MSG_TRUNC` asked for, also those that had no room.
    pub(crate) len: usize,
    /// All descriptors of all `SCM_RIGHTS` messages, in their order.
    pub(crate) fds: Vec<OwnedFd>,
    /// Who sent it, of the first `SCM_CREDENTIALS` message.
    pub(crate) credentials: Option<Credentials>,
    /// The descriptor of the first `SCM_PIDFD` message that held one.
    pub(crate) pidfd: Option<OwnedFd>,
    /// `MSG_CTRUNC`: control messages or descriptors were dropped.
    pub(crate) control_truncated: bool,
    /// `MSG_TRUNC`: the end of a datagram or seqpacket message was dropped.
    pub(crate) payload_truncated: bool,
}

fn empty_message() -> libc::msghdr {
    // SAFETY: `msghdr` is integers and raw pointers, for which all-zero bytes are valid values.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

/// One `SCM_RIGHTS` message with these descriptors, at most [`MAX_FDS`].
fn rights(fds: &[BorrowedFd<'_>]) -> Aligned<SEND_ROOM> {
    let mut control = Aligned([0; SEND_ROOM]);
    let (len, rest) = control.0.split_at_mut(size_of::<usize>());
    len.copy_from_slice(&cmsg_len(fds.len() * FD).to_ne_bytes());
    let words = [libc::SOL_SOCKET, libc::SCM_RIGHTS].into_iter().chain(fds.iter().map(AsRawFd::as_raw_fd));
    for (place, word) in rest.chunks_exact_mut(FD).zip(words) {
        place.copy_from_slice(&word.to_ne_bytes());
    }
    control
}

/// One `sendmsg`: the parts of the payload, and with them exactly these descriptors, at most [`MAX_FDS`]. A signal does not end it.
pub(crate) fn send(
    socket: BorrowedFd<'_>,
    parts: &[IoSlice<'_>],
    fds: &[BorrowedFd<'_>],
    flags: c_int,
) -> Result<usize, Errno> {
    let mut message = empty_message();
    // An `IoSlice` is laid out as an `iovec`, its documentation says.
    message.msg_iov = parts.as_ptr().cast_mut().cast::<libc::iovec>();
    message.msg_iovlen = parts.len() as _;

    let mut control;
    if !fds.is_empty() {
        control = rights(fds);
        let used = &mut control.0[..cmsg_space(fds.len() * FD)];
        message.msg_control = used.as_mut_ptr().cast::<c_void>();
        message.msg_controllen = used.len() as _;
    }
    loop {
        // SAFETY: `parts`, what they point to and `control` live until after the call, the lengths beside the
        // pointers are theirs, and the kernel only reads them.
        let sent = unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, flags | libc::MSG_NOSIGNAL) };
        match Errno::result(sent) {
            Err(Errno::EINTR) => {}
            result => return Ok(result? as usize),
        }
    }
}

/// One `recvmsg` with room for as many descriptors as a message can carry. A signal does not end it.
///
/// So the caller counts exactly, and closes what it does not want: what the kernel has no room for it
/// closes itself, inside the call, and a socket that lingers can hold that up.
/// All descriptors are close-on-exec and owned when this returns.
pub(crate) fn receive(socket: BorrowedFd<'_>, parts: &mut [IoSliceMut<'_>], flags: c_int) -> Result<Delivery, Errno> {
    let mut control = Aligned([0; RECV_ROOM]);
    let room = &mut control.0[..];
    let mut message = empty_message();
    // An `IoSliceMut` is laid out as an `iovec`, its documentation says.
    message.msg_iov = parts.as_mut_ptr().cast::<libc::iovec>();
    message.msg_iovlen = parts.len() as _;
    message.msg_control = room.as_mut_ptr().cast::<c_void>();
    message.msg_controllen = room.len() as _;

    let flags = flags | libc::MSG_CMSG_CLOEXEC;
    let len = loop {
        // SAFETY: what `parts` point to and `room` are borrowed for writing until after the call, and the lengths
        // beside the pointers are theirs.
        let received = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        match Errno::result(received) {
            Err(Errno::EINTR) => {}
            result => break result? as usize,
        }
    };

    // The kernel has put there how much of the room it used.
    let filled = room.len().min(message.msg_controllen as _);
    let inbox = Inbox { bytes: &room[..filled] };
    let Taken { fds, credentials, pidfd } = inbox.take();
    Ok(Delivery {
        len,
        fds,
        credentials,
        pidfd,
        control_truncated: message.msg_flags & libc::MSG_CTRUNC != 0,
        payload_truncated: message.msg_flags & libc::MSG_TRUNC != 0,
    })
}

/// Control messages as the kernel left them.
///
/// # Invariants
/// I1. `bytes` is what one successful `recvmsg` of this process wrote, and nothing else, so every
///     non-negative number in an `SCM_RIGHTS` or `SCM_PIDFD` message is an open descriptor that
///     nobody owns.
/// I2. The bytes are taken at most once: `take` consumes the value, and it is not `Clone`.
struct Inbox<'a> {
    bytes: &'a [u8],
}

#[derive(Default)]
struct Taken {
    fds: Vec<OwnedFd>,
    credentials: Option<Credentials>,
    pidfd: Option<OwnedFd>,
}

impl Inbox<'_> {
    /// Owns every descriptor that was delivered, whatever else is wrong with the messages.
    fn take(self) -> Taken {
        let mut taken = Taken::default();
        let mut rest = self.bytes;
        while let Some((header, after)) = rest.split_first_chunk::<HEADER>() {
            let (len, kind) = header.split_at(size_of::<usize>());
            let len = usize::from_ne_bytes(len.try_into().expect("split at its size"));
            let (level, kind) = kind.split_at(FD);
            let data = &after[..len.saturating_sub(HEADER).min(after.len())];
            let number = |bytes: &[u8]| c_int::from_ne_bytes(bytes.try_into().expect("FD bytes"));
            let numbers = data.chunks_exact(FD).map(number);
            match (number(level), number(kind)) {
                (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                    taken.fds.reserve_exact(numbers.len());
                    // SAFETY: the numbers of an `SCM_RIGHTS` message (I1), seen once (I2).
                    taken.fds.extend(numbers.filter_map(|fd| unsafe { own(fd) }));
                }
                (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) => {
                    taken.credentials = taken.credentials.or(credentials(numbers));
                }
                (libc::SOL_SOCKET, SCM_PIDFD) => {
                    // SAFETY: the numbers of an `SCM_PIDFD` message (I1), seen once (I2).
                    for pidfd in numbers.filter_map(|fd| unsafe { own(fd) }) {
                        taken.pidfd.get_or_insert(pidfd);
                    }
                }
                _ => {}
            }
            // A length below the header's would never end the walk; the kernel writes none.
            let step = len.max(HEADER).checked_next_multiple_of(size_of::<usize>());
            rest = step.and_then(|step| rest.get(step..)).unwrap_or_default();
        }
        taken
    }
}

/// The kernel's `struct ucred`: a process id, a user id and a group id.
fn credentials(mut numbers: impl Iterator<Item = c_int>) -> Option<Credentials> {
    let (pid, uid, gid) = (numbers.next()?, numbers.next()?, numbers.next()?);
    Some(Credentials { pid: NonZero::new(pid), uid: uid.cast_unsigned(), gid: gid.cast_unsigned() })
}

/// `None` for a negative number: an errno in the place of a pidfd.
///
/// # Safety
/// A number that is not negative is an open descriptor that nobody owns.
unsafe fn own(number: RawFd) -> Option<OwnedFd> {
    if number < 0 {
        return None;
    }
    // SAFETY: what the caller promises.
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// An option of level `SOL_SOCKET` whose value is an `int`.
pub(crate) fn option(socket: BorrowedFd<'_>, name: c_int) -> Result<c_int, Errno> {
    let mut value: c_int = 0;
    let mut len = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` and `len` are writable, and `len` is the size of `value`.
    let result = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, name, (&raw mut value).cast::<c_void>(), &raw mut len)
    };
    Errno::result(result).map(|_| value)
}

/// Sets an option of level `SOL_SOCKET` whose value is an `int`.
pub(crate) fn set_option(socket: BorrowedFd<'_>, name: c_int, value: c_int) -> Result<(), Errno> {
    // SAFETY: the kernel reads `value` only, and the length is its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            name,
            ptr::from_ref(&value).cast::<c_void>(),
            size_of::<c_int>() as libc::socklen_t,
        )
    };
    Errno::result(result).map(drop)
}

/// `FIONREAD`: the unread bytes of a stream or seqpacket socket, or of the first datagram.
pub(crate) fn unread(socket: BorrowedFd<'_>) -> Result<usize, Errno> {
    let mut bytes: c_int = 0;
    // SAFETY: `FIONREAD` writes one `int` to where the pointer points, and `bytes` is one.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    Errno::result(result).map(|_| usize::try_from(bytes).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, IntoRawFd};

    use nix::fcntl::{FcntlArg, FdFlag, fcntl};

    use super::*;

    const OPEN: Option<FdFlag> = Some(FdFlag::FD_CLOEXEC);

    fn descriptor() -> RawFd {
        let file = std::fs::File::open("/dev/null").expect("/dev/null opens");
        OwnedFd::from(file).into_raw_fd()
    }

    fn message(len: usize, level: c_int, kind: c_int, numbers: &[c_int]) -> Vec<u8> {
        let mut bytes = len.to_ne_bytes().to_vec();
        for number in [level, kind].iter().chain(numbers) {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.resize(bytes.len().next_multiple_of(size_of::<usize>()), 0);
        bytes
    }

    fn rights_message(fds: &[c_int]) -> Vec<u8> {
        message(cmsg_len(fds.len() * FD), libc::SOL_SOCKET, libc::SCM_RIGHTS, fds)
    }

    fn pidfd(number: c_int) -> Vec<u8> {
        message(cmsg_len(FD), libc::SOL_SOCKET, SCM_PIDFD, &[number])
    }

    fn numbers(taken: &Taken) -> Vec<RawFd> {
        taken.fds.iter().map(AsRawFd::as_raw_fd).collect()
    }

    fn state(fd: &OwnedFd) -> Option<FdFlag> {
        fcntl(fd, FcntlArg::F_GETFD).ok().map(FdFlag::from_bits_retain)
    }

    #[test]
    fn descriptors_of_several_messages_are_all_owned_in_order() {
        let fds = [descriptor(), descriptor(), descriptor()];
        let bytes = [rights_message(&fds[..1]), rights_message(&fds[1..])].concat();
        let taken = Inbox { bytes: &bytes }.take();
        assert_eq!(numbers(&taken), fds);
        assert!(taken.fds.iter().all(|fd| state(fd) == OPEN));
    }

    #[test]
    fn a_message_says_exactly_how_many_descriptors_it_holds() {
        let file = std::fs::File::open("/dev/null").expect("/dev/null opens");
        for count in [1, 2, 3, MAX_FDS] {
            let control = rights(&vec![file.as_fd(); count]);
            let expected = rights_message(&vec![file.as_raw_fd(); count]);
            assert_eq!(control.0[..cmsg_space(count * FD)], expected);
            assert!(control.0[cmsg_len(count * FD)..].iter().all(|byte| *byte == 0));
        }
    }

    #[test]
    fn an_errno_in_place_of_a_pidfd_is_no_descriptor() {
        let bytes = pidfd(-libc::EMFILE);
        assert!(Inbox { bytes: &bytes }.take().pidfd.is_none());
    }

    #[test]
    fn of_two_pidfds_the_first_is_kept() {
        let pidfds = [descriptor(), descriptor()];
        let bytes = pidfds.map(pidfd).concat();
        let taken = Inbox { bytes: &bytes }.take();
        assert_eq!(taken.pidfd.map(|fd| fd.as_raw_fd()), Some(pidfds[0]));
    }

    #[test]
    fn the_walk_goes_on_behind_a_foreign_message() {
        let fd = descriptor();
        let foreign = message(cmsg_len(3 * FD), libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[1, 2, 3]);
        let bytes = [foreign, rights_message(&[fd])].concat();
        assert_eq!(numbers(&Inbox { bytes: &bytes }.take()), [fd]);
    }

    #[test]
    fn credentials_are_read_and_short_ones_are_none() {
        let with = |numbers: &[c_int]| {
            let bytes = message(cmsg_len(size_of_val(numbers)), libc::SOL_SOCKET, libc::SCM_CREDENTIALS, numbers);
            Inbox { bytes: &bytes }.take().credentials
        };
        assert_eq!(with(&[1, 2, -1]), Some(Credentials { pid: NonZero::new(1), uid: 2, gid: u32::MAX }));
        assert_eq!(with(&[0, 2, 3]), Some(Credentials { pid: None, uid: 2, gid: 3 }));
        assert_eq!(with(&[1, 2]), None);
    }

    #[test]
    fn the_same_number_at_another_level_is_no_descriptor() {
        let bytes = message(cmsg_len(FD), libc::SOL_SOCKET + 1, libc::SCM_RIGHTS, &[0]);
        assert!(Inbox { bytes: &bytes }.take().fds.is_empty());
    }

    #[test]
    fn lengths_that_make_no_sense_end_the_walk() {
        for len in [0, 1, HEADER - 1, HEADER, usize::MAX] {
            let bytes = message(len, libc::SOL_SOCKET, libc::SCM_CREDENTIALS, &[0; 4]);
            let taken = Inbox { bytes: &bytes }.take();
            assert!(taken.fds.is_empty() && taken.pidfd.is_none());
        }
    }

    #[test]
    fn room_for_all_descriptors_and_extras_is_within_the_buffer() {
        let with_extras = |count| cmsg_space(CREDENTIALS) + cmsg_space(count * FD) + cmsg_len(FD);
        assert!((1..=MAX_FDS).all(|count| with_extras(count) <= RECV_ROOM));
        assert!((1..=MAX_FDS).all(|count| cmsg_space(count * FD) <= SEND_ROOM));
    }
}
