//! Another implementation at the other end: Python's `socket` module.

use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
};

use local_socket::{ListenerOptions, Stream};

use crate::rig::{Directory, Watchdog, both_kinds, name, skipped};

/// Runs a program that has the address as `address`; `None`, with a message, where there is no Python.
fn python(kind: &str, text: &str, program: &str) -> Option<Child> {
    let address = if kind == "path" { format!("{text:?}") } else { format!("{:?}", format!("\0{text}")) };
    // Rust writes a NUL as Python does not.
    let address = address.replace("\\0", "\\x00");
    let program = format!(
        "import signal, socket\nsignal.alarm(30)\naddress = {address}\ns = socket.socket(socket.AF_UNIX)\n{program}"
    );
    match Command::new("python3").args(["-c", &program]).stdout(Stdio::piped()).spawn() {
        Ok(child) => Some(child),
        Err(error) => {
            skipped(&format!("Python at the other end: {error}"));
            None
        }
    }
}

#[test]
fn python_connects_to_a_server_here() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let listener = ListenerOptions::new(name(kind, &text)).create_sync().unwrap();
        let program = "s.connect(address)\ns.sendall(b'x' * 300000)\ns.shutdown(socket.SHUT_WR)\n\
             got = b''\nwhile part := s.recv(65536): got += part\nassert got == b'y' * 300000\n";
        let Some(mut child) = python(kind, &text, program) else { return };
        let mut stream = listener.accept().unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(received == [b'x'; 300_000]);
        stream.write_all(&[b'y'; 300_000]).unwrap();
        drop(stream);
        assert!(child.wait().unwrap().success());
    }
}

#[test]
fn a_client_here_connects_to_a_server_in_python() {
    let directory = Directory::new();
    for (kind, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let program = "s.bind(address)\ns.listen()\nprint('listening', flush=True)\nc, _ = s.accept()\n\
             got = b''\nwhile part := c.recv(65536): got += part\nassert got == b'x' * 300000\nc.sendall(b'y' * 300000)\n";
        let Some(mut child) = python(kind, &text, program) else { return };
        child.stdout.take().unwrap().read_exact(&mut [0; 10]).unwrap();
        let mut stream = Stream::connect(name(kind, &text)).unwrap();
        stream.write_all(&[b'x'; 300_000]).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut received = Vec::new();
        stream.read_to_end(&mut received).unwrap();
        assert!(received == [b'y'; 300_000]);
        assert!(child.wait().unwrap().success());
    }
}
