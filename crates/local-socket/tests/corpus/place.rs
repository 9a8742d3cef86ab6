//! A place of its own for names made of any bytes: a directory tree, the working directory and the runtime directory in it.

use std::{
    collections::BTreeMap,
    env, fs, io,
    os::{
        linux::fs::MetadataExt,
        unix::{
            fs::{PermissionsExt, symlink},
            net::UnixListener,
        },
    },
    path::{Path, PathBuf},
    process::{self, Command},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
};

/// A place on disk, removed when this is dropped.
pub(crate) struct Place(PathBuf);

impl Place {
    pub(crate) fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("local-socket-names.{}.{}", process::id(), COUNT.fetch_add(1, Relaxed));
        let root = env::temp_dir().canonicalize()?.join(name);
        fs::create_dir(&root)?;
        let place = Self(root);
        for directory in ["runtime", "work", "work/folder"] {
            fs::create_dir(place.0.join(directory))?;
            fs::set_permissions(place.0.join(directory), PermissionsExt::from_mode(0o700))?;
        }
        fs::write(place.0.join("work/file"), "contents")?;
        symlink("../beyond", place.0.join("work/link"))?;
        Ok(place)
    }

    /// A program that lives there.
    pub(crate) fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.0.join("work")).env("XDG_RUNTIME_DIR", self.0.join("runtime"));
        command
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The same as its inhabitants see it.
pub(crate) struct Home {
    pub(crate) root: PathBuf,
    /// Somebody listens at the path `live`.
    _live: UnixListener,
}

impl Home {
    /// `None` in a process that was not started to live in a place.
    pub(crate) fn here() -> Option<Self> {
        let root = env::current_dir().ok()?.parent()?.to_owned();
        root.file_name()?.to_str()?.starts_with("local-socket-names.").then(|| {
            let _ = fs::remove_file("live");
            Self { root, _live: UnixListener::bind("live").expect("a free path") }
        })
    }

    pub(crate) fn work(&self) -> PathBuf {
        self.root.join("work")
    }

    /// Where a bare name lies.
    pub(crate) fn runtime(&self) -> PathBuf {
        self.root.join("runtime")
    }

    /// Puts a socket to which nobody listens at the path `dead`.
    pub(crate) fn bury(&self) {
        let _ = fs::remove_file("dead");
        drop(UnixListener::bind("dead").expect("a free path"));
    }

    /// Whether a path leads to nothing that is not in this place.
    pub(crate) fn has(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|real| real.starts_with(&self.root))
    }

    /// Everything in this place: type, permissions and inode of each path.
    pub(crate) fn everything(&self) -> BTreeMap<PathBuf, (u32, u64)> {
        let (mut found, mut unread) = (BTreeMap::new(), vec![self.root.clone()]);
        while let Some(directory) = unread.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                let there = fs::symlink_metadata(&path).expect("something");
                if there.is_dir() {
                    unread.push(path.clone());
                }
                found.insert(path, (there.st_mode(), there.st_ino()));
            }
        }
        found
    }
}
