//! A connection to somebody else: an honest process, which must notice nothing of any attack.

use memenpsf::{Interface, Options, Role};
use process_tests::{Peer, traffic::play};

use super::SOON;

/// The test of this program that plays the other end.
const OTHER_END: &str = "plays_the_bystander";

pub(crate) struct Bystander {
    interface: Interface<u64>,
    peer: Peer,
    next: u64,
}

impl Bystander {
    pub(crate) fn start() -> Self {
        let this = std::env::current_exe().unwrap();
        let args = [OTHER_END, "--exact", "--ignored", "--nocapture"];
        let (peer, stream) = Peer::start(this.to_str().unwrap(), &args);
        let options = Options::new().capacity(16).name("bystander").handshake_timeout(SOON);
        let interface = Interface::with_options(stream, Role::Client, &options).unwrap();
        Self { interface, peer, next: 0 }
    }

    /// A few messages there and back.
    pub(crate) fn exchange(&mut self) {
        for _ in 0..3 {
            self.interface.xmit_timeout(self.next, SOON).expect("the bystander takes what is sent");
            assert_eq!(self.interface.recv_timeout(SOON), Ok(self.next), "the bystander's answer");
            self.next += 1;
        }
    }

    pub(crate) fn end(mut self) {
        self.exchange();
        self.interface.finish().unwrap();
        assert!(self.peer.wait().success(), "the bystander was disturbed");
    }
}

/// The other end: echoes until this one finishes. Started by hand it has no socket, and does nothing.
pub(crate) fn other_end() {
    if process_tests::socket_of_peer().peer_addr().is_ok() {
        play(["idle receiver".to_owned()]);
    }
}
