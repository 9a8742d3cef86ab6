//! What a listener and its clients are told to meet at.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use local_socket::Name;

/// Where to meet: a path, as `str`, `OsStr` or `Path`, borrowed or owned, or a [`Name`]. It is not for other crates to implement.
pub trait Place: sealed::Place {}

impl<T: sealed::Place> Place for T {}

mod sealed {
    use super::{Name, io};

    pub trait Place {
        fn name(self) -> io::Result<Name>;
    }
}

impl sealed::Place for Name {
    fn name(self) -> io::Result<Name> {
        Ok(self)
    }
}

impl sealed::Place for &Name {
    fn name(self) -> io::Result<Name> {
        Ok(self.clone())
    }
}

macro_rules! paths {
    ($($path:ty),*) => {$(
        impl sealed::Place for $path {
            fn name(self) -> io::Result<Name> {
                name_of(self.as_ref())
            }
        }
    )*};
}

paths!(&str, String, &String, &OsStr, OsString, &OsString, &Path, PathBuf, &PathBuf);

fn name_of(path: &Path) -> io::Result<Name> {
    if !path.as_os_str().as_encoded_bytes().contains(&b'/') {
        let why = "a path with a `/` is needed, such as ./name, or a `Name`";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Name::path(path)
}

#[cfg(test)]
mod tests {
    use super::{sealed::Place as _, *};
    use crate::{Interface, Listener, Options};

    #[test]
    fn whatever_a_path_is_written_as_it_is_the_same_place_and_a_bare_name_is_none() {
        let expected = Name::path("./name").expect("a path");
        let (path, text, os) = (Path::new("./name"), String::from("./name"), OsString::from("./name"));
        let places = [
            "./name".name(),
            (&text).name(),
            (&os).name(),
            path.name(),
            os.as_os_str().name(),
            (&path.to_owned()).name(),
            path.to_owned().name(),
            (&expected).name(),
            text.name(),
            os.name(),
        ];
        for place in places {
            assert_eq!(place.expect("a path with a slash"), expected);
        }
        for bare in ["", "name"] {
            let error = bare.name().expect_err("no path");
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            assert_eq!(error.to_string(), "a path with a `/` is needed, such as ./name, or a `Name`");
        }
    }

    #[test]
    fn two_sides_meet_under_a_name_in_the_abstract_namespace() {
        let name = Name::namespaced(format!("memenpsf.{}", std::process::id())).expect("a name");
        let listener = Listener::bind(&name).expect("a free name");
        assert_eq!((listener.name(), listener.path()), (&name, Path::new("")));
        let client = std::thread::spawn(move || Interface::<u64>::connect(name, &Options::new()).map(drop));
        let server: Interface<u64> = listener.accept().expect("a client").open(&Options::new()).expect("the same type");
        client.join().expect("no panic").expect("a server");
        drop(server);
    }
}
