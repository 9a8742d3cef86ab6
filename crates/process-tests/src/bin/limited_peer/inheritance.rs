//! Programs started by one thread while another opens and closes connections: what do they inherit?

use std::{
    collections::BTreeSet,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

use memenpsf::{Interface, Listener, Options, Role, crossbeam_channel::unbounded};
use process_tests::socket_of_peer;

fn this_program(word: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.arg(word).stdin(Stdio::null());
    command
}

/// Starts `programs` programs that list their descriptors, while another thread makes connections of every kind.
pub(crate) fn race(programs: usize) {
    let (done, connections) = (AtomicBool::new(false), AtomicU64::new(0));
    // What whoever started the tests left open.
    let before = listed();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                connect_in_every_way();
                connections.fetch_add(1, Relaxed);
            }
        });
        for _ in 0..programs {
            let inherited: Vec<_> = listed().difference(&before).cloned().collect();
            if !inherited.is_empty() {
                println!("{inherited:?}");
                std::process::exit(0);
            }
        }
        done.store(true, Relaxed);
    });
    assert!(connections.into_inner() as usize > programs / 10, "hardly a race");
    println!("nothing inherited");
}

/// The descriptors that a program has which is started now.
fn listed() -> BTreeSet<String> {
    let output = this_program("list").output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// All that makes descriptors: a listener, a path, a pair, a run loop.
fn connect_in_every_way() {
    let options = Options::new().capacity(8);
    let path = std::env::temp_dir().join(format!("memenpsf-race.{}", std::process::id()));
    let listener = Listener::bind(&path).unwrap();
    let (client, server) = std::thread::scope(|scope| {
        let client = scope.spawn(|| Interface::<u64>::connect(&path, &options).unwrap());
        let server = listener.accept().unwrap().open::<u64>(&options).unwrap();
        (client.join().unwrap(), server)
    });
    let ((sender, recvr), (arrived, _arriving)) = (unbounded::<u64>(), unbounded());
    drop((sender, server));
    let report = client.runner(recvr, arrived).unwrap().run().unwrap();
    assert_eq!(report.received, 0);
}

/// Prints what this program has inherited beside its standard input and outputs.
pub(crate) fn list() {
    for entry in std::fs::read_dir("/proc/self/fd").unwrap() {
        let entry = entry.unwrap();
        let number: u32 = entry.file_name().to_str().unwrap().parse().unwrap();
        let target = std::fs::read_link(entry.path()).unwrap();
        let listing = target.to_str().unwrap().starts_with("/proc/");
        if number > 2 && !listing {
            println!("{number} {target:?}");
        }
    }
}

/// Connects, starts a program that lives on, says its process id, and waits to be killed.
#[allow(clippy::zombie_processes, reason = "it outlives this process")]
pub(crate) fn with_a_child_that_lives_on(role: &str) {
    let role = if role == "client" { Role::Client } else { Role::Server };
    let mut interface = Interface::<u64>::with_options(socket_of_peer(), role, &Options::new().capacity(8)).unwrap();
    // The copy in the standard input would live on with the child.
    nix::unistd::dup2_stdin(std::fs::File::open("/dev/null").unwrap()).unwrap();
    let child = this_program("linger").stdout(Stdio::null()).spawn().unwrap();
    interface.xmit(7).unwrap();
    println!("{}", child.id());
    loop {
        nix::unistd::pause();
    }
}

/// Lives until it is killed, or for two minutes.
pub(crate) fn linger() {
    nix::unistd::alarm::set(120);
    loop {
        nix::unistd::pause();
    }
}
