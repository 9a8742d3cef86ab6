//! Names, and what is none.

use std::{
    borrow::Cow,
    ffi::{CStr, CString, OsStr, OsString},
    fs,
    io::ErrorKind,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use local_socket::{IntoName, ListenerOptions, Name, NameText, Stream};

use crate::rig::{Directory, Peer, Watchdog, say};

#[test]
fn whatever_a_name_is_written_as_it_is_the_same_name() {
    fn check(text: impl NameText + Copy) {
        assert_eq!(Name::path(text).unwrap().as_path(), Some(Path::new("./name")));
        assert_eq!(text.into_name().unwrap(), Name::path("./name").unwrap());
        assert_eq!(Name::namespaced(text).unwrap(), Name::namespaced("./name").unwrap());
    }
    check("./name");
    check(&String::from("./name"));
    check(OsStr::new("./name"));
    check(&OsString::from("./name"));
    check(Path::new("./name"));
    check(&PathBuf::from("./name"));
    check(c"./name");
    check(&CString::from(c"./name"));
    assert_eq!(Name::path(String::from("./name")).unwrap(), Name::path(PathBuf::from("./name")).unwrap());
    assert_eq!(Name::path(CString::from(c"./name")).unwrap(), Name::path(OsString::from("./name")).unwrap());
    check(&Box::<Path>::from(Path::new("./name")));
    check(&Cow::from(Path::new("./name")));
    check(&Cow::<str>::from(String::from("./name")));
    let mut owned = PathBuf::from("./name");
    let borrowed: &mut PathBuf = &mut owned;
    assert_eq!(Name::path(borrowed).unwrap().as_path(), Some(Path::new("./name")));
    for name in [Name::path("./name").unwrap(), Name::namespaced("name").unwrap()] {
        assert_eq!((&name).into_name().unwrap(), name.clone().into_name().unwrap());
    }
}

#[test]
fn a_bad_name_is_told_what_is_wrong_with_it() {
    type Make = fn(&[u8]) -> std::io::Result<Name>;
    let makes: [Make; 2] =
        [|name| Name::path(OsStr::from_bytes(name)), |name| Name::namespaced(OsStr::from_bytes(name))];
    let mut long = [b'n'; 108];
    long[..2].fill(b'/');
    for make in makes {
        let refused = |name: &[u8]| {
            let error = make(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            error.to_string()
        };
        assert_eq!(refused(b""), "the name of a socket cannot be empty");
        assert_eq!(refused(b"/nul\0inside"), "the name of a socket cannot have a NUL in it");
        assert_eq!(refused(b"\0"), "the name of a socket cannot have a NUL in it");
        assert_eq!(refused(&long), "the name of a socket has at most 107 bytes, not 108");
        assert_eq!(refused(&[b'/'; 70_000]), "the name of a socket has at most 107 bytes, not 70000");
        make(&long[1..]).unwrap();
    }
    for path in ["/", "folder/", "./link/.", "folder/..", ".", ".."] {
        let error = Name::path(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "the path of a socket ends in the name of a file", "{path}");
    }
    assert_eq!(Name::path(<&CStr>::default()).unwrap_err().to_string(), "the name of a socket cannot be empty");
}

#[test]
fn the_longest_names_work() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    // The name that is taken beside the path is longer than the shortest, and shorter than the longest.
    for length in [1, 5, 40] {
        let between = 107 - directory.as_ref().as_os_str().len() - length - 2;
        let folder = directory.path(&"d".repeat(between));
        fs::create_dir(&folder).unwrap();
        let path = folder.join("s".repeat(length));
        assert_eq!(path.as_os_str().len(), 107);
        assert_eq!(Name::path(&path).unwrap().as_path(), Some(&*path));
        let listener = ListenerOptions::new(Name::path(&path).unwrap()).mode(0o600).create_sync().unwrap();
        Stream::connect(Name::path(&path).unwrap()).unwrap();
        assert_eq!(fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        drop(listener);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }
    let name = Name::namespaced(format!("{:x>107}", std::process::id())).unwrap();
    let _listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
    Stream::connect(name).unwrap();
}

#[test]
fn every_byte_of_an_abstract_name_counts() {
    let _watchdog = Watchdog::new();
    let mut text = crate::rig::unique().into_bytes();
    text.extend([b'/', b'x', 0xff, b'\n']);
    let make = |text: &[u8]| Name::namespaced(OsStr::from_bytes(text)).unwrap();
    let _listener = ListenerOptions::new(make(&text)).create_sync().unwrap();
    Stream::connect(make(&text)).unwrap();
    text.pop();
    assert_eq!(Stream::connect(make(&text)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn names_can_be_read() {
    let path = Name::path("/tmp/x y").unwrap();
    assert_eq!((path.to_string(), format!("{path:?}")), ("/tmp/x y".into(), "Name(/tmp/x y)".into()));
    let name = Name::namespaced(OsStr::from_bytes(b"a\n\xff")).unwrap();
    assert_eq!((name.to_string(), name.as_path()), (r"@a\n\xff".into(), None));
}

/// Says where a bare name leads, or why it does not.
pub(crate) fn bare(name: &str) {
    match Name::path(name) {
        Err(error) => say(format!("{:?}: {error}", error.kind())),
        Ok(name) => {
            let _listener = ListenerOptions::new(name.clone()).create_sync().unwrap();
            say(&name);
            Stream::connect(name).unwrap();
        }
    }
}

fn bare_with(runtime: Option<&Path>) -> String {
    let program = std::env::current_exe().unwrap();
    let mut peer = Peer::start_with(&program, "bare", &["local-socket.bare"], |command| {
        match runtime {
            Some(runtime) => command.env("XDG_RUNTIME_DIR", runtime),
            None => command.env_remove("XDG_RUNTIME_DIR"),
        };
    });
    let line = peer.line();
    peer.succeeds();
    line
}

#[test]
fn a_bare_name_lies_in_the_users_runtime_directory() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let set = |mode| fs::set_permissions(&directory, fs::Permissions::from_mode(mode)).unwrap();
    set(0o700);
    let expected = directory.path("local-socket.bare");
    assert_eq!(bare_with(Some(directory.as_ref())), expected.to_str().unwrap());
    assert_eq!(directory.names(), [""; 0]);

    set(0o755);
    let line = bare_with(Some(directory.as_ref()));
    assert!(line.starts_with("PermissionDenied") && line.contains("has mode 0755"), "{line}");
    let line = bare_with(Some(&directory.path("none")));
    assert!(line.starts_with("NotFound") && line.contains("./name"), "{line}");
    let line = bare_with(Some(Path::new("relative")));
    assert!(line.starts_with("InvalidInput") && line.contains("not an absolute path"), "{line}");
    let long = directory.path(&"d".repeat(100));
    fs::create_dir(&long).unwrap();
    fs::set_permissions(&long, fs::Permissions::from_mode(0o700)).unwrap();
    let line = bare_with(Some(&long));
    assert!(line.starts_with("InvalidInput") && line.contains("at most 107 bytes"), "{line}");

    let line = bare_with(None);
    let standard = format!("/run/user/{}", rustix::process::geteuid().as_raw());
    let ours = fs::metadata(&standard).is_ok_and(|directory| directory.permissions().mode() & 0o777 == 0o700);
    assert_eq!(line == format!("{standard}/local-socket.bare"), ours, "{line}");
    assert!(ours || line.contains("./name"), "{line}");
}
