//! The meeting of a parent and its child.

use std::{
    env, fs,
    io::ErrorKind,
    os::{
        fd::AsFd,
        unix::{
            fs::{FileTypeExt, PermissionsExt},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use local_socket::{Bootstrapper, Error, RawReceiver, Receiver, Sender, channel};
use serde::{Deserialize, Serialize};

use crate::{
    by_hand::{lingering, traced},
    rig::{Directory, HANG, Peer, Watchdog, descriptors, hear, say, taking},
    start_as_nobody,
};

const TIME: Duration = Duration::from_millis(50);
const PATH: &str = "LOCAL_SOCKET_TEST_PATH";

#[derive(Debug, Serialize, Deserialize)]
enum Task {
    Sum(Vec<i64>, Sender<i64>),
    Shutdown,
}

/// The path comes by the environment, where it may be any bytes.
pub(crate) fn adding_up(_: &str) {
    let receiver = Receiver::<Task>::connect(env::var_os(PATH).unwrap()).unwrap();
    loop {
        match receiver.recv().unwrap() {
            Task::Sum(numbers, sum) => sum.send(numbers.iter().sum()).unwrap(),
            Task::Shutdown => return,
        }
    }
}

fn child(path: &Path) -> Peer {
    Peer::start_with(&env::current_exe().unwrap(), "adding up", &[""], |command| {
        command.env(PATH, path);
    })
}

fn meet(bootstrapper: Bootstrapper<Task>) {
    let path = bootstrapper.path().to_owned();
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_socket());
    let child = child(&path);
    let (sum, sums) = channel().unwrap();
    bootstrapper.send(Task::Sum(vec![23, 42], sum.clone())).unwrap();
    assert_eq!(sums.recv().unwrap(), 65);
    assert!(!path.exists(), "gone once the child is there");
    bootstrapper.send(Task::Sum(vec![-1; 100_000], sum)).unwrap();
    assert_eq!(sums.recv().unwrap(), -100_000);
    bootstrapper.send(Task::Shutdown).unwrap();
    child.succeeds();
    let error = bootstrapper.send(Task::Shutdown).unwrap_err();
    assert!(matches!((&error.error, error.value), (Error::Closed, Task::Shutdown)), "{:?}", error.error);
}

#[test]
fn one_child_gets_several_values_and_answers_and_nothing_is_left() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let bootstrapper = Bootstrapper::new().unwrap();
    let directory = bootstrapper.path().parent().unwrap().to_owned();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o7777, 0o700);
    meet(bootstrapper);
    assert!(!directory.exists());
    let directory = Directory::new();
    meet(Bootstrapper::bind(directory.path("socket")).unwrap());
    assert_eq!(directory.names(), [""; 0]);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_bootstrapper_that_is_dropped_leaves_nothing() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let (one, other) = (Bootstrapper::<u8>::new().unwrap(), Bootstrapper::<u8>::new().unwrap());
    let directories = [&one, &other].map(|one| one.path().parent().unwrap().to_owned());
    assert_ne!(directories[0], directories[1]);
    drop(one);
    assert!(!directories[0].exists() && directories[1].exists());
    drop(other);
    assert!(!directories[1].exists());
    let directory = Directory::new();
    drop(Bootstrapper::<u8>::bind(directory.path("socket")).unwrap());
    assert_eq!(directory.names(), [""; 0]);
    assert_eq!(descriptors(), before);
}

#[test]
fn a_child_that_does_not_come_is_waited_for_as_long_as_asked_for_and_may_still_come() {
    let _watchdog = Watchdog::new();
    let mut bootstrapper = Bootstrapper::new().unwrap();
    bootstrapper.set_timeout(TIME);
    let (fd, trace) = traced();
    let (sum, sums) = channel().unwrap();
    let error = taking(TIME, || bootstrapper.send(Task::Sum(vec![1], sum)).unwrap_err());
    assert!(matches!(error.error, Error::TimedOut), "{:?}", error.error);
    let error_value = error.value;
    assert!(bootstrapper.path().exists());
    bootstrapper.set_timeout(Duration::from_secs(20));
    let child = child(bootstrapper.path());
    bootstrapper.send(error_value).unwrap();
    assert_eq!(sums.recv().unwrap(), 1);
    bootstrapper.send(Task::Shutdown).unwrap();
    child.succeeds();

    let mut bootstrapper = Bootstrapper::new().unwrap();
    bootstrapper.set_timeout(Duration::ZERO);
    let error = bootstrapper.send(local_socket::Handle::new(fd)).unwrap_err();
    assert!(matches!(error.error, Error::TimedOut) && trace.is_open());
    let directory = bootstrapper.path().parent().unwrap().to_owned();
    drop((bootstrapper, error));
    assert!(!directory.exists() && !trace.is_open());
}

pub(crate) fn connecting_and_leaving(path: &str) {
    drop(RawReceiver::connect(path).unwrap());
    say("left");
}

#[test]
fn a_child_that_connects_and_dies_is_closed() {
    let _watchdog = Watchdog::new();
    let mut bootstrapper = Bootstrapper::<u8>::new().unwrap();
    bootstrapper.set_timeout(HANG * TIME);
    let path = bootstrapper.path().to_str().unwrap().to_owned();
    let mut peer = Peer::start("connecting and leaving", &[&path]);
    assert_eq!(peer.line(), "left");
    peer.succeeds();
    let error = bootstrapper.send(7).unwrap_err();
    assert!(matches!((&error.error, error.value), (Error::Closed, 7)), "{:?}", error.error);
    assert!(!bootstrapper.path().parent().unwrap().exists());
}

#[test]
fn what_a_child_writes_into_its_own_end_goes_nowhere() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<u32>::new().unwrap();
    let receiver = Receiver::<u32>::connect(bootstrapper.path()).unwrap();
    bootstrapper.send(7).unwrap();
    let error = fdpass::send_fds(&receiver, b"x", &[receiver.as_fd()]).unwrap_err();
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::BrokenPipe);
    assert_eq!(receiver.recv().unwrap(), 7);
}

#[test]
fn threads_that_share_a_bootstrapper_share_its_deadline() {
    let _watchdog = Watchdog::new();
    let mut bootstrapper = Bootstrapper::<usize>::new().unwrap();
    bootstrapper.set_timeout(TIME);
    let end = || assert!(matches!(bootstrapper.send(7).unwrap_err().error, Error::TimedOut));
    taking(TIME, || thread::scope(|scope| (0..2 * HANG).for_each(|_| drop(scope.spawn(end)))));
}

#[test]
fn threads_that_send_the_first_value_at_once_meet_one_child() {
    let _watchdog = Watchdog::new();
    let bootstrapper = Bootstrapper::<u32>::new().unwrap();
    thread::scope(|scope| {
        for value in 0..4 {
            let bootstrapper = &bootstrapper;
            scope.spawn(move || bootstrapper.send(value).unwrap());
        }
        let receiver = Receiver::<u32>::connect(bootstrapper.path()).unwrap();
        let mut values = [0; 4].map(|_| receiver.recv().unwrap());
        values.sort_unstable();
        assert_eq!(values, [0, 1, 2, 3]);
    });
}

/// Connects to where somebody else waits, and says what came.
pub(crate) fn stranger(path: &str) {
    let receiver = match Receiver::<u8>::connect(path) {
        Ok(receiver) => receiver,
        Err(error) => return say(format!("{:?}", error.kind())),
    };
    // What would hold up whoever closes it.
    let (slow, _reader) = lingering();
    let error = fdpass::send_fds(&receiver, b"x", &[slow.as_fd()]).err();
    drop(slow);
    assert!(error.is_none(), "{error:?}");
    say("connected");
    hear();
    say(format!("{:?}", receiver.recv()));
}

#[test]
fn a_process_of_another_user_gets_nothing() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let text = path.to_str().unwrap();
    let mut bootstrapper = Bootstrapper::<u8>::bind(&path).unwrap();
    // It may enter, as the mode of the directory and the socket say.
    let Some(mut stranger) = start_as_nobody(&directory, "stranger", &[text]) else { return };
    assert_eq!(stranger.line(), "PermissionDenied");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    drop(stranger);
    let mut stranger = start_as_nobody(&directory, "stranger", &[text]).unwrap();
    assert_eq!(stranger.line(), "connected");
    bootstrapper.set_timeout(TIME);
    let error = taking(TIME, || bootstrapper.send(7).unwrap_err());
    assert!(matches!(error.error, Error::TimedOut), "{:?}", error.error);
    stranger.tell();
    assert_eq!(stranger.line(), "Err(EndOfFile)");
    stranger.succeeds();
    // One's own child is still waited for, behind another stranger.
    bootstrapper.set_timeout(Duration::from_secs(20));
    let mut stranger = start_as_nobody(&directory, "stranger", &[text]).unwrap();
    assert_eq!(stranger.line(), "connected");
    let receiver = Receiver::<u8>::connect(&path).unwrap();
    bootstrapper.send(8).unwrap();
    assert_eq!(receiver.recv().unwrap(), 8);
    stranger.tell();
    assert_eq!(stranger.line(), "Err(EndOfFile)");
    stranger.succeeds();

    let private = Bootstrapper::<u8>::new().unwrap();
    let mut stranger = start_as_nobody(&directory, "stranger", &[private.path().to_str().unwrap()]).unwrap();
    assert_eq!(stranger.line(), "PermissionDenied");
}

#[test]
fn what_lies_at_the_path_is_left_there() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let directory = Directory::new();
    fs::write(directory.path("file"), "contents").unwrap();
    fs::create_dir(directory.path("directory")).unwrap();
    drop(UnixListener::bind(directory.path("dead")).unwrap());
    let live = Bootstrapper::<u8>::bind(directory.path("live")).unwrap();
    for name in ["file", "directory", "dead", "live"] {
        let error = Bootstrapper::<u8>::bind(directory.path(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{name}");
    }
    assert_eq!(Bootstrapper::<u8>::bind(directory.path("no/folder")).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(directory.names(), ["dead", "directory", "file", "live"]);
    assert_eq!(fs::read_to_string(directory.path("file")).unwrap(), "contents");
    drop(live);
    assert_eq!(directory.names(), ["dead", "directory", "file"]);
    assert_eq!(descriptors(), before);
}

#[test]
fn what_somebody_else_has_put_at_the_path_meanwhile_is_left_there() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let bootstrapper = Bootstrapper::<u8>::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    drop(bootstrapper);
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
    fs::remove_file(&path).unwrap();
    let bootstrapper = Bootstrapper::<u8>::bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let other = UnixListener::bind(&path).unwrap();
    drop(bootstrapper);
    assert!(path.exists(), "another's socket");
    drop(other);
}

#[test]
fn where_nobody_waits_nobody_can_connect() {
    let _watchdog = Watchdog::new();
    let before = descriptors();
    let directory = Directory::new();
    let kind = |path: PathBuf| RawReceiver::connect(path).unwrap_err().kind();
    assert_eq!(kind(directory.path("nothing")), ErrorKind::NotFound);
    drop(UnixListener::bind(directory.path("dead")).unwrap());
    assert_eq!(kind(directory.path("dead")), ErrorKind::ConnectionRefused);
    fs::write(directory.path("file"), "").unwrap();
    assert_eq!(kind(directory.path("file")), ErrorKind::ConnectionRefused);
    let stream = UnixListener::bind(directory.path("stream")).unwrap();
    let error = RawReceiver::connect(directory.path("stream")).unwrap_err();
    assert!(error.to_string().ends_with("/stream: Protocol wrong type for socket (os error 91)"), "{error}");
    drop(stream);
    assert_eq!(kind(directory.path(&"x".repeat(200))), ErrorKind::InvalidInput);
    assert_eq!(descriptors(), before);
}

/// Makes a bootstrapper, and says how that went.
pub(crate) fn starting_at() {
    say(match Bootstrapper::<u8>::new() {
        Ok(bootstrapper) => bootstrapper.path().display().to_string(),
        Err(error) => format!("{:?}: {error}", error.kind()),
    });
}

#[test]
fn the_meeting_point_lies_in_the_runtime_directory_or_where_temporary_files_are() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let make = |name: &str, mode| {
        let path = directory.path(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    };
    let (runtime, temporary, open) = (make("runtime", 0o700), make("temporary", 0o755), make("open", 0o755));
    let started_at = |runtime: &Path, temporary: &Path| {
        let mut peer = Peer::start_with(&env::current_exe().unwrap(), "starting at", &[], |command| {
            command.env("XDG_RUNTIME_DIR", runtime).env("TMPDIR", temporary);
        });
        let line = peer.line();
        peer.succeeds();
        line
    };
    let at = |directory: &Path| format!("{}/local-socket-", directory.display());
    assert!(started_at(&runtime, &temporary).starts_with(&at(&runtime)));
    assert!(started_at(&open, &temporary).starts_with(&at(&temporary)), "others may enter that one");
    assert!(started_at(&directory.path("none"), &temporary).starts_with(&at(&temporary)));
    let long = make(&"long".repeat(25), 0o700);
    let too_long = "InvalidInput: the name of a socket has at most 107 bytes, not ";
    for (runtime, temporary) in [(&long, &temporary), (&open, &long)] {
        let line = started_at(runtime, temporary);
        assert!(line.starts_with(too_long), "{line}");
    }
    let line = started_at(&open, &directory.path("none"));
    assert!(line.starts_with("NotFound"), "{line}");
    for directory in [&runtime, &temporary, &open, &long] {
        assert_eq!(fs::read_dir(directory).unwrap().count(), 0, "{}", directory.display());
    }
}
