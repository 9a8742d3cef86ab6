//! What a name can be written as.

use std::{
    borrow::Cow,
    ffi::{CStr, CString, OsStr, OsString},
    io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use crate::Name;

/// What [`Name::path`] and [`Name::namespaced`] take: `str`, `OsStr`, `Path` and `CStr`, borrowed or owned, also by `Box` or `Cow`. It
/// is not for other crates to implement.
pub trait NameText: sealed::Bytes {}

impl<T: sealed::Bytes + ?Sized> NameText for T {}

/// A [`Name`], or a path as [`Name::path`] takes it: what a function takes that wants to know where to meet.
pub trait IntoName {
    /// The name.
    ///
    /// # Errors
    ///
    /// Those of [`Name::path`].
    fn into_name(self) -> io::Result<Name>;
}

impl<T: NameText> IntoName for T {
    fn into_name(self) -> io::Result<Name> {
        Name::path(self)
    }
}

impl IntoName for Name {
    fn into_name(self) -> io::Result<Name> {
        Ok(self)
    }
}

impl IntoName for &Name {
    fn into_name(self) -> io::Result<Name> {
        Ok(self.clone())
    }
}

mod sealed {
    pub trait Bytes {
        /// Without a NUL at the end.
        fn bytes(&self) -> &[u8];
    }
}

macro_rules! pointers {
    ($($pointer:ty: $($bounds:ident)?),*) => {$(
        impl<T: sealed::Bytes $(+ $bounds)? + ?Sized> sealed::Bytes for $pointer {
            fn bytes(&self) -> &[u8] {
                (**self).bytes()
            }
        }
    )*};
}

pointers!(&T:, &mut T:, Box<T>:, Cow<'_, T>: ToOwned);

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
