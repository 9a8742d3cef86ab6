//! What the fuzzer `names` runs, and the short tests run over its corpus: bytes become a name, and the name is used.
//!
//! The first byte says what kind of name, the second what it is written as, the others are its text.

use std::{
    collections::BTreeSet,
    ffi::{CStr, CString, OsStr, OsString},
    fs,
    io::{self, ErrorKind, Read, Write},
    os::{
        fd::AsFd,
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            fs::FileTypeExt,
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
    process,
};

use local_socket::{Listener, ListenerOptions, Name, NameText, Stream};

use crate::place::Home;

/// How far an input came, in words: a corpus that no longer comes as far as it should is noticed by that.
pub(crate) type Reached = BTreeSet<String>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Path,
    Abstract,
}

/// The longest name, unix(7).
const LONGEST: usize = 107;

/// Makes a name and uses it. Panics where a promise of `Name` or of `ListenerOptions` is broken.
pub(crate) fn names(home: &Home, bytes: &[u8]) -> Reached {
    let mut reached = Reached::new();
    let [kind, written_as, text @ ..] = bytes else { return reached };
    match kind % 3 {
        0 => {
            if let Some(name) = made(Kind::Path, *written_as, text, home, &mut reached) {
                listen_at(home, &name, &mut reached);
            }
        }
        1 => {
            // Behind it, what keeps it apart from the names of everybody else.
            let apart = [text, format!(".{:x}", process::id()).as_bytes()].concat();
            made(Kind::Abstract, *written_as, text, home, &mut reached);
            if let Some(name) = made(Kind::Abstract, *written_as, &apart, home, &mut reached) {
                listen_under(&name, &apart);
                reached.insert("abstract".into());
            }
        }
        _ => {
            let absolute = [home.work().as_os_str().as_bytes(), b"/", text].concat();
            if let Some(name) = made(Kind::Path, *written_as, &absolute, home, &mut reached) {
                reached.insert("absolute".into());
                listen_at(home, &name, &mut reached);
            }
        }
    }
    reached
}

/// The name of this text, if there is one, after seeing that it is what it should be.
fn made(kind: Kind, written_as: u8, text: &[u8], home: &Home, reached: &mut Reached) -> Option<Name> {
    let name = match written_as % 8 {
        0 => name(kind, str::from_utf8(text).ok()?),
        1 => name(kind, String::from_utf8(text.to_vec()).ok()?),
        2 => name(kind, OsStr::from_bytes(text)),
        3 => name(kind, OsString::from(OsStr::from_bytes(text))),
        4 => name(kind, Path::new(OsStr::from_bytes(text))),
        5 => name(kind, PathBuf::from(OsStr::from_bytes(text))),
        6 => name(kind, CStr::from_bytes_with_nul(&[text, b"\0"].concat()).ok()?),
        _ => name(kind, CString::new(text).ok()?),
    };
    reached.insert(format!("written as {}", written_as % 8));
    match (name, due(kind, text, home)) {
        (Ok(name), Ok(due)) => {
            check_text(kind, &name, &due);
            Some(name)
        }
        (Err(error), Err(due)) => {
            assert_eq!((error.kind(), error.to_string()), (ErrorKind::InvalidInput, due.clone()));
            reached.insert(due.trim_end_matches(char::is_numeric).into());
            None
        }
        (found, due) => panic!("{found:?} instead of {due:?}"),
    }
}

fn name(kind: Kind, text: impl NameText) -> io::Result<Name> {
    match kind {
        Kind::Path => Name::path(text),
        Kind::Abstract => Name::namespaced(text),
    }
}

/// What the kernel must be told, or what must be said of such a text.
fn due(kind: Kind, text: &[u8], home: &Home) -> Result<Vec<u8>, String> {
    let checked = |text: Vec<u8>| match text.len() {
        0 => Err("the name of a socket cannot be empty".into()),
        _ if text.contains(&0) => Err("the name of a socket cannot have a NUL in it".into()),
        length if length > LONGEST => Err(format!("the name of a socket has at most {LONGEST} bytes, not {length}")),
        _ => Ok(text),
    };
    let text = checked(text.to_vec())?;
    if kind == Kind::Path
        && [&b""[..], b".", b".."].contains(&text.split(|byte| *byte == b'/').next_back().unwrap_or(b""))
    {
        return Err("the path of a socket ends in the name of a file".into());
    }
    let bare = kind == Kind::Path && !text.contains(&b'/');
    if bare { checked([home.runtime().as_os_str().as_bytes(), b"/", &text].concat()) } else { Ok(text) }
}

/// The name gives back what it was made of, and can be shown.
fn check_text(kind: Kind, name: &Name, due: &[u8]) {
    let shown = name.to_string();
    assert_eq!(format!("{name:?}"), format!("Name({shown})"));
    assert_eq!(name.clone(), *name);
    let path = name.as_path().map(|path| path.as_os_str().as_bytes());
    match kind {
        Kind::Path => assert_eq!((path, &*shown), (Some(due), &*String::from_utf8_lossy(due))),
        Kind::Abstract => {
            assert_eq!(path, None);
            assert_eq!(shown, format!("@{}", due.escape_ascii()));
            assert!(shown.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{shown:?}");
        }
    }
}

fn listen(name: &Name) -> io::Result<Listener> {
    ListenerOptions::new(name.clone()).create_sync()
}

/// A name in the abstract namespace: the kernel has exactly these bytes, at both ends.
fn listen_under(name: &Name, due: &[u8]) {
    let listener = listen(name).expect("nobody else has this name");
    let copy = UnixListener::from(listener.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert_eq!(copy.local_addr().expect("getsockname(2)").as_abstract_name(), Some(due));
    assert_eq!(listen(name).expect_err("it is taken").kind(), ErrorKind::AddrInUse);
    let client = Stream::connect(name.clone()).expect("somebody listens");
    let copy = UnixStream::from(client.as_fd().try_clone_to_owned().expect("a descriptor"));
    assert_eq!(copy.peer_addr().expect("getpeername(2)").as_abstract_name(), Some(due));
    talk(&listener, client);
    drop(listener);
    assert_eq!(Stream::connect(name.clone()).expect_err("it is free").kind(), ErrorKind::ConnectionRefused);
}

/// A byte in either direction, between the client and what is accepted.
fn talk(listener: &Listener, mut client: impl Read + Write) {
    let mut server = listener.accept().expect("a client waits");
    let mut byte = [0];
    client.write_all(b"a").expect("room for a byte");
    server.read_exact(&mut byte).expect("a byte");
    server.write_all(b"b").expect("room for a byte");
    client.read_exact(&mut byte).expect("a byte");
    assert_eq!(&byte, b"b");
}

/// A path: there is a socket at it while the listener lives, and nothing else ever changes.
fn listen_at(home: &Home, name: &Name, reached: &mut Reached) {
    home.bury();
    let path = name.as_path().expect("a path");
    let leads_out = |path: &Path| path.exists() && !home.has(path);
    let (directory, last) = split(path);
    if [path, path.parent().unwrap_or(path), directory].into_iter().any(leads_out) {
        reached.insert("outside".into());
        return;
    }
    let before = home.everything();
    let due = due_at(directory, last);
    match (listen(name), due) {
        (Ok(listener), Ok(at)) => {
            let (mut while_bound, mut after) = (home.everything(), before.clone());
            let ours = while_bound.remove(&at).expect("a socket at the path");
            after.remove(&at);
            assert_eq!(ours.0 & 0o170_000, 0o140_000, "a socket, inode(7)");
            assert_eq!(while_bound, after);
            talk(&listener, Stream::connect(name.clone()).expect("somebody listens"));
            talk(&listener, UnixStream::connect(path).expect("somebody listens"));
            assert_eq!(listen(name).expect_err("it is taken").kind(), ErrorKind::AddrInUse);
            drop(listener);
            assert_eq!(home.everything(), after);
            let bare = path.parent() == Some(&home.runtime());
            let said = if before.contains_key(&at) { "a dead socket" } else { "a free path" };
            reached.insert(if bare { "a bare name" } else { said }.into());
        }
        (Err(error), Err(due)) => {
            assert!(due.contains(&error.kind()), "{error:?} instead of {due:?}");
            reached.insert(format!("{:?}", error.kind()));
            // Whatever comes of it.
            let _ = Stream::connect(name.clone());
            assert_eq!(home.everything(), before);
        }
        (found, due) => panic!("{found:?} instead of {due:?}"),
    }
}

/// The directory and the last component as the kernel sees them, path_resolution(7).
fn split(path: &Path) -> (&Path, &[u8]) {
    let path = path.as_os_str().as_bytes();
    let slash = path.iter().rposition(|byte| *byte == b'/').expect("no bare name");
    (Path::new(OsStr::from_bytes(&path[..=slash])), &path[slash + 1..])
}

/// Where a socket must come to lie, or the errors of which one must come.
fn due_at(directory: &Path, last: &[u8]) -> Result<PathBuf, Vec<ErrorKind>> {
    use ErrorKind::*;
    let Ok(real) = directory.canonicalize() else { return Err(vec![NotFound, NotADirectory]) };
    let at = real.join(OsStr::from_bytes(last));
    match fs::symlink_metadata(&at) {
        Err(_) => Ok(at),
        Ok(there) if !there.file_type().is_socket() => Err(vec![AlreadyExists]),
        Ok(_) if last == b"dead" => Ok(at),
        Ok(_) => Err(vec![AddrInUse]),
    }
}
