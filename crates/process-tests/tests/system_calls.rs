//! Awake means no system calls, idle means no CPU.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::{
    collections::BTreeMap,
    io::ErrorKind,
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use memenpsf::{Interface, Options, Role};
use nix::{
    time::{ClockId, clock_getcpuclockid},
    unistd::Pid,
};
use process_tests::{
    Watchdog,
    traffic::{
        Program,
        hot::{fruitless_args, pair_args},
    },
};

const PROGRAM: Program<'static> = Program(env!("CARGO_BIN_EXE_traffic_peer"));

/// Messages each way.
const MANY: u64 = 10_000_000;
const RALLIES: u64 = 1_000_000;

/// How long the CPU time of an idle process is measured.
const IDLE: Duration = Duration::from_secs(2);

#[test]
fn ten_million_messages_each_way_make_no_system_call() {
    let _watchdog = Watchdog::new("hot traffic under strace", Duration::from_secs(200));
    assert_only_explained_calls("exchange", &pair_args("exchange", MANY), 2);
}

#[test]
fn single_messages_there_and_back_make_no_system_call() {
    let _watchdog = Watchdog::new("a rally under strace", Duration::from_secs(200));
    assert_only_explained_calls("rally", &pair_args("rally", RALLIES), 2);
}

/// Which shows, too, that the tests above would see a system call.
#[test]
fn a_thousand_fruitless_looks_in_a_row_ask_the_socket_once_without_waiting() {
    let _watchdog = Watchdog::new("fruitless looks under strace", Duration::from_secs(100));
    let questions = assert_only_explained_calls("fruitless", &fruitless_args(10_999), 1);
    assert_eq!(questions, 10);
}

/// Runs the peer's program under strace(1) and looks at what each process calls between its two calls of `getppid`. Allowed is
/// the question whether the peer is there: ppoll(2) without waiting, at most as many times as the process counted runs
/// of a thousand fruitless looks. Returns how many times it was asked.
fn assert_only_explained_calls(name: &str, args: &[String], processes: usize) -> usize {
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.{}.strace", std::process::id()));
    let mut command = Command::new("strace");
    command.args(["-f", "-o"]).arg(&trace).arg(PROGRAM.0).args(args).stdin(Stdio::null());
    let output = match command.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            panic!("this test needs strace: install it, for instance with `apt-get install strace`")
        }
        output => output.unwrap(),
    };
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "strace or the program under it failed: {stderr}");
    let lines = std::fs::read_to_string(&trace).unwrap();
    std::fs::remove_file(&trace).unwrap();
    let calls = calls_between_marks(&lines);
    assert_eq!(calls.len(), processes, "so many processes");
    let mut asked = 0;
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        let (pid, allowed) = line.split_once(' ').unwrap();
        let calls = &calls[pid];
        let allowed: usize = allowed.parse().unwrap();
        for call in calls {
            let question = call.starts_with("ppoll(") && call.contains("{tv_sec=0, tv_nsec=0}");
            assert!(question, "a system call in a hot loop: {call}");
        }
        assert!(calls.len() <= allowed, "asked {} times, {allowed} thousand looks were fruitless", calls.len());
        asked += calls.len();
    }
    asked
}

/// By process: the system calls between its two calls of `getppid`, one a line.
fn calls_between_marks(trace: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut marks: BTreeMap<&str, usize> = BTreeMap::new();
    let mut calls: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for line in trace.lines() {
        let (pid, event) = line.split_once(' ').unwrap();
        let event = event.trim_start();
        // The second half of a call that is listed already, a signal, an exit.
        if ["<... ", "---", "+++"].iter().any(|start| event.starts_with(start)) {
            continue;
        }
        if event.starts_with("getppid(") {
            *marks.entry(pid).or_default() += 1;
            calls.entry(pid).or_default();
        } else if marks.get(pid) == Some(&1) {
            calls.entry(pid).or_default().push(event);
        }
    }
    assert!(marks.values().all(|&marks| marks == 2), "two marks for each process: {marks:?}");
    calls
}

#[test]
fn an_idle_blocking_receiver_uses_no_cpu() {
    idle_uses_no_cpu("idle receiver");
}

#[test]
fn an_idle_run_loop_uses_no_cpu() {
    idle_uses_no_cpu("idle run");
}

fn idle_uses_no_cpu(part: &str) {
    let _watchdog = Watchdog::new("an idle process", Duration::from_secs(60));
    let (mut peer, stream) = PROGRAM.start(part, &[]);
    let mut interface = Interface::<u64>::with_options(stream, Role::Client, &Options::new().capacity(16)).unwrap();
    // Awake once, so that what is measured is a wait like any other.
    echo(&mut interface, 1);

    let clock = clock_getcpuclockid(Pid::from_raw(peer.pid().try_into().unwrap())).unwrap();
    let (before, start) = (cpu_time(clock), Instant::now());
    // Nobody sends: this is how long is measured.
    let (_sender, nothing) = mpsc::channel::<()>();
    nothing.recv_timeout(IDLE).unwrap_err();
    let (used, elapsed) = (cpu_time(clock) - before, start.elapsed());
    assert!(used * 100 < elapsed, "{part}: {used:?} of CPU time in {elapsed:?}");

    // It was waiting, and not dead.
    echo(&mut interface, 2);
    interface.finish().unwrap();
    assert!(peer.wait().success());
}

fn echo(interface: &mut Interface<u64>, number: u64) {
    interface.xmit(number).unwrap();
    assert_eq!(interface.recv_blocking(), Ok(number));
}

/// CPU time that a process has used.
fn cpu_time(clock: ClockId) -> Duration {
    clock.now().unwrap().into()
}
