//! What a name can be written as.

use std::{
    ffi::{CStr, CString, OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// What [`Name::path`](crate::Name::path) and [`Name::namespaced`](crate::Name::namespaced) take: `str`, `OsStr`, `Path` and `CStr`,
/// borrowed or owned. It is not for other crates to implement.
pub trait NameText: sealed::Bytes {}

impl<T: sealed::Bytes + ?Sized> NameText for T {}

mod sealed {
    pub trait Bytes {
        /// Without a NUL at the end.
        fn bytes(&self) -> &[u8];
    }
}

impl<T: sealed::Bytes + ?Sized> sealed::Bytes for &T {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }
}

macro_rules! text {
    ($($text:ty: $bytes:expr),* $(,)?) => {$(
        impl sealed::Bytes for $text {
            fn bytes(&self) -> &[u8] {
                let bytes: fn(&Self) -> &[u8] = $bytes;
                bytes(self)
            }
        }
    )*};
}

text! {
    str: Self::as_bytes,
    String: |text| text.as_bytes(),
    OsStr: OsStrExt::as_bytes,
    OsString: |text| text.as_bytes(),
    Path: |text| text.as_os_str().as_bytes(),
    PathBuf: |text| text.as_os_str().as_bytes(),
    CStr: Self::to_bytes,
    CString: |text| text.as_bytes(),
}
