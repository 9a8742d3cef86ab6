//! The directory in which bare names lie: the XDG base directory specification.

use std::{env, fs, io, os::unix::fs::MetadataExt, path::PathBuf};

use rustix::process::geteuid;

const VARIABLE: &str = "XDG_RUNTIME_DIR";
const INSTEAD: &str = "a path with a `/` such as ./name needs no runtime directory";

/// The user's runtime directory, once it is sure that it is one.
pub(crate) fn find() -> io::Result<PathBuf> {
    let uid = geteuid().as_raw();
    match env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => checked(PathBuf::from(value), uid),
        None => checked(format!("/run/user/{uid}").into(), uid),
    }
}

fn checked(directory: PathBuf, uid: u32) -> io::Result<PathBuf> {
    let bad = |kind, why: String| Err(io::Error::new(kind, format!("{why}; {INSTEAD}")));
    let shown = directory.display();
    if !directory.is_absolute() {
        return bad(io::ErrorKind::InvalidInput, format!("{VARIABLE} is not an absolute path but {shown}"));
    }
    let metadata = match fs::metadata(&directory) {
        Ok(metadata) => metadata,
        Err(error) => return bad(error.kind(), format!("there is no runtime directory {shown} ({error})")),
    };
    if !metadata.is_dir() {
        return bad(io::ErrorKind::NotADirectory, format!("{shown} is not a directory"));
    }
    if metadata.uid() != uid {
        return bad(io::ErrorKind::PermissionDenied, format!("{shown} belongs to user {}, not {uid}", metadata.uid()));
    }
    let mode = metadata.mode() & 0o777;
    if mode != 0o700 {
        return bad(io::ErrorKind::PermissionDenied, format!("{shown} has mode {mode:04o} and not 0700"));
    }
    Ok(directory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::PermissionsExt, path::Path};

    fn directory(name: &str, mode: u32) -> PathBuf {
        let path = env::temp_dir().join(format!("local-socket-runtime-{name}.{}", std::process::id()));
        fs::create_dir(&path).expect("a new directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("one's own directory");
        path
    }

    fn refused(directory: &Path, uid: u32) -> (io::ErrorKind, String) {
        let error = checked(directory.into(), uid).expect_err("not a runtime directory");
        let text = error.to_string();
        assert!(text.ends_with(INSTEAD), "{text}");
        (error.kind(), text)
    }

    #[test]
    fn only_a_directory_of_this_user_that_nobody_else_may_enter_will_do() {
        let uid = geteuid().as_raw();
        let (good, open) = (directory("good", 0o700), directory("open", 0o750));
        let file = good.join("file");
        fs::write(&file, "").expect("a file");
        assert_eq!(checked(good.clone(), uid).expect("a good one"), good);
        assert_eq!(refused(&good, uid + 1).0, io::ErrorKind::PermissionDenied);
        let (kind, text) = refused(&open, uid);
        assert_eq!(kind, io::ErrorKind::PermissionDenied);
        assert!(text.contains("has mode 0750 and not 0700"), "{text}");
        assert_eq!(refused(&file, uid).0, io::ErrorKind::NotADirectory);
        assert_eq!(refused(&good.join("none"), uid).0, io::ErrorKind::NotFound);
        assert_eq!(refused(Path::new("relative"), uid).0, io::ErrorKind::InvalidInput);
        fs::remove_dir_all(good).expect("one's own directory");
        fs::remove_dir_all(open).expect("one's own directory");
    }
}
