//! Unnamed pipes: which ends wait, what flush means, and what is left open.

use std::{
    fs::File,
    io::{ErrorKind, Read, Write},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    process::Command,
};

use local_socket::pipe::{Ends, PipeReader, PipeWriter, nonblocking, pipe, set_nonblocking};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rustix::{
    fs::{OFlags, fcntl_getfl},
    io::{FdFlags, fcntl_getfd},
};

use crate::rig::{Watchdog, descriptors, raises_sigpipe};

fn waits(end: impl AsFd) -> bool {
    !fcntl_getfl(end).unwrap().contains(OFlags::NONBLOCK)
}

/// Writes until the pipe takes no more, and returns how many bytes went in.
fn fill(mut writer: &PipeWriter) -> usize {
    let mut total = 0;
    loop {
        match writer.write(&[b'.'; 5000]) {
            Ok(written) => total += written,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                return total;
            }
        }
    }
}

#[test]
fn what_was_flushed_is_read_though_the_writer_is_gone() {
    let _watchdog = Watchdog::new();
    for pair in [pipe(), nonblocking(Ends::Reader), nonblocking(Ends::Writer), nonblocking(Ends::Both)] {
        let (mut reader, mut writer) = pair.unwrap();
        writer.write_all(b"all of it").unwrap();
        writer.flush().unwrap();
        (&writer).flush().unwrap();
        drop(writer);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text, "all of it");
    }
}

#[test]
fn flush_does_not_wait_for_room_in_a_full_pipe() {
    let _watchdog = Watchdog::new();
    let (_reader, mut writer) = nonblocking(Ends::Writer).unwrap();
    fill(&writer);
    set_nonblocking(&writer, false).unwrap();
    writer.flush().unwrap();
}

#[test]
fn just_the_ends_that_were_named_do_not_wait() {
    let _watchdog = Watchdog::new();
    for (ends, reader_waits, writer_waits) in
        [(Ends::Reader, false, true), (Ends::Writer, true, false), (Ends::Both, false, false)]
    {
        let (reader, writer) = nonblocking(ends).unwrap();
        assert_eq!((waits(&reader), waits(&writer)), (reader_waits, writer_waits), "{ends:?}");
        if !reader_waits {
            assert_eq!((&reader).read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
        }
        if !writer_waits {
            assert!(fill(&writer) >= 4096);
        }
    }
}

#[test]
fn an_end_that_waits_gets_what_comes_later() {
    let _watchdog = Watchdog::new();
    let (mut reader, mut writer) = nonblocking(Ends::Writer).unwrap();
    std::thread::scope(|scope| {
        let read = scope.spawn(move || {
            let mut byte = [0];
            reader.read_exact(&mut byte).map(|()| byte)
        });
        writer.write_all(b"x").unwrap();
        assert_eq!(read.join().unwrap().unwrap(), *b"x");
    });
}

#[test]
fn a_change_of_waiting_reaches_the_copies_of_an_end_and_not_the_other_end() {
    let (reader, writer) = pipe().unwrap();
    let copy = reader.try_clone().unwrap();
    for nonblocking in [true, false, true] {
        set_nonblocking(&reader, nonblocking).unwrap();
        assert_eq!((waits(&copy), waits(&writer)), (!nonblocking, true));
    }
}

#[test]
fn a_full_pipe_takes_a_part_and_every_byte_arrives_once_and_in_order() {
    let _watchdog = Watchdog::new();
    let (reader, writer) = nonblocking(Ends::Both).unwrap();
    let sent: Vec<u8> = (0..1 << 20).map(|place: u32| (place % 251) as u8).collect();
    let (mut rest, mut received, mut buf) = (&sent[..], Vec::new(), [0; 3000]);
    while received.len() < sent.len() {
        match (&writer).write(rest) {
            Ok(written) => rest = &rest[written..],
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
        match (&reader).read(&mut buf) {
            Ok(read) => received.extend_from_slice(&buf[..read]),
            Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
        }
    }
    assert!(received == sent);
}

#[test]
fn a_write_without_a_reader_is_a_broken_pipe() {
    let _watchdog = Watchdog::new();
    for pair in [pipe(), nonblocking(Ends::Both)] {
        let (reader, mut writer) = pair.unwrap();
        drop(reader);
        let raised = raises_sigpipe(|| assert_eq!(writer.write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe));
        assert!(raised, "a signal, which this process ignores");
    }
}

#[test]
fn an_end_is_another_programs_standard_output() {
    let _watchdog = Watchdog::new();
    let (mut reader, writer) = nonblocking(Ends::Reader).unwrap();
    let mut child = Command::new("echo").arg("from another").stdout(writer).spawn().unwrap();
    assert!(child.wait().unwrap().success());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from another\n");
}

#[test]
fn ends_are_descriptors_that_a_started_program_does_not_inherit() {
    let _watchdog = Watchdog::new();
    let (reader, writer) = nonblocking(Ends::Both).unwrap();
    for end in [reader.as_fd(), writer.as_fd()] {
        assert!(fcntl_getfd(end).unwrap().contains(FdFlags::CLOEXEC));
    }
    let (reader, writer) = (OwnedFd::from(reader), OwnedFd::from(writer));
    let (mut reader, mut writer) = (PipeReader::from(reader), PipeWriter::from(writer));
    writer.write_all(b"still a pipe").unwrap();
    let mut buf = [0; 12];
    reader.read_exact(&mut buf).unwrap();
    assert_eq!(&buf, b"still a pipe");
}

#[test]
fn two_thousand_pipes_and_as_many_failures_leave_no_descriptor() {
    let before = descriptors();
    for _ in 0..2000 {
        for ends in [Ends::Reader, Ends::Writer, Ends::Both] {
            nonblocking(ends).unwrap();
        }
    }
    assert_eq!(descriptors(), before);
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    // Room for one end and not for the other.
    let lowest_free = File::open("/dev/null").unwrap().as_raw_fd();
    setrlimit(Resource::RLIMIT_NOFILE, u64::from(lowest_free.unsigned_abs()) + 1, hard).unwrap();
    let failures = (0..2000).filter(|_| nonblocking(Ends::Both).is_err()).count();
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(failures, 2000);
    assert_eq!(descriptors(), before);
}
