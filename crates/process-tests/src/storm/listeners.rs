//! Listeners that are killed while clients come, and the next one takes the path over.

use std::{
    io::ErrorKind,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use memenpsf::{Error, Interface, Options};

use super::{VICTIM, random::Random};
use crate::Peer;

/// Clients that come at a time.
const CLIENTS: usize = 3;
/// The longest that a listener lives, in microseconds.
const LONGEST: u64 = 10_000;

/// What listeners have done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listened {
    /// Listeners killed.
    pub kills: usize,
    /// Clients that were let in and heard.
    pub served: u64,
    /// Clients that were not, or not to the end.
    pub turned_away: u64,
}

/// Kills so many listeners at one path.
pub fn rage(program: &str, kills: usize, seed: u64) -> Listened {
    let path = std::env::temp_dir().join(format!("memenpsf-storm.{}", std::process::id()));
    let (mut random, over) = (Random::new(seed), AtomicBool::new(false));
    let (served, turned_away) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                while !over.load(Relaxed) {
                    let counter = if is_served(&path) { &served } else { &turned_away };
                    counter.fetch_add(1, Relaxed);
                }
            });
        }
        let _over = Over(&over);
        for _ in 0..kills {
            let (mut listener, _stream) =
                Peer::start(program, &[VICTIM, "listen", path.to_str().expect("a path in UTF-8")]);
            assert_eq!(listener.line(), "listening", "the path of a dead listener can be taken over");
            let so_far = served.load(Relaxed);
            while served.load(Relaxed) == so_far {
                std::thread::yield_now();
            }
            let until = Instant::now() + Duration::from_micros(random.below(LONGEST));
            while Instant::now() < until {
                std::thread::yield_now();
            }
            listener.kill();
        }
    });
    std::fs::remove_file(&path).expect("the last one's socket");
    Listened { kills, served: served.into_inner(), turned_away: turned_away.into_inner() }
}

/// One client: connects, says a number and hears it again; or learns why not.
fn is_served(path: &Path) -> bool {
    let options = Options::new().capacity(2).handshake_timeout(Duration::from_secs(60));
    match Interface::<u64>::connect(path, &options) {
        Ok(mut interface) => match interface.xmit_blocking(7).is_ok().then(|| interface.recv_blocking()) {
            Some(Ok(number)) => {
                assert_eq!(number, 7);
                true
            }
            None | Some(Err(memenpsf::RecvError::Disconnected)) => false,
            Some(Err(end)) => panic!("{end} from one who was killed"),
        },
        Err(Error::Disconnected) => false,
        Err(Error::Io { source, .. })
            if [ErrorKind::NotFound, ErrorKind::ConnectionRefused, ErrorKind::ConnectionReset]
                .contains(&source.kind()) =>
        {
            false
        }
        Err(error) => panic!("{error:?}"),
    }
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}
