//! `shmipc`: a stream of bytes that goes both ways, in shared memory, with an eventfd for each way.
//!
//! It is set up as the crate recommends for small messages, over a socket that the near end makes, and the slices of
//! its memory hold a message each. A message is written and read there. Many at once are many slices in one entry of
//! the crate's queue. Who has no slice to write in tries again after a microsecond, as in the benchmark that comes with
//! the crate, which has no other way of waiting for room.
//!
//! A tokio runtime of one thread looks at the eventfd whenever this end waits or finds nothing. With [`Waiting::Spin`]
//! it never sleeps. Neither direction has slices of its own: together they hold twice the capacity.
//!
//! An end that is closed takes back what the other has not read yet, so whoever is dropped first waits for the other to
//! be dropped. The crate keeps the memory of a link until the process ends.

use std::{
    io::{self, Read, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    pin::pin,
    process,
    rc::Rc,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use shmipc::{
    Listener,
    config::{Config, ProtocolMode, SizePercentPair},
    session::{SessionManager, SessionManagerConfig},
    stream::Stream,
    transport::{TransportConnect, TransportListen, TransportListener},
};
use tokio::{
    net::UnixStream as Socket,
    runtime::{Builder, Runtime},
    task::yield_now,
    time::{sleep, timeout},
};

use crate::system::{
    Abilities, BetweenProcesses, Gone, PATIENCE, Receiver, Sender, Shape, Side, System, Waiting, Words,
};

pub struct Shmipc;

impl System for Shmipc {
    const NAME: &'static str = "shmipc";
    const ABILITIES: Abilities =
        Abilities { blocks: true, batches: true, lends: true, notices_death: true, largest: 1 << 30 };
}

impl BetweenProcesses for Shmipc {
    fn open<const N: usize>(side: Side, mut partner: UnixStream, shape: Shape) -> (impl Sender<N>, impl Receiver<N>) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let stream = match side {
            Side::Near => {
                let (here, there) = UnixStream::pair().expect("two sockets");
                fdpass::send_fds(&partner, b"s", &[there.as_fd()]).expect("a socket sent");
                drop(there);
                let stream = within(&runtime, call(here, config::<N>(shape)));
                partner.read_exact(&mut [0]).expect("the other end is there");
                stream
            }
            Side::Far => {
                let here = fdpass::recv_fds(&partner, &mut [0], 1).expect("a socket received").fds.remove(0);
                let stream = within(&runtime, answer(here.into(), config::<N>(shape)));
                partner.write_all(&[0]).expect("the other end waits");
                stream
            }
        };
        let link = Rc::new(Link { stream: stream.clone(), runtime, partner, spins: shape.waiting == Waiting::Spin });
        (Sending { stream: stream.clone(), link: Rc::clone(&link) }, Receiving { stream, link })
    }
}

/// Runs what both ends do together.
fn within<T>(runtime: &Runtime, meeting: impl Future<Output = T>) -> T {
    runtime.block_on(async { timeout(PATIENCE, meeting).await }).expect("the other end comes")
}

/// The stream of the end that makes the memory. The other one learns of it by the first bytes that it carries.
async fn call(socket: UnixStream, config: Config) -> Stream {
    let config = SessionManagerConfig::new().with_config(config);
    let session = SessionManager::new(config, Given::new(socket), ()).await.expect("a session");
    let mut stream = session.get_stream().expect("a stream");
    stream.write_bytes(&FIRST).expect("room");
    stream.flush(false).await.expect("a sound session");
    stream
}

/// The stream of the other end.
async fn answer(socket: UnixStream, config: Config) -> Stream {
    let mut listener = Listener::new(Given::new(socket), (), config).await.expect("a listener");
    let mut stream = listener.accept().await.expect("a stream");
    drop(stream.read_exact_bytes(FIRST.len()).await.expect("its first bytes"));
    stream.release_read_and_reuse();
    stream
}

/// The bytes that a stream begins with.
const FIRST: [u8; 1] = [0];

/// Bytes that are sent at once, unless one message is larger.
const BATCH: usize = 64 << 10;

/// Bytes before every slice.
const HEADER: usize = 20;

/// Bytes of a slice. Behind its header it begins where words may lie, and so does the next one.
const fn slice<const N: usize>() -> usize {
    size_of::<Words<N>>() + 4
}

fn config<const N: usize>(shape: Shape) -> Config {
    static LINKS: AtomicU32 = AtomicU32::new(0);
    let link = LINKS.fetch_add(1, Ordering::Relaxed);
    // Each end may keep one for its next message, and the crate never gives the last one away.
    let memory = ((2 * shape.capacity + 4) * (HEADER + slice::<N>()) + 1024).max(1 << 20);
    let mut config = Config {
        initialize_timeout: PATIENCE,
        // Each message has a slice, so the memory is full before the queue is.
        queue_cap: (memory / (HEADER + slice::<N>())).next_multiple_of(8) as u32,
        share_memory_buffer_cap: u32::try_from(memory).expect("less than 4 GiB"),
        buffer_slice_sizes: vec![SizePercentPair { size: slice::<N>() as u32, percent: 100 }],
        // The crate's key to the memory in this process, not a path: it has no file.
        share_memory_path_prefix: format!("peers-{}-{link}", process::id()),
        ..Config::default().with_v4_eventfd()
    };
    config.protocol.mode = ProtocolMode::V4 { fallback: false };
    config
}

/// A socket that is there already, where the crate would connect or listen.
struct Given(Mutex<Option<Socket>>);

impl Given {
    fn new(socket: UnixStream) -> Self {
        socket.set_nonblocking(true).expect("a mode that can be set");
        Self(Mutex::new(Some(Socket::from_std(socket).expect("a runtime"))))
    }

    fn take(&self) -> Option<Socket> {
        self.0.lock().expect("nobody panics with it").take()
    }
}

impl TransportConnect for Given {
    type Stream = Socket;
    type Address = ();

    async fn connect(&self, (): ()) -> io::Result<Socket> {
        self.take().ok_or(io::ErrorKind::NotConnected.into())
    }
}

impl TransportListen for Given {
    type Listener = Self;
    type Address = ();

    async fn listen(&self, (): ()) -> io::Result<Self> {
        Ok(Self(Mutex::new(self.take())))
    }
}

impl TransportListener for Given {
    type Stream = Socket;
    type Address = ();

    async fn accept(&self) -> io::Result<(Socket, ())> {
        match self.take() {
            Some(socket) => Ok((socket, ())),
            None => std::future::pending().await,
        }
    }
}

/// What both directions share.
struct Link {
    stream: Stream,
    runtime: Runtime,
    /// Leads to the other end, and says that it is dropped.
    partner: UnixStream,
    spins: bool,
}

impl Link {
    /// Lets the crate do what it can do now.
    #[inline]
    fn turn(&self) {
        self.runtime.block_on(yield_now());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // This end's last word, behind all that it has sent. It fails if the other end is gone.
        let _ = self.runtime.block_on(self.stream.close());
        let _ = self.partner.shutdown(Shutdown::Write);
        let _ = self.partner.set_read_timeout(Some(PATIENCE));
        let _ = self.partner.read(&mut [0]);
    }
}

/// What comes of `action` without waiting.
#[inline]
fn at_once<T>(action: impl Future<Output = T>) -> Option<T> {
    match pin!(action).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => Some(outcome),
        Poll::Pending => None,
    }
}

struct Sending<const N: usize> {
    stream: Stream,
    link: Rc<Link>,
}

impl<const N: usize> Sending<N> {
    /// Lays slices for so many messages ready, if there are enough.
    #[inline]
    fn prepare(&mut self, messages: usize) -> bool {
        let buffer = self.stream.send_buf();
        buffer.alloc((messages * slice::<N>()) as u32);
        if !buffer.is_from_share_memory() {
            buffer.recycle();
            return false;
        }
        let slices = buffer.slice_list_mut();
        slices.write_slice = slices.write_slice.or(slices.front_slice);
        true
    }

    /// The next message that was prepared.
    #[inline]
    fn message(&mut self) -> &mut Words<N> {
        bytemuck::from_bytes_mut(self.stream.reserve(size_of::<Words<N>>()).expect("a slice"))
    }

    #[inline]
    fn flush(&mut self) -> Result<(), Gone> {
        at_once(self.stream.flush(false)).expect("the queue has room for every slice").map_err(|_| Gone)
    }
}

impl<const N: usize> Sender<N> for Sending<N> {
    #[inline]
    fn try_send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<bool, Gone> {
        // A slice that was read may be there to be written.
        if self.stream.send_buf().slice_list().size() == 0 && !self.prepare(1) {
            self.link.turn();
            return if self.stream.is_open() { Ok(false) } else { Err(Gone) };
        }
        write(self.message());
        self.flush()?;
        Ok(true)
    }

    #[inline]
    fn send(&mut self, write: impl Fn(&mut Words<N>)) -> Result<(), Gone> {
        while !self.try_send(&write)? {
            if !self.link.spins {
                self.link.runtime.block_on(async { sleep(Duration::from_micros(1)).await });
            }
        }
        Ok(())
    }

    #[inline]
    fn try_send_batch(&mut self, most: usize, write: impl Fn(usize, &mut Words<N>)) -> Result<usize, Gone> {
        let most = most.min((BATCH / size_of::<Words<N>>()).max(1));
        if !self.prepare(most) {
            return Ok(usize::from(self.try_send(|message| write(0, message))?));
        }
        for index in 0..most {
            write(index, self.message());
        }
        self.flush()?;
        Ok(most)
    }
}

struct Receiving<const N: usize> {
    stream: Stream,
    link: Rc<Link>,
}

impl<const N: usize> Receiving<N> {
    /// Reads a message, if the crate has been let to see one.
    #[inline]
    fn take(&mut self, read: impl FnOnce(&Words<N>)) -> Result<bool, Gone> {
        let Some(message) = at_once(self.stream.read_exact_bytes(size_of::<Words<N>>())) else {
            return Ok(false);
        };
        read(bytemuck::from_bytes(&message.map_err(|_| Gone)?));
        self.stream.release_read_and_reuse();
        Ok(true)
    }
}

impl<const N: usize> Receiver<N> for Receiving<N> {
    #[inline]
    fn try_receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<bool, Gone> {
        if self.take(&mut read)? {
            return Ok(true);
        }
        self.link.turn();
        self.take(&mut read)
    }

    #[inline]
    fn receive(&mut self, mut read: impl FnMut(&Words<N>)) -> Result<(), Gone> {
        if self.link.spins {
            while !self.try_receive(&mut read)? {}
            return Ok(());
        }
        let message = self.link.runtime.block_on(self.stream.read_exact_bytes(size_of::<Words<N>>()));
        read(bytemuck::from_bytes(&message.map_err(|_| Gone)?));
        self.stream.release_read_and_reuse();
        Ok(())
    }

    #[inline]
    fn try_receive_batch(&mut self, most: usize, mut read: impl FnMut(&Words<N>)) -> Result<usize, Gone> {
        let mut taken = usize::from(self.try_receive(&mut read)?);
        // The end of the link is told with the next call.
        while (1..most).contains(&taken) && self.take(&mut read) == Ok(true) {
            taken += 1;
        }
        Ok(taken)
    }
}
