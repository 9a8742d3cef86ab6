//! Paths to listen at: a dead server's path is taken over, a live one's only if asked for, and nothing else is touched.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind, Read},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
        process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed},
    thread,
    time::Duration,
};

use local_socket::{Listener, ListenerOptions, Name, Stream};
use rustix::{
    fs::{CWD, FileType, FlockOperation, Mode, flock, mknodat},
    net::{self, AddressFamily, SocketAddrUnix, SocketType},
    process::{geteuid, umask},
};

use crate::rig::{Directory, Peer, Watchdog, both_kinds, hear, name, say, skipped, taking, unique};

const TIME: Duration = Duration::from_millis(100);

fn at(path: &Path) -> ListenerOptions {
    ListenerOptions::new(Name::path(path).unwrap())
}

fn kind<T>(result: io::Result<T>) -> ErrorKind {
    result.err().expect("not refused").kind()
}

fn stale(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

fn assert_reachable(listener: &Listener, name: Name) {
    let client = Stream::connect(name).unwrap();
    let reached = listener.accept().unwrap();
    drop(client);
    assert_eq!((&reached).read(&mut [0]).unwrap(), 0);
}

#[test]
fn the_path_of_a_killed_server_is_taken_over() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let mut peer = Peer::start("server", &["path", path.to_str().unwrap()]);
    assert_eq!(peer.line(), "listening");
    peer.kill();
    assert_eq!(directory.names(), ["socket"], "what a killed server leaves");
    let listener = at(&path).create_sync().unwrap();
    assert_reachable(&listener, directory.name("socket"));
    assert_eq!(directory.names(), ["socket"], "nothing lies beside it");
    drop(listener);
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn a_second_server_fails_and_harms_nobody() {
    let directory = Directory::new();
    for (kind_of_name, text) in both_kinds(&directory) {
        let _watchdog = Watchdog::new();
        let mut peer = Peer::start("server", &[kind_of_name, &text]);
        assert_eq!(peer.line(), "listening");
        let before = directory.names();
        let other = ListenerOptions::new(name(kind_of_name, format!("{text}.mine")));
        let listener = other.create_sync().unwrap();
        assert_eq!(kind(other.create_sync()), ErrorKind::AddrInUse);
        assert_eq!(kind(listener.accept_timeout(Duration::ZERO)), ErrorKind::TimedOut, "nobody bothers it");
        drop(listener);
        assert_eq!(kind(ListenerOptions::new(name(kind_of_name, &text)).create_sync()), ErrorKind::AddrInUse);
        assert_eq!(directory.names(), before);
        Stream::connect(name(kind_of_name, &text)).unwrap();
        assert_eq!(peer.line(), "accepted");
    }
}

#[test]
fn a_live_server_is_displaced_by_one_who_asks_for_it() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let mut peer = Peer::start("server", &["path", path.to_str().unwrap()]);
    assert_eq!(peer.line(), "listening");
    let mut client = Stream::connect(directory.name("socket")).unwrap();
    assert_eq!(peer.line(), "accepted");
    let start = std::time::Instant::now();
    let listener = at(&path).try_overwrite(true).create_sync().unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "within its bound");
    assert_reachable(&listener, directory.name("socket"));
    assert_eq!(directory.names(), ["socket"]);
    // The other still serves whom it has, and takes nothing with it when it goes.
    client.set_nonblocking(true).unwrap();
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    peer.tell();
    peer.succeeds();
    assert_reachable(&listener, directory.name("socket"));
    drop(listener);
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn of_many_who_displace_each_other_the_clients_always_reach_one() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let first = at(&path).create_sync().unwrap();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let displacing = || {
            let listeners: Vec<_> = (0..100).map(|_| at(&path).try_overwrite(true).create_sync().unwrap()).collect();
            over.store(true, Relaxed);
            listeners
        };
        let servers: Vec<_> = (0..2).map(|_| scope.spawn(displacing)).collect();
        while !over.load(Relaxed) {
            Stream::connect(Name::path(&path).unwrap()).expect("somebody listens");
        }
        let listeners: Vec<_> = servers.into_iter().flat_map(|server| server.join().unwrap()).collect();
        assert_eq!(directory.names(), ["socket"]);
        drop(listeners);
    });
    drop(first);
    assert_eq!(directory.names(), [""; 0], "the last one took it along");
}

#[test]
fn of_many_who_find_a_dead_socket_one_takes_its_place() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    for _ in 0..200 {
        stale(&path);
        let results: Vec<_> = thread::scope(|scope| {
            let servers: Vec<_> = (0..4).map(|_| scope.spawn(|| at(&path).create_sync())).collect();
            servers.into_iter().map(|server| server.join().unwrap()).collect()
        });
        let (took, refused): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(took.len(), 1);
        refused.into_iter().for_each(|result| assert_eq!(kind(result), ErrorKind::AddrInUse));
        let listener = took.into_iter().flatten().next().unwrap();
        assert_reachable(&listener, directory.name("socket"));
        drop(listener);
        assert_eq!(directory.names(), [""; 0]);
    }
}

#[test]
fn a_server_that_has_bound_its_socket_and_does_not_listen_yet_is_not_displaced() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let socket = net::socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    net::bind(&socket, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    assert_eq!(kind(at(&path).create_sync()), ErrorKind::AddrInUse);
    net::listen(&socket, 1).unwrap();
    Stream::connect(directory.name("socket")).unwrap();
    assert_eq!(directory.names(), ["socket"]);
}

#[test]
fn nobody_is_displaced_in_the_abstract_namespace() {
    let _watchdog = Watchdog::new();
    let name = Name::namespaced(unique()).unwrap();
    let options = ListenerOptions::new(name.clone()).try_overwrite(true);
    let listener = options.create_sync().unwrap();
    let error = options.create_sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    let why = "another process has this name, and cannot be displaced in the abstract namespace";
    assert_eq!(error.to_string(), format!("{name}: {why}"));
    drop(listener);
    options.create_sync().unwrap();
}

#[test]
fn what_is_not_a_socket_is_refused_and_untouched() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let [file, folder, link, dangling, fifo, live] =
        ["file", "folder", "link", "dangling", "fifo", "to live"].map(|name| directory.path(name));
    fs::write(&file, "contents").unwrap();
    fs::create_dir(&folder).unwrap();
    // Where they lead to are sockets, which alone would be replaced.
    let dead = directory.path("dead");
    stale(&dead);
    symlink(&dead, &link).unwrap();
    let _live = at(&directory.path("live")).create_sync().unwrap();
    symlink(directory.path("live"), &live).unwrap();
    symlink(directory.path("nowhere"), &dangling).unwrap();
    mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let seen = || {
        let status = |name: String| {
            let status = fs::symlink_metadata(directory.path(&name)).unwrap();
            (name, status.ino(), status.mode())
        };
        directory.names().into_iter().map(status).collect::<Vec<_>>()
    };
    let before = seen();
    for path in [&file, &folder, &link, &dangling, &fifo, &live] {
        for overwrite in [false, true] {
            let error = at(path).mode(0o666).try_overwrite(overwrite).create_sync().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{path:?}");
        }
    }
    assert_eq!(seen(), before);
    assert_eq!(fs::read_to_string(&file).unwrap(), "contents");
}

/// The kind and the text of an error that names `path`.
fn shown(error: &io::Error, path: &str) -> String {
    format!("{:?}: {}", error.kind(), error.to_string().strip_prefix(&format!("{path}: ")).unwrap())
}

/// Tries to listen, and says how that went.
pub(crate) fn bind(path: &str) {
    for overwrite in [false, true] {
        say(match at(Path::new(path)).try_overwrite(overwrite).create_sync() {
            Ok(_) => "listening".to_owned(),
            Err(error) => shown(&error, path),
        });
    }
}

#[test]
fn what_is_somebody_elses_is_left_to_them() {
    let _watchdog = Watchdog::new();
    if !geteuid().is_root() {
        return skipped("files of other users: only root can make some");
    }
    const NOBODY: u32 = 65534;
    let directory = Directory::new();
    fs::set_permissions(&directory, Permissions::from_mode(0o1777)).unwrap();
    let path = directory.path("socket");
    stale(&path);
    chown(&path, Some(NOBODY), None).unwrap();
    let identity = || fs::symlink_metadata(&path).unwrap().ino();
    let before = identity();
    for overwrite in [false, true] {
        let error = at(&path).try_overwrite(overwrite).create_sync().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
        let why = "the socket at this path belongs to another user";
        assert_eq!(error.to_string(), format!("{}: {why}", path.display()));
    }
    assert_eq!((identity(), directory.names()), (before, vec!["socket".to_owned()]));

    // The other way round: somebody without rights, and a dead and a live socket of root's, which he may connect to.
    let program = directory.path("program");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let as_nobody = || {
        let start = |path: &Path| {
            Peer::start_with(&program, "bind", &[path.to_str().unwrap()], |command| {
                command.uid(NOBODY);
            })
        };
        let mut peer = start(&path);
        let lines = [peer.line(), peer.line()];
        peer.succeeds();
        lines
    };
    fs::remove_file(&path).unwrap();
    assert_eq!(as_nobody(), ["listening"; 2], "the directory is everybody's");
    stale(&path);
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    let refused = "PermissionDenied: the socket at this path belongs to another user";
    assert_eq!(as_nobody(), [refused; 2]);
    // One that he may not connect to: nobody can tell him whether it is dead.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    assert_eq!(as_nobody(), [refused; 2]);
    chown(&path, Some(NOBODY), None).unwrap();
    fs::set_permissions(&path, Permissions::from_mode(0o400)).unwrap();
    let unknown =
        "PermissionDenied: the mode of the socket at this path forbids to ask whether a process listens there";
    assert_eq!(as_nobody(), [unknown, "listening"]);
    assert_eq!(directory.names(), ["program"]);
    let listener = at(&path).mode(0o666).create_sync().unwrap();
    assert_eq!(as_nobody(), ["AddrInUse: another process listens at this path", refused]);
    assert_reachable(&listener, directory.name("socket"));
    assert_eq!(directory.names(), ["program", "socket"]);
}

#[test]
fn who_cannot_have_the_lock_says_so_in_time() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let lock = fs::File::open(&directory).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let options = at(&path).max_spin_time(TIME);
    // What is not replaced needs no lock; what may be displaced by anybody does not either.
    drop(taking(TIME, || options.create_sync()).unwrap());
    stale(&path);
    let error = taking(TIME, || options.create_sync()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{error}");
    assert_eq!(directory.names(), ["socket"]);
    let live = taking(TIME, || options.clone().try_overwrite(true).create_sync()).unwrap();
    drop(taking(TIME, || options.clone().try_overwrite(true).create_sync()).unwrap());
    drop(lock);
    drop(live);
    assert_eq!(directory.names(), [""; 0]);
}

/// Under umask 077, and then under none: says when each mode is there to be seen.
pub(crate) fn modes(path: &str) {
    for mask in [0o077, 0] {
        umask(Mode::from_raw_mode(mask));
        for mode in MODES {
            let listener = at(Path::new(path)).mode(mode).create_sync().unwrap();
            assert_eq!(umask(Mode::from_raw_mode(mask)), Mode::from_raw_mode(mask), "the umask is left alone");
            say("listening");
            hear();
            drop(listener);
        }
    }
    let _listener = at(Path::new(path)).create_sync().unwrap();
    umask(Mode::from_raw_mode(0o027));
    let _other = at(Path::new(&format!("{path}.other"))).create_sync().unwrap();
    say("listening");
    hear();
}

const MODES: [u32; 4] = [0o600, 0o666, 0o220, 0o777];

#[test]
fn the_mode_is_the_one_asked_for_whatever_the_umask() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let mut peer = Peer::start("modes", &[path.to_str().unwrap()]);
    for expected in [MODES, MODES].concat() {
        assert_eq!(peer.line(), "listening");
        assert_eq!(mode(&path), expected);
        assert_eq!(directory.names(), ["socket"]);
        peer.tell();
    }
    assert_eq!(peer.line(), "listening");
    assert_eq!([mode(&path), mode(&directory.path("socket.other"))], [0o777, 0o750], "by the umask");
    peer.tell();
    peer.succeeds();
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn no_other_mode_is_ever_seen_at_the_path() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let (over, seen) = (AtomicBool::new(false), AtomicU32::new(0));
    thread::scope(|scope| {
        let watching = scope.spawn(|| {
            while !over.load(Relaxed) {
                if let Ok(status) = fs::symlink_metadata(&path) {
                    assert_eq!(status.mode() & 0o7777, 0o606);
                    seen.fetch_add(1, Relaxed);
                }
            }
        });
        let mut times = 0;
        // On a busy machine the other thread may come late.
        while times < 500 || seen.load(Relaxed) < 10 && !watching.is_finished() {
            drop(at(&path).mode(0o606).create_sync().unwrap());
            times += 1;
        }
        over.store(true, Relaxed);
    });
}

#[test]
fn a_mode_that_cannot_be_had_is_refused() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let name = Name::namespaced(unique()).unwrap();
    let error = ListenerOptions::new(name.clone()).mode(0o600).create_sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(error.to_string(), format!("{name}: a name in the abstract namespace has no mode"));
    let error = at(&directory.path("socket")).mode(0o10000).create_sync().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn a_listener_takes_its_path_with_it_unless_told_otherwise() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    drop(at(&path).create_sync().unwrap());
    assert_eq!(directory.names(), [""; 0]);
    drop(at(&path).reclaim_name(false).create_sync().unwrap());
    assert_eq!(directory.names(), ["socket"]);
    let mut listener = at(&path).create_sync().unwrap();
    listener.do_not_reclaim_name_on_drop();
    drop(listener);
    assert_eq!(directory.names(), ["socket"]);
    assert_eq!(Stream::connect(directory.name("socket")).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_listener_leaves_what_has_taken_its_place() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("socket");
    let first = at(&path).create_sync().unwrap();
    fs::remove_file(&path).unwrap();
    let second = at(&path).create_sync().unwrap();
    drop(first);
    assert_reachable(&second, directory.name("socket"));
    fs::remove_file(&path).unwrap();
    fs::write(&path, "contents").unwrap();
    drop(second);
    assert_eq!(fs::read_to_string(&path).unwrap(), "contents");
}

/// Listens at a relative path, and goes elsewhere.
pub(crate) fn relative(directory: &str) {
    std::env::set_current_dir(directory).unwrap();
    let listener = at(Path::new("./socket")).create_sync().unwrap();
    assert!(Path::new("socket").exists());
    std::env::set_current_dir("/").unwrap();
    drop(listener);
}

#[test]
fn a_relative_path_is_removed_where_it_was_made() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    Peer::start("relative", &[directory.as_ref().to_str().unwrap()]).succeeds();
    assert_eq!(directory.names(), [""; 0]);
}

#[test]
fn a_path_that_leads_nowhere_leaves_nothing_behind() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    assert_eq!(kind(at(&directory.path("no/such/folder")).create_sync()), ErrorKind::NotFound);
    assert_eq!(directory.names(), [""; 0]);
}

/// What `bind` says at `path`, where some system calls fail as they do on other file systems; `None` without strace(1).
fn bind_where(calls_fail: &[&str], path: &Path) -> Option<[String; 2]> {
    let strace = || {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=renameat2,linkat,flock"]);
        command.args(calls_fail.iter().flat_map(|call| ["-e", call]));
        command
    };
    let tried = strace().arg("true").stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        skipped("other file systems: not permitted, or no program `strace`");
        return None;
    }
    let mut command = strace();
    command.arg(std::env::current_exe().unwrap());
    let mut peer = Peer::start_command(command, "bind", &[path.to_str().unwrap()], |_| {}).unwrap();
    let lines = [peer.line(), peer.line()];
    peer.succeeds();
    Some(lines)
}

#[test]
fn a_file_system_without_flags_of_rename_or_without_locks_will_do() {
    let directory = Directory::new();
    let path = directory.path("socket");
    for call_fails in ["inject=renameat2:error=EINVAL", "inject=flock:error=ENOLCK"] {
        let _watchdog = Watchdog::new();
        let Some(lines) = bind_where(&[call_fails], &path) else { return };
        assert_eq!(lines, ["listening"; 2]);
        assert_eq!(directory.names(), [""; 0]);
        let bind = || bind_where(&[call_fails], &path).unwrap();
        stale(&path);
        assert_eq!(bind(), ["listening"; 2]);
        assert_eq!(directory.names(), [""; 0]);
        let listener = at(&path).create_sync().unwrap();
        assert_eq!(bind(), ["AddrInUse: another process listens at this path", "listening"]);
        drop(listener);
        assert_eq!(directory.names(), [""; 0]);
        fs::write(&path, "contents").unwrap();
        assert_eq!(bind(), ["AlreadyExists: something that is not a socket lies at this path"; 2]);
        assert_eq!(fs::read_to_string(&path).unwrap(), "contents");
        assert_eq!(directory.names(), ["socket"]);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_file_system_on_which_no_socket_can_be_put_to_its_path_is_told_of() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let fail = ["inject=renameat2:error=EINVAL", "inject=linkat:error=EPERM"];
    let Some(lines) = bind_where(&fail, &directory.path("socket")) else { return };
    let why = "the file system knows neither RENAME_NOREPLACE nor hard links, without which no socket can be put there";
    assert_eq!(lines, [format!("Unsupported: {why}"), format!("Unsupported: {why}")]);
    assert_eq!(directory.names(), [""; 0]);
}

/// Says what cannot be had: a mode that the umask does not allow, and then a path beside which there is no room.
pub(crate) fn without_proc([path, long]: [&str; 2]) {
    umask(Mode::from_raw_mode(0o077));
    drop(at(Path::new(path)).mode(0o600).create_sync().unwrap());
    for (path, options) in [(path, at(Path::new(path)).mode(0o666)), (long, at(Path::new(long)))] {
        say(shown(&options.create_sync().unwrap_err(), path));
    }
}

#[test]
fn what_cannot_be_had_without_proc_is_said() {
    let _watchdog = Watchdog::new();
    let unshare = |args: &[&str]| {
        let mut command = Command::new("unshare");
        if !geteuid().is_root() {
            // Which may have what root has.
            command.args(["--user", "--map-root-user"]);
        }
        command.args(["--mount", "sh", "-c", "mount -t tmpfs none /proc && exec \"$@\"", "sh"]).args(args);
        command
    };
    let tried = unshare(&["true"]).stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return skipped("a system without /proc: not permitted, or no program `unshare`");
    }
    let directory = Directory::new();
    let path = directory.path("socket");
    let folder = directory.path(&"d".repeat(107 - directory.as_ref().as_os_str().len() - 3));
    fs::create_dir(&folder).unwrap();
    let command = unshare(&[std::env::current_exe().unwrap().to_str().unwrap()]);
    let paths = [path.to_str().unwrap(), folder.join("s").to_str().unwrap()].map(str::to_owned);
    let mut peer = Peer::start_command(command, "without proc", &[&paths[0], &paths[1]], |_| {}).unwrap();
    assert_eq!(peer.line(), "Unsupported: without /proc mounted, the mode of a new file is as the umask makes it");
    assert_eq!(
        peer.line(),
        "Unsupported: without /proc mounted, a path must leave some more bytes for a name beside it"
    );
    peer.succeeds();
    fs::remove_dir(&folder).unwrap();
    assert_eq!(directory.names(), [""; 0]);
}
