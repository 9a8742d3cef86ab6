//! The example `task`, as somebody runs it.

use std::{
    env, fs,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
};

use crate::rig::{Directory, Watchdog, skipped};

#[test]
fn the_example_adds_up_and_leaves_nothing() {
    let _watchdog = Watchdog::new();
    // Beside the directory of this program.
    let example = env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("task");
    if !example.exists() {
        return skipped("the example: `cargo build --example task --features serde` makes it");
    }
    let directory = Directory::new();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    let mut command = Command::new(example);
    command.env("XDG_RUNTIME_DIR", directory.as_ref()).env("TMPDIR", directory.as_ref()).stderr(Stdio::inherit());
    // The end of the output is the end of both processes.
    let output = command.output().unwrap();
    assert!(output.status.success());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "sum: 65\n");
    assert_eq!(directory.names(), [""; 0]);
}
