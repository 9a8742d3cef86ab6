//! Another implementation at the other end: Python, by the description of the messages alone.

use std::{
    os::fd::OwnedFd,
    process::{Child, Command},
};

use local_socket::{Error, RawReceiver, RawSender, raw_channel};

use crate::{
    by_hand::{borrowed, files, identities},
    rig::{Watchdog, descriptors, skipped},
};

/// What Python needs: the message format, once in each direction.
const FORMAT: &str = r#"
import array, fcntl, os, signal, socket, struct
signal.alarm(30)
channel = socket.socket(fileno=os.dup(0))
INLINE = 192 * 1024 - 16
came = {}

def fds_of(control):
    fds = array.array('i')
    for level, kind, data in control:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(data)
    return list(fds)

def rights(fds):
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))] if fds else []

def send(channel, payload, fds):
    if len(payload) <= INLINE:
        return channel.sendmsg([struct.pack('<4sHHQ', b'lsc\x01', 0, len(fds), len(payload)), payload], rights(fds))
    memory = os.memfd_create('python', os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    with open(memory, 'wb', closefd=False) as file:
        file.write(payload)
    fcntl.fcntl(memory, 1033, 1 | 2 | 4 | 8)
    header = lambda kind, count: struct.pack('<4sHHQ', b'lsc\x01', kind, count, len(payload))
    if len(fds) < 253:
        channel.sendmsg([header(1, len(fds))], rights([memory] + fds))
    else:
        ticket = os.urandom(8)
        channel.sendmsg([header(2, 0), ticket], rights([memory]))
        channel.sendmsg([header(3, len(fds)), ticket], rights(fds))
    os.close(memory)

def content(memory, length):
    assert fcntl.fcntl(memory, 1034) & 15 == 15
    payload = os.pread(memory, length + 1, 0)
    os.close(memory)
    return payload

def receive(channel):
    data, control, flags, _ = channel.recvmsg(192 * 1024, socket.CMSG_SPACE(253 * 4))
    if not data:
        return None
    fds = fds_of(control)
    assert flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC) == 0
    magic, kind, count, length = struct.unpack('<4sHHQ', data[:16])
    assert magic == b'lsc\x01', magic
    payload = data[16:]
    if kind == 1:
        payload = content(fds.pop(0), length)
    elif kind == 2:
        came[payload] = content(fds.pop(0), length)
        assert len(came[payload]) == length and not fds
        return receive(channel)
    elif kind == 3:
        payload = came.pop(payload)
    else:
        assert kind == 0, kind
    assert (len(payload), len(fds)) == (length, count), (len(payload), length, len(fds), count)
    return payload, fds
"#;

/// Runs a program at the other end of a channel; `None`, with a message, where there is no Python.
fn python(program: &str, end: impl Into<OwnedFd>) -> Option<Child> {
    match Command::new("python3").args(["-c", &format!("{FORMAT}\n{program}")]).stdin(end.into()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            skipped(&format!("Python at the other end: {error}"));
            None
        }
    }
}

const SIZES: [usize; 6] = [0, 1, 4096, 192 * 1024 - 16, 192 * 1024 - 15, 1 << 20];
const COUNTS: [usize; 4] = [0, 1, 64, 253];

#[test]
fn python_receives_from_here_and_sends_here() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let (to_python, its_end) = raw_channel().unwrap();
    // The first message brings the way back; then each comes back with its bytes and its descriptors turned round.
    let program = "
_, (back,) = receive(channel)
back = socket.socket(fileno=back)
while message := receive(channel):
    payload, fds = message
    send(back, payload[::-1], fds[::-1])
    for fd in fds: os.close(fd)
";
    let Some(mut child) = python(program, its_end) else { return };
    let (back, from_python) = raw_channel().unwrap();
    to_python.send(b"", &[std::os::fd::AsFd::as_fd(&back)]).unwrap();
    drop(back);
    for size in SIZES {
        for count in COUNTS {
            let mut bytes: Vec<u8> = (0..size).map(|place| (place * 7 % 251) as u8).collect();
            let sent = files(count);
            to_python.send(&bytes, &borrowed(&sent)).unwrap();
            let (payload, mut fds) = from_python.recv().unwrap();
            bytes.reverse();
            fds.reverse();
            assert!(payload == bytes, "{size} bytes, {count} descriptors");
            assert_eq!(identities(&fds), identities(&sent));
        }
    }
    drop(to_python);
    assert!(child.wait().unwrap().success());
    assert!(matches!(from_python.recv(), Err(Error::EndOfFile)));
    drop(from_python);
    assert_eq!(descriptors(), before);
}

#[test]
fn python_makes_a_channel_of_its_own() {
    let _watchdog = Watchdog::new();
    let (bare, other) = crate::by_hand::seqpacket_pair();
    // Both directions of one socket, and one process at each end.
    let program = "
send(channel, b'from python', [])
assert receive(channel) == (b'from here', [])
";
    let receiver = RawReceiver::try_from(bare.try_clone().unwrap()).unwrap();
    receiver.set_pass_credentials(true).unwrap();
    let Some(mut child) = python(program, other) else { return };
    let sender = RawSender::try_from(bare).unwrap();
    let (bytes, _, who) = receiver.recv_with_credentials().unwrap();
    assert_eq!((bytes.as_slice(), who.pid.map(i32::from)), (b"from python".as_slice(), Some(child.id() as i32)));
    sender.send(b"from here", &[]).unwrap();
    assert!(child.wait().unwrap().success());
    assert!(matches!(receiver.recv(), Err(Error::EndOfFile)));
}
