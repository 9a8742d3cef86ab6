//! What a run leaves in the file system: a directory for its files, after which its shared memory is called. Whoever
//! started the run removes both, so that nothing is left of a run that is killed.

use std::{env, fs, io, path::PathBuf};

use tempfile::TempDir;

/// Where the kernel keeps shared memory that has a name.
const MEMORY: &str = "/dev/shm";

/// The place of a run, as the process has it that starts the run.
#[derive(Debug)]
pub struct Scratch(TempDir);

impl Scratch {
    pub fn new() -> io::Result<Self> {
        tempfile::Builder::new().prefix("peers-").tempdir().map(Self)
    }

    /// The environment that shows the place to the processes of the run.
    pub fn environment(&self) -> (&'static str, PathBuf) {
        ("TMPDIR", self.0.path().to_owned())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let name = self.0.path().file_name().expect("a name").to_string_lossy().into_owned();
        for memory in fs::read_dir(MEMORY).into_iter().flatten().flatten() {
            if memory.file_name().to_string_lossy().starts_with(&name) {
                let _ = fs::remove_file(memory.path());
            }
        }
    }
}

/// The directory, in a process of the run.
pub fn directory() -> PathBuf {
    env::temp_dir()
}

/// What the names of shared memory begin with, in a process of the run.
pub fn prefix() -> String {
    directory().file_name().expect("a name").to_string_lossy().into_owned()
}

/// The file of shared memory of that name, in a process of the run.
pub fn memory(name: &str) -> PathBuf {
    PathBuf::from(MEMORY).join(format!("{}-{name}", prefix()))
}
