//! A machine that is set up otherwise, for this process only: memfds that may not be executable, no /proc, no files at all.
#![allow(unsafe_code, reason = "fork(2) and _exit(2)")]

use std::{fs, panic::catch_unwind};

use ipc_queue::{Options, Support};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, chroot, fork},
};
use process_tests::socket_of_peer;

use crate::end::open;

const NOEXEC: &str = "/proc/sys/vm/memfd_noexec";

/// Says how a connection as `kind` goes in the world named, or `skipped` and why.
pub(crate) fn run(kind: &str, world: &str) {
    let made = match world {
        "noexec-1" => return in_pid_namespace(kind, "1"),
        "noexec-2" => return in_pid_namespace(kind, "2"),
        "empty-proc" => hide_proc(),
        "no-files" => no_files(),
        _ => panic!("no world {world}"),
    };
    match made {
        Err(why) => println!("skipped: {why}"),
        Ok(()) => {
            assert!(fs::read_link("/proc/self/exe").is_err(), "there is no /proc");
            connect(kind);
        }
    }
}

fn connect(kind: &str) {
    let support = Support::probe();
    assert!(support.sealed_memfd, "{support:?}");
    let told = match open(kind, socket_of_peer(), &Options::new().capacity(8)) {
        Ok(mut end) => end.exchange(200).map_or_else(|error| error, |()| "all of them".into()),
        Err(error) => error.to_string(),
    };
    println!("{told}");
}

/// No mount of this process is seen by another from here on.
fn own_mounts(more: CloneFlags) -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS | more).map_err(|errno| format!("unshare: {errno}"))?;
    let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).map_err(|errno| format!("private mounts: {errno}"))
}

fn hide_proc() -> Result<(), String> {
    own_mounts(CloneFlags::empty())?;
    mount(Some("none"), "/proc", Some("tmpfs"), MsFlags::MS_RDONLY, None::<&str>)
        .map_err(|errno| format!("mounting over /proc: {errno}"))
}

fn no_files() -> Result<(), String> {
    let empty = std::env::temp_dir().join(format!("memenpsf-empty.{}", std::process::id()));
    fs::create_dir(&empty).unwrap();
    let done = chroot(&empty).map_err(|errno| format!("chroot: {errno}"));
    // From outside, through a working directory that was left where it was.
    fs::remove_dir(if done.is_ok() { relative(&empty) } else { empty }).unwrap();
    done?;
    std::env::set_current_dir("/").map_err(|error| format!("into the empty root: {error}"))
}

/// The way to `path` from the working directory.
fn relative(path: &std::path::Path) -> std::path::PathBuf {
    // A chroot(2) leaves the working directory outside, where `..` leads up to the real root.
    let mut up = std::path::PathBuf::new();
    (0..64).for_each(|_| up.push(".."));
    up.join(path.strip_prefix("/").unwrap())
}

/// The sysctl belongs to a pid namespace: in one of this process's own the machine's value stays.
fn in_pid_namespace(kind: &str, value: &str) {
    let before = fs::read_to_string(NOEXEC);
    if let Err(why) = own_mounts(CloneFlags::CLONE_NEWPID) {
        return println!("skipped: {why}");
    }
    // SAFETY: this process has one thread.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            assert_eq!(fs::read_to_string(NOEXEC).ok(), before.ok(), "the machine's own value has changed");
        }
        ForkResult::Child => {
            let done = catch_unwind(|| match forbid_executable_memfds(value) {
                Ok(()) => connect(kind),
                Err(why) => println!("skipped: {why}"),
            });
            // SAFETY: ends the process at once.
            unsafe { nix::libc::_exit(i32::from(done.is_err())) }
        }
    }
}

fn forbid_executable_memfds(value: &str) -> Result<(), String> {
    let nothing = MsFlags::empty();
    mount(Some("none"), "/proc", Some("proc"), nothing, None::<&str>)
        .map_err(|errno| format!("a new /proc: {errno}"))?;
    fs::write(NOEXEC, value).map_err(|error| format!("{NOEXEC}: {error}"))?;
    assert_eq!(fs::read_to_string(NOEXEC).unwrap().trim(), value);
    Ok(())
}
