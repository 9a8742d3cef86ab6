//! FIFO files: their mode, and what is left alone and left behind.

use std::{
    fs::{self, File, Permissions},
    io::{ErrorKind, Read, Write},
    os::fd::AsRawFd,
    os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    path::Path,
    process::{Command, Stdio},
};

use local_socket::create_fifo;
use nix::{
    libc,
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        stat::{Mode, umask},
    },
};

use crate::rig::{Directory, Watchdog, descriptors};

fn mode(path: &Path) -> u32 {
    let status = fs::symlink_metadata(path).unwrap();
    assert!(status.file_type().is_fifo());
    status.mode() & 0o7777
}

#[test]
fn the_mode_is_what_was_asked_for_whatever_the_umask() {
    let directory = Directory::new();
    let path = directory.path("fifo");
    for mask in [0o077, 0o777, 0o022, 0] {
        for asked in [0o600, 0o666, 0o777, 0o640, 0o022, 0] {
            let before = umask(Mode::from_bits_retain(mask));
            let created = create_fifo(&path, asked);
            umask(before);
            created.unwrap();
            assert_eq!(mode(&path), asked, "under {mask:03o}");
            fs::remove_file(&path).unwrap();
        }
    }
}

#[test]
fn what_is_there_already_is_not_touched() {
    let directory = Directory::new();
    let (file, fifo, folder) = (directory.path("file"), directory.path("fifo"), directory.path("directory"));
    let (link, dangling) = (directory.path("link"), directory.path("dangling"));
    fs::write(&file, "kept").unwrap();
    fs::set_permissions(&file, Permissions::from_mode(0o640)).unwrap();
    create_fifo(&fifo, 0o600).unwrap();
    fs::create_dir(&folder).unwrap();
    symlink(&file, &link).unwrap();
    symlink(directory.path("nowhere"), &dangling).unwrap();
    let count = directory.names().len();
    for path in [&file, &fifo, &folder, &link, &dangling] {
        let before = fs::symlink_metadata(path).unwrap();
        assert_eq!(create_fifo(path, 0o666).unwrap_err().kind(), ErrorKind::AlreadyExists);
        let after = fs::symlink_metadata(path).unwrap();
        assert_eq!((after.ino(), after.mode(), after.ctime_nsec()), (before.ino(), before.mode(), before.ctime_nsec()));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "kept");
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o640);
    assert_eq!(directory.names().len(), count);
}

#[test]
fn a_fifo_that_cannot_have_its_mode_is_removed() {
    let directory = Directory::new();
    let path = directory.path("fifo");
    let before = descriptors();
    // Room for the directory's descriptor, and not for the file's.
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    let lowest_free = File::open("/dev/null").unwrap().as_raw_fd().unsigned_abs();
    setrlimit(Resource::RLIMIT_NOFILE, u64::from(lowest_free) + 1, hard).unwrap();
    let mask = umask(Mode::from_bits_retain(0o777));
    let result = create_fifo(&path, 0o777);
    umask(mask);
    setrlimit(Resource::RLIMIT_NOFILE, soft, hard).unwrap();
    assert_eq!(result.unwrap_err().raw_os_error(), Some(libc::EMFILE));
    assert_eq!(directory.names().len(), 0, "left behind");
    assert_eq!(descriptors(), before);
}

#[test]
fn bad_modes_and_paths_are_refused_with_a_reason() {
    let directory = Directory::new();
    let path = directory.path("fifo");
    for mode in [0o1000, 0o4755, 0o10600, u32::MAX] {
        let error = create_fifo(&path, mode).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains("permission bits"));
    }
    for path in ["", "/", "..", "/tmp/.."] {
        assert_eq!(create_fifo(path, 0o600).unwrap_err().kind(), ErrorKind::InvalidInput, "{path:?}");
    }
    assert_eq!(create_fifo(directory.path("no/fifo"), 0o600).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(create_fifo(directory.path("nul\0"), 0o600).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(create_fifo(directory.path(&"n".repeat(256)), 0o600).unwrap_err().kind(), ErrorKind::InvalidFilename);
    assert_eq!(directory.names().len(), 0);
}

#[test]
fn a_name_alone_is_in_the_working_directory_and_a_link_to_a_directory_is_followed() {
    let directory = Directory::new();
    fs::create_dir(directory.path("real")).unwrap();
    symlink(directory.path("real"), directory.path("link")).unwrap();
    create_fifo(directory.path("link/fifo"), 0o600).unwrap();
    assert_eq!(mode(&directory.path("real/fifo")), 0o600);
    let before = std::env::current_dir().unwrap();
    std::env::set_current_dir(directory.path("real")).unwrap();
    let created = create_fifo("alone", 0o600);
    std::env::set_current_dir(before).unwrap();
    created.unwrap();
    assert_eq!(mode(&directory.path("real/alone")), 0o600);
}

#[test]
fn two_processes_talk_through_it_and_it_goes_with_remove_file() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("fifo");
    create_fifo(&path, 0o600).unwrap();
    let mut child = Command::new("cat").arg(&path).stdout(Stdio::piped()).spawn().unwrap();
    let mut writer = File::options().write(true).open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    writer.write_all(b"through a file").unwrap();
    drop(writer);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "through a file");
    assert!(child.wait().unwrap().success());
    assert_eq!(directory.names().len(), 0);
}

#[test]
fn opened_without_waiting_it_says_that_nobody_reads() {
    let _watchdog = Watchdog::new();
    let directory = Directory::new();
    let path = directory.path("fifo");
    create_fifo(&path, 0o600).unwrap();
    let open = |write: bool| File::options().read(!write).write(write).custom_flags(libc::O_NONBLOCK).open(&path);
    assert_eq!(open(true).unwrap_err().raw_os_error(), Some(libc::ENXIO));
    let reader = open(false).unwrap();
    open(true).unwrap().write_all(b"x").unwrap();
    assert_eq!((&reader).read(&mut [0; 2]).unwrap(), 1);
}

#[test]
fn two_thousand_fifos_leave_no_descriptor() {
    let directory = Directory::new();
    let path = directory.path("fifo");
    let before = descriptors();
    for _ in 0..2000 {
        create_fifo(&path, 0o666).unwrap();
        create_fifo(&path, 0o666).unwrap_err();
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(descriptors(), before);
}
