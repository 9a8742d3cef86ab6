//! Tells the program which compiler it was built with.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let version = Command::new(env::var("RUSTC").expect("set by cargo")).arg("--version").output().expect("a compiler");
    println!("cargo::rustc-env=COMPILER={}", String::from_utf8_lossy(&version.stdout).trim());
}
