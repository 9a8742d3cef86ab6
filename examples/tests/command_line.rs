//! What the programs say about themselves, and about command lines that make no sense.

mod rig;

use rig::{client, run, server};

const SUBCOMMANDS: [&str; 6] = ["ping", "stream", "bridge", "send", "doctor", "demo"];

#[test]
fn help_fits_a_terminal_and_names_every_subcommand() {
    let fits = |lines: &[String]| lines.iter().all(|line| line.chars().count() <= 100);
    let top = run(&mut client(&["--help"])).went_well();
    assert!(fits(&top));
    for name in SUBCOMMANDS {
        assert!(top.iter().any(|line| line.trim_start().starts_with(name)), "{name}");
        let help = run(&mut client(&[name, "--help"])).went_well();
        assert!(fits(&help), "{name}");
        assert!(help.iter().any(|line| line.starts_with(&format!("Usage: ipc-client {name}"))), "{name}");
    }
    let help = run(server("unused".as_ref()).arg("--help")).went_well();
    assert!(fits(&help) && help.iter().any(|line| line.starts_with("Usage: ipc-server")));
}

#[test]
fn every_wrong_command_line_gets_one_sentence_and_exit_code_2() {
    let cases: [(&[&str], &[&str]); 9] = [
        (&[], &["a command is missing", "ipc-client --help"]),
        (&["sing"], &["no command \"sing\"", "ipc-client --help"]),
        (&["--loud"], &["--loud", "ipc-client --help"]),
        (&["ping", "--loud"], &["--loud", "ipc-client ping --help"]),
        (&["ping", "twice"], &["twice", "ipc-client ping --help"]),
        (&["ping", "--socket"], &["--socket", "ipc-client ping --help"]),
        (&["stream", "--seconds", "-1"], &["-1", "seconds", "ipc-client stream --help"]),
        (&["send"], &["missing", "ipc-client send --help"]),
        (&["demo", "--socket", "/x"], &["--socket", "ipc-client demo --help"]),
    ];
    for (arguments, words) in cases {
        run(&mut client(arguments)).failed(2, words);
    }
    run(server("unused".as_ref()).arg("--loud")).failed(2, &["--loud", "ipc-server --help"]);
}

#[test]
fn doctor_says_a_line_for_each_thing() {
    let lines = run(&mut client(&["doctor"])).went_well();
    let things = ["kernel", "sealed memfd", "membarrier", "pidfd", "cores", "RLIMIT_NOFILE", "RLIMIT_FSIZE"];
    assert_eq!(lines.len(), things.len());
    assert!(lines.iter().zip(things).all(|(line, thing)| line.starts_with(thing)), "{lines:?}");
}
