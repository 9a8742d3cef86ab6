//! The process at the other end: the same program, started once more, with its standard input as the socket.

use std::{
    env,
    io::{BufRead, BufReader, stdin},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use memenpsf::{Element, Interface, Listener, Options, RecvError, Role, Wait};

use crate::machine::{THERE, pin};

/// The first argument of a program that is to be the far end.
const FAR_END: &str = "--far-end";

/// An element of so many words, of which the first is its number.
pub type Words<const N: usize> = [u64; N];

/// The number of an element that asks for an answer.
pub const ANSWER: u64 = u64::MAX;

/// What the far end does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Sends each element back.
    Echo,
    /// Takes them one by one, and sends back the one that asks for it.
    Take,
    /// The same with all that is there at once.
    TakeAll,
    /// Accepts clients at a path, and drops them.
    Server,
}

const PARTS: [(&str, Part); 4] =
    [("echo", Part::Echo), ("take", Part::Take), ("take-all", Part::TakeAll), ("server", Part::Server)];
const WAITS: [(&str, Wait); 3] = [("spin", Wait::Spin), ("adaptive", Wait::Adaptive), ("sleep", Wait::Sleep)];

fn named<T: Copy>(table: &[(&str, T)], name: &str) -> T {
    table.iter().find(|(known, _)| *known == name).unwrap().1
}

fn name<T: PartialEq>(table: &[(&'static str, T)], value: T) -> &'static str {
    table.iter().find(|(_, known)| *known == value).unwrap().0
}

/// If this program was started as the far end: plays it, and returns `true` when it is over.
pub fn play() -> bool {
    let mut words = env::args().skip(1);
    if words.next().as_deref() != Some(FAR_END) {
        return false;
    }
    pin(THERE);
    let [part, size, wait, capacity] = [(); 4].map(|()| words.next().unwrap());
    let (part, wait, capacity) = (named(&PARTS, &part), named(&WAITS, &wait), capacity.parse().unwrap());
    match (part, size.parse().unwrap()) {
        (Part::Server, 1) => serve(Path::new(&words.next().unwrap())),
        (part, 1) => exchange::<1>(part, wait, capacity),
        (part, 8) => exchange::<8>(part, wait, capacity),
        (part, 128) => exchange::<128>(part, wait, capacity),
        (part, 8192) => exchange::<8192>(part, wait, capacity),
        (part, words) => panic!("{part:?} of {words} words"),
    }
    true
}

fn exchange<const N: usize>(part: Part, wait: Wait, capacity: usize)
where
    Words<N>: Element,
{
    let stream = UnixStream::from(stdin().as_fd().try_clone_to_owned().unwrap());
    let options = Options::new().capacity(capacity).wait(wait);
    let mut interface = Interface::<Words<N>>::with_options(stream, Role::Server, &options).unwrap();
    let mut sink = Sink { expected: 0 };
    let mut all = Vec::with_capacity(interface.peer_capacity());
    let end = loop {
        let answer = match part {
            Part::Echo => interface.recv_blocking().map(Some),
            Part::Take => interface.try_recv().map(|value| sink.take(&value)),
            _ => {
                all.clear();
                interface.recv_slice(&mut all).map(|_| all.iter().find_map(|value| sink.take(value)))
            }
        };
        match answer {
            Ok(Some(value)) => interface.xmit_blocking(value).unwrap(),
            Ok(None) | Err(RecvError::Empty) => {}
            Err(end) => break end,
        }
    };
    assert!(matches!(end, RecvError::Disconnected | RecvError::Finished), "{end}");
}

/// Reads all of every element, and sees that it is the next one.
struct Sink {
    expected: u64,
}

impl Sink {
    #[inline(always)]
    fn take<const N: usize>(&mut self, value: &Words<N>) -> Option<Words<N>> {
        if value[0] == ANSWER {
            self.expected = 0;
            return Some(*value);
        }
        assert!(value.iter().all(|word| *word == self.expected), "{} instead of {}", value[0], self.expected);
        self.expected += 1;
        None
    }
}

fn serve(path: &Path) {
    let listener = Listener::bind(path).unwrap();
    println!("listening");
    let options = Options::new().capacity(1 << 13);
    while let Ok(mut interface) = listener.accept().and_then(|pending| pending.open::<u64>(&options)) {
        if interface.recv_blocking() == Ok(ANSWER) {
            return;
        }
    }
}

/// A far end that was started; it is gone when this is dropped.
#[derive(Debug)]
pub struct FarEnd(Child);

impl FarEnd {
    /// Starts this program once more, to play that part for elements of `N` words.
    pub fn start<const N: usize>(part: Part, wait: Wait, capacity: usize) -> (Self, Interface<Words<N>>)
    where
        Words<N>: Element,
    {
        let (here, there) = UnixStream::pair().unwrap();
        let words = [FAR_END, name(&PARTS, part), &N.to_string(), name(&WAITS, wait), &capacity.to_string()];
        let child = Command::new(env::current_exe().unwrap()).args(words).stdin(OwnedFd::from(there)).spawn().unwrap();
        let options = Options::new().capacity(capacity).wait(wait);
        (Self(child), Interface::with_options(here, Role::Client, &options).unwrap())
    }

    /// Starts a server at that path.
    pub fn serve(path: &Path) -> Self {
        let words = [FAR_END, "server", "1", "adaptive", "1"];
        let mut child =
            Command::new(env::current_exe().unwrap()).args(words).arg(path).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self(child)
    }

    /// Waits for its end, which must be a good one. To be called when its interface is gone.
    pub fn end(mut self) {
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for FarEnd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
