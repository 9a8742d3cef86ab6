//! Messages byte by byte: docs/channels.md. Who changes these bytes changes the version in them.

use std::{
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    process::{Command, Stdio},
};

use fdpass::{recv_fds, send_fds};
use local_socket::{
    Error, Handle, RawReceiver, RawSender,
    tokio::{Bootstrapper, Sender, channel, duplex},
};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};

use crate::rig::{Watchdog, descriptors, skipped};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What is in the next datagram.
fn datagram(socket: &OwnedFd) -> (String, Vec<OwnedFd>) {
    let mut buffer = vec![0; 1 << 20];
    let received = recv_fds(socket, &mut buffer, fdpass::MAX_FDS).unwrap();
    (hex(&buffer[..received.len]), received.fds)
}

#[tokio::test]
async fn a_message_has_these_bytes() {
    let (sender, receiver) = channel::<(u32, Handle<OwnedFd>, String, Sender<()>)>().unwrap();
    let socket = OwnedFd::from(RawReceiver::try_from(receiver.into_raw_receiver()).unwrap());
    let file = memfd_create(c"a file", MemfdFlags::CLOEXEC).unwrap();
    let inode = fstat(&file).unwrap().st_ino;
    sender.send((300, file.into(), "hi".to_owned(), channel().unwrap().0)).await.unwrap();
    let (bytes, fds) = datagram(&socket);
    //                 magic    flags number length             300    file "hi"     sender
    assert_eq!(bytes, "6c736301 0000 0200 0700000000000000 ac02 00 026869 01".replace(' ', ""));
    assert_eq!((fds.len(), fstat(&fds[0]).unwrap().st_ino), (2, inode));
}

#[tokio::test]
async fn a_long_message_is_a_header_beside_a_sealed_memfd() {
    let (sender, receiver) = local_socket::raw_channel().unwrap();
    let socket = OwnedFd::from(receiver);
    let payload = vec![0xab; 0x3_0000];
    let file = memfd_create(c"a file", MemfdFlags::CLOEXEC).unwrap();
    for (count, header) in [(0, "6c736301 0100 0000 0000030000000000"), (252, "6c736301 0100 fc00 0000030000000000")] {
        sender.send(&payload, &vec![file.as_fd(); count]).unwrap();
        let (bytes, fds) = datagram(&socket);
        assert_eq!((bytes, fds.len()), (header.replace(' ', ""), 1 + count));
        assert_memory(&fds[0], &payload);
    }
}

#[test]
fn a_long_message_with_253_descriptors_has_its_memfd_ahead() {
    let (sender, receiver) = local_socket::raw_channel().unwrap();
    let socket = OwnedFd::from(receiver);
    let payload = vec![0xab; 0x3_0000];
    let file = memfd_create(c"a file", MemfdFlags::CLOEXEC).unwrap();
    sender.send(&payload, &[file.as_fd(); 253]).unwrap();
    let (ahead, memory) = datagram(&socket);
    let (header, ticket) = ahead.split_at(32);
    assert_eq!(header, "6c736301 0200 0000 0000030000000000".replace(' ', ""));
    assert_eq!((ticket.len(), memory.len()), (16, 1));
    assert_memory(&memory[0], &payload);
    let (bytes, fds) = datagram(&socket);
    assert_eq!((bytes, fds.len()), ("6c736301 0300 fd00 0000030000000000".replace(' ', "") + ticket, 253));
}

fn assert_memory(memory: &OwnedFd, bytes: &[u8]) {
    let seals = SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    assert!(fcntl_get_seals(memory).unwrap().contains(seals));
    let mut read = vec![0; bytes.len() + 1];
    assert_eq!(rustix::io::pread(memory, &mut read, 0).unwrap(), bytes.len());
    assert!(&read[..bytes.len()] == bytes);
}

/// A memfd of so many zeros, sealed as a message's.
fn memory(size: u64) -> OwnedFd {
    let memory = memfd_create(c"of a test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&memory, size).unwrap();
    fcntl_add_seals(&memory, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).unwrap();
    memory
}

fn header(magic: &[u8; 4], flags: u16, fds: u16, length: u64) -> Vec<u8> {
    [&magic[..], &flags.to_le_bytes(), &fds.to_le_bytes(), &length.to_le_bytes()].concat()
}

/// What a receiver makes of this datagram; afterwards it receives the next, and nothing is left open.
async fn received(datagram: &[u8], fds: &[BorrowedFd<'_>]) -> Result<(Vec<u8>, usize), Error> {
    let (sender, receiver) = local_socket::raw_channel().unwrap();
    let socket = OwnedFd::try_from(sender).unwrap();
    let receiver = local_socket::tokio::RawReceiver::try_from(receiver).unwrap();
    let before = descriptors();
    send_fds(&socket, datagram, fds).unwrap();
    let result = receiver.recv().await.map(|(bytes, fds)| (bytes, fds.len()));
    assert_eq!(descriptors(), before, "{result:?}");
    RawSender::try_from(socket).unwrap().send(b"next", &[]).unwrap();
    assert_eq!(receiver.recv().await.unwrap().0, b"next");
    result
}

#[tokio::test]
async fn each_step_of_the_description_fails_as_it_says() {
    let _watchdog = Watchdog::new();
    const MAGIC: &[u8; 4] = b"lsc\x01";
    let memory = memory(10);
    let memory = memory.as_fd();
    let null = std::fs::File::open("/dev/null").unwrap();
    let null = null.as_fd();

    assert_eq!(received(&header(MAGIC, 1, 1, 10), &[memory, null]).await.unwrap(), (vec![0; 10], 1));
    for (datagram, fds, expected) in [
        (b"lsc\x01".to_vec(), &[][..], "the message is shorter than a header"),
        (header(b"lsc\x02", 0, 0, 0), &[], "the message is not of a channel, or of another version"),
        (header(MAGIC, 4, 0, 0), &[], "the message is of a kind that this version does not know"),
        (header(MAGIC, 1, 0, 10), &[], "1 descriptors were to come, and 0 came"),
        (header(MAGIC, 2, 0, 10), &[memory], "the message should have 8 bytes, and has 0"),
        ([header(MAGIC, 2, 1, 10), vec![0; 8]].concat(), &[memory, null], "1 descriptors were to come, and 2 came"),
        (
            [header(MAGIC, 3, 0, 10), vec![0; 8]].concat(),
            &[],
            "the payload of the message has not come ahead, or too many others have come since",
        ),
        (header(MAGIC, 1, 0, 10), &[null], "the message's payload does not lie in a sealed memfd"),
        (header(MAGIC, 1, 0, 11), &[memory], "the message should have 11 bytes, and has 10"),
        (header(MAGIC, 1, 0, 1 << 32), &[memory], "the message has 4294967296 bytes, and there is room for 67108864"),
        (header(MAGIC, 0, 1, 0), &[], "1 descriptors were to come, and 0 came"),
        (header(MAGIC, 0, 0, 0), &[null], "0 descriptors were to come, and 1 came"),
        (header(MAGIC, 0, 0, 1), &[], "the message should have 1 bytes, and has 0"),
        ([header(MAGIC, 1, 0, 10), vec![0]].concat(), &[memory], "the message should have 0 bytes, and has 1"),
    ] {
        assert_eq!(received(&datagram, fds).await.unwrap_err().to_string(), expected);
    }
}

/// The program of docs/channels.md.
fn python_of_the_page() -> &'static str {
    let page = include_str!("../../../../docs/channels.md");
    let (_, program) = page.split_once("```python\n").unwrap();
    program.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_program_of_the_page_receives_a_message_and_answers() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<(String, Sender<String>)>::new().unwrap();
    let command =
        Command::new("python3").args(["-", bootstrapper.path().to_str().unwrap()]).stdin(Stdio::piped()).spawn();
    let mut python = match command {
        Ok(child) => child,
        Err(error) => return skipped(&format!("Python at the other end: {error}")),
    };
    python.stdin.take().unwrap().write_all(python_of_the_page().as_bytes()).unwrap();
    let ((_, answer), (answers, _)) = duplex::<(), String>().unwrap();
    bootstrapper.send(("good day".to_owned(), answers)).await.unwrap();
    assert_eq!(answer.recv().await.unwrap(), "GOOD DAY");
    assert!(python.wait().unwrap().success());
}
