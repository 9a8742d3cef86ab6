//! A connection to somebody else: an honest process, which must notice nothing of any attack.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};

use memenpsf::{Interface, Options, Role, Wait};
use process_tests::{Peer, traffic::play};

use super::SOON;

/// The test of this program that plays the other end.
const OTHER_END: &str = "plays_the_bystander";
/// Between two exchanges that nobody asks for: often, and hardly any work.
const PACE: Duration = Duration::from_millis(2);

/// It exchanges all the while, on a thread of its own.
pub(crate) struct Bystander {
    /// Asks for an exchange at once; dropped, it ends the thread.
    now: Sender<Sender<()>>,
    exchanged: Arc<AtomicU64>,
    thread: JoinHandle<Interface<u64>>,
    peer: Peer,
}

impl Bystander {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().unwrap();
        let args = [OTHER_END, "--exact", "--ignored", "--nocapture"];
        let (peer, stream) = Peer::start(this.to_str().unwrap(), &args);
        let options = Options::new().capacity(16).name("bystander").wait(Wait::Sleep).handshake_timeout(SOON);
        let mut interface = Interface::with_options(stream, Role::Client, &options).unwrap();
        let (now, asked) = mpsc::channel();
        let exchanged = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&exchanged);
        let thread = std::thread::spawn(move || {
            loop {
                let asks: Option<Sender<()>> = match asked.recv_timeout(PACE) {
                    Ok(asks) => Some(asks),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => return interface,
                };
                let next = count.load(SeqCst);
                interface.xmit_timeout(next, SOON).expect("the bystander takes what is sent");
                assert_eq!(interface.recv_timeout(SOON), Ok(next), "the bystander's answer");
                count.store(next + 1, SeqCst);
                // Who asked may have given up.
                asks.map(|asks| asks.send(()));
            }
        });
        Self { now, exchanged, thread, peer }
    }

    /// Until one more exchange is done, which began after this call.
    pub(crate) fn goes_on(&self) {
        let (done, is_done) = mpsc::channel();
        let asked = self.now.send(done).is_ok();
        assert!(asked && is_done.recv_timeout(2 * SOON).is_ok(), "the bystander does not go on");
    }

    /// How often it has exchanged.
    pub(crate) fn exchanged(&self) -> u64 {
        self.exchanged.load(SeqCst)
    }

    pub(crate) fn end(self) {
        let Self { now, thread, mut peer, .. } = self;
        drop(now);
        let mut interface = thread.join().expect("the bystander was disturbed");
        interface.finish().unwrap();
        assert!(peer.wait().success(), "the bystander was disturbed");
    }
}

/// The other end: echoes until this one finishes. Started by hand it has no socket, and does nothing.
pub(crate) fn other_end() {
    if process_tests::socket_of_peer().peer_addr().is_ok() {
        play(["idle receiver".to_owned()]);
    }
}
