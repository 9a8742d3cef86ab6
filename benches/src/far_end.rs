//! The process at the other end: the same program, started once more, with its standard input as the socket.

use std::{
    env,
    hint::black_box,
    io::{BufRead, BufReader, stdin},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use memenpsf::{Element, Interface, Listener, Options, RecvError, Role, Wait};

use nix::{
    sys::{prctl::set_pdeathsig, signal::Signal},
    time::clock_getcpuclockid,
    unistd::Pid,
};

use crate::{
    machine::{THERE, pin},
    variants::{FULL, Variant},
};

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
    /// Waits for each, and sends back the one that asks for it.
    Receive,
    /// The same, working on each for about a tenth of a microsecond.
    Slow,
    /// Accepts clients at a path, and drops them.
    Server,
}

const PARTS: [(&str, Part); 6] = [
    ("echo", Part::Echo),
    ("take", Part::Take),
    ("take-all", Part::TakeAll),
    ("receive", Part::Receive),
    ("slow", Part::Slow),
    ("server", Part::Server),
];
const WAITS: [(&str, Wait); 3] = [("spin", Wait::Spin), ("adaptive", Wait::Adaptive), ("sleep", Wait::Sleep)];

/// How both ends are set, and where the far one runs.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// How both wait.
    pub wait: Wait,
    /// What is different about the waiting.
    pub variant: &'static Variant,
    /// How many elements either ring holds.
    pub capacity: usize,
    /// The far end's core.
    pub core: usize,
}

impl Setting {
    fn options(&self) -> Options {
        self.variant.applied_to(Options::new().capacity(self.capacity).wait(self.wait))
    }

    fn command(&self, part: Part, size: usize) -> Command {
        let mut command = Command::new(env::current_exe().unwrap());
        let (part, wait) = (name(&PARTS, part), name(&WAITS, self.wait));
        let numbers = [size, self.capacity, self.core].map(|number| number.to_string());
        command.args([FAR_END, part, wait, self.variant.name]).args(numbers);
        command
    }
}

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
    set_pdeathsig(Signal::SIGKILL).unwrap();
    let [part, wait, variant] = [(); 3].map(|()| words.next().unwrap());
    let [size, capacity, core] = [(); 3].map(|()| words.next().unwrap().parse().unwrap());
    let setting = Setting { wait: named(&WAITS, &wait), variant: Variant::named(&variant), capacity, core };
    pin(core);
    match (named(&PARTS, &part), size) {
        (Part::Server, 1) => serve(Path::new(&words.next().unwrap())),
        (part, 1) => exchange::<1>(part, &setting),
        (part, 8) => exchange::<8>(part, &setting),
        (part, 128) => exchange::<128>(part, &setting),
        (part, 8192) => exchange::<8192>(part, &setting),
        (part, words) => panic!("{part:?} of {words} words"),
    }
    true
}

fn exchange<const N: usize>(part: Part, setting: &Setting)
where
    Words<N>: Element,
{
    let stream = UnixStream::from(stdin().as_fd().try_clone_to_owned().unwrap());
    let mut interface = Interface::<Words<N>>::with_options(stream, Role::Server, &setting.options()).unwrap();
    let mut sink = Sink { expected: 0 };
    let mut all = Vec::with_capacity(interface.peer_capacity());
    let end = loop {
        let answer = match part {
            Part::Echo => interface.recv_blocking().map(Some),
            Part::Take => interface.try_recv().map(|value| sink.take(&value)),
            Part::Receive => interface.recv_blocking().map(|value| sink.take(&value)),
            Part::Slow => interface.recv_blocking().map(|value| {
                work();
                sink.take(&value)
            }),
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

/// What a slow consumer does with an element.
fn work() {
    let mut sum = 0;
    for number in 0..300 {
        sum = black_box(sum + number);
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
    /// Starts this program once more, to play that part for elements of `N` words on the other core.
    pub fn start<const N: usize>(part: Part, wait: Wait, capacity: usize) -> (Self, Interface<Words<N>>)
    where
        Words<N>: Element,
    {
        Self::start_as(part, &Setting { wait, variant: &FULL, capacity, core: THERE })
    }

    /// The same, with both ends set like this.
    pub fn start_as<const N: usize>(part: Part, setting: &Setting) -> (Self, Interface<Words<N>>)
    where
        Words<N>: Element,
    {
        let (here, there) = UnixStream::pair().unwrap();
        let child = setting.command(part, N).stdin(OwnedFd::from(there)).spawn().unwrap();
        (Self(child), Interface::with_options(here, Role::Client, &setting.options()).unwrap())
    }

    /// Starts a server at that path.
    pub fn serve(path: &Path) -> Self {
        let setting = Setting { wait: Wait::Adaptive, variant: &FULL, capacity: 1, core: THERE };
        let mut child = setting.command(Part::Server, 1).arg(path).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "listening\n");
        Self(child)
    }

    /// The processor time that it has used.
    pub fn processor_time(&self) -> Duration {
        clock_getcpuclockid(Pid::from_raw(self.0.id() as i32)).unwrap().now().unwrap().into()
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
