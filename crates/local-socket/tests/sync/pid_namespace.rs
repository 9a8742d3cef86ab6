//! Programs in a pid namespace of their own: pid_namespaces(7).

use std::process::{Command, Stdio};

use rustix::process::geteuid;

/// Starts this program there; `None` where that is not permitted, or there is no program `unshare`.
pub(crate) fn this_program() -> Option<Command> {
    let tried = unshare("true").stderr(Stdio::null()).status();
    if !tried.is_ok_and(|status| status.success()) {
        return None;
    }
    Some(unshare(std::env::current_exe().unwrap().to_str().unwrap()))
}

/// Why a test was skipped.
pub(crate) const MISSING: &str = "pid namespaces: not permitted, or no program `unshare`";

fn unshare(program: &str) -> Command {
    let mut command = Command::new("unshare");
    if !geteuid().is_root() {
        // Which may have what root has.
        command.args(["--user", "--map-current-user"]);
    }
    command.args(["--pid", "--fork", "--kill-child", program]);
    command
}
