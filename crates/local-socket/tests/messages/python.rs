//! Another implementation at the other end: Python's `socket` module.

use std::{
    fs::File,
    io::{Read, Seek},
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command},
};

use local_socket::{Credentials, Error, Socket};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::{
    both::{Form, in_both_forms},
    files::files,
    rig::skipped,
};

in_both_forms! {
    python_reads_and_writes_every_form_of_bytes
    python_sends_and_receives_descriptors
    empty_messages_of_python_are_told_from_its_end
}

/// Runs a program that has a socket as `s`; `None`, with a message, where there is no Python.
fn python<S: Form>(program: &str) -> Option<(S, Child)> {
    // Python's end asks for no credentials, which it would have no room for.
    let (here, there) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    let here = Socket::try_from(here).unwrap();
    let program =
        format!("import json, os, signal, socket, struct\nsignal.alarm(30)\ns = socket.socket(fileno=0)\n{program}");
    match Command::new("python3").args(["-c", &program]).stdin(there).spawn() {
        Ok(child) => Some((S::try_from(here).unwrap(), child)),
        Err(error) => {
            skipped(&format!("Python at the other end: {error}"));
            None
        }
    }
}

fn succeeds(mut child: Child) {
    assert!(child.wait().unwrap().success());
}

#[derive(Debug, PartialEq, FromBytes, Immutable, IntoBytes)]
#[repr(C)]
struct Number {
    one: i8,
    reserved: [u8; 3],
    two: u32,
}

async fn python_reads_and_writes_every_form_of_bytes<S: Form>() {
    let program = "assert s.recv(65536) == b'a slice'\n\
        message = s.recv(65536)\nassert struct.unpack_from('<Q', message) == (13,) and message[8:] == b'with a length'\n\
        assert struct.unpack('=bxxxI', s.recv(65536)) == (-1, 7)\n\
        s.send(b'a slice')\ns.send(struct.pack('<Q', 13) + b'with a length')\ns.send(struct.pack('<Q', 14) + b'with a length')\n\
        s.send(struct.pack('=bxxxI', -1, 7))\n\
        if message := s.recv(65536): s.send(json.dumps({'back': json.loads(message)}).encode())\n";
    let Some((here, child)) = python::<S>(program) else { return };
    here.send_slice(b"a slice", &[]).await.unwrap();
    here.send_slice_with_len(b"with a length", &[]).await.unwrap();
    let number = Number { one: -1, reserved: [0; 3], two: 7 };
    here.send_struct(&number, &[]).await.unwrap();
    assert_eq!(here.recv_vec::<[_; 0]>(64).await.unwrap().0, b"a slice");
    assert_eq!(here.recv_into_buf_with_len::<[_; 0]>().await.unwrap().0, b"with a length");
    let error = here.recv_into_buf_with_len::<[_; 0]>().await.unwrap_err();
    assert!(matches!(error, Error::WrongLength { expected: 14, got: 13 }), "{error:?}");
    assert_eq!(here.recv_struct::<Number, [_; 0]>().await.unwrap().0, number);
    #[cfg(feature = "json")]
    {
        use std::collections::BTreeMap;

        let value = BTreeMap::from([("ä".to_owned(), vec![Some(0.5), None])]);
        here.send_json(&value, &[]).await.unwrap();
        let received =
            here.recv_json::<BTreeMap<String, BTreeMap<String, Vec<Option<f64>>>>, [_; 0]>().await.unwrap().0;
        assert_eq!(received, BTreeMap::from([("back".to_owned(), value)]));
    }
    drop(here);
    succeeds(child);
}

async fn python_sends_and_receives_descriptors<S: Form>() {
    let program = "message, fds, flags, _ = socket.recv_fds(s, 64, 253)\nassert (message, len(fds), flags & socket.MSG_CTRUNC) == (b'fill', 253, 0)\n\
        for number, fd in enumerate(fds): os.write(fd, str(number).encode())\n\
        socket.send_fds(s, [b'filled'], fds[:3])\nsocket.send_fds(s, [b'once more'], fds[:3])\n";
    let Some((here, child)) = python::<S>(program) else { return };
    here.ask_for_credentials();
    let sent = files(fdpass::MAX_FDS);
    here.send_slice(b"fill", &crate::files::borrowed(&sent)).await.unwrap();
    let pid = i32::try_from(child.id()).unwrap();
    let (bytes, (received, sender)) = here.recv_vec::<([OwnedFd; 3], Credentials)>(64).await.unwrap();
    assert_eq!((bytes.as_slice(), sender.pid.map(i32::from)), (b"filled".as_slice(), Some(pid)));
    crate::files::assert_same(&received, &sent[..3]);
    for (number, fd) in sent.iter().enumerate() {
        let (mut file, mut text) = (File::from(fd.as_fd().try_clone_to_owned().unwrap()), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, number.to_string());
    }
    let error = here.recv_vec::<[OwnedFd; 2]>(64).await.unwrap_err();
    assert!(matches!(error, Error::WrongFds { expected: 2, got: 3 }), "{error:?}");
    assert!(matches!(here.recv_vec::<[_; 0]>(64).await, Err(Error::EndOfFile)));
    succeeds(child);
}

async fn empty_messages_of_python_are_told_from_its_end<S: Form>() {
    let Some((here, child)) = python::<S>("s.send(b'')\ns.send(b'between')\ns.send(b'')\n") else { return };
    here.ask_for_credentials();
    here.send_slice(b"never received", &[]).await.unwrap();
    for message in [b"".as_slice(), b"between", b""] {
        assert_eq!(here.recv_vec::<[_; 0]>(64).await.unwrap().0, message);
    }
    assert!(matches!(here.recv_vec::<[_; 0]>(64).await, Err(Error::EndOfFile)));
    assert!(matches!(here.send_slice(b"x", &[]).await, Err(Error::Closed)));
    succeeds(child);
}
