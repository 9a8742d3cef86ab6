//! The demo: what it promises in its last line, and that nothing of it stays, however it ends.

mod rig;

use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rig::{Directory, Program, client};

fn start(directory: &Directory) -> Program {
    Program::start(client(&["demo"]).env("TMPDIR", directory.path()))
}

/// No process of the demo's process group is there any more.
fn nobody_is_left(group: i32) -> bool {
    kill(Pid::from_raw(-group), None) == Err(Errno::ESRCH)
}

#[test]
fn the_demo_ends_well_with_its_numbers_and_leaves_nothing_behind() {
    let directory = Directory::new();
    let demo = start(&directory);
    let group = demo.pid();
    let lines = demo.end().went_well();
    assert!(nobody_is_left(group) && directory.is_empty());

    for part in ["server ", "ping ", "stream ", "file ", "bridge ", "crowd "] {
        assert_eq!(lines.iter().filter(|line| line.starts_with(part)).count(), 1, "{part} in {lines:?}");
    }
    assert!(lines.iter().any(|line| ["p50 ", "p99 ", "p99.9 ", "max "].iter().all(|word| line.contains(word))));
    assert!(!lines.iter().any(|line| line.contains('\x1b')), "no progress where nobody watches");

    // ok: N messages, 0 lost, median round trip X ns, Y million messages/s
    let last = lines.last().expect("a last line").split(' ').collect::<Vec<_>>();
    let &["ok:", n, "messages,", "0", "lost,", "median", "round", "trip", x, "ns,", y, "million", "messages/s"] =
        &last[..]
    else {
        panic!("{last:?}")
    };
    assert!(n.parse::<u64>().expect("a number") > 10_000);
    assert!((1..1_000_000).contains(&x.parse::<u64>().expect("a number")));
    assert!(y.parse::<f64>().expect("a number") > 0.1);
}

#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let directory = Directory::new();
    // In the middle of the first part, and while the eight clients are there.
    for part in ["server ", "bridge "] {
        let mut demo = start(&directory);
        let group = demo.pid();
        demo.line_with(&[part]);
        demo.signal(Signal::SIGINT);
        demo.end().failed(1, &["ended by SIGINT"]);
        assert!(nobody_is_left(group) && directory.is_empty());
    }
}

#[test]
fn a_killed_demo_takes_its_processes_with_it() {
    let directory = Directory::new();
    let mut demo = start(&directory);
    demo.line_with(&["bridge "]);
    demo.signal(Signal::SIGKILL);
    // That standard error has come to its end means that nobody holds it any more.
    assert_eq!(demo.end().code, None);
}
