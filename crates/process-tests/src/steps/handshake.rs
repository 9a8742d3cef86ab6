//! A victim that is killed or stopped at each system call of its handshake.

use std::{
    os::unix::net::UnixStream,
    time::{Duration, Instant},
};

use ipc_queue::{Error, Options, RecvError, Wait, XmitErrorKind};
use nix::libc;

use super::{
    VICTIM,
    ends::{End, Halves},
};
use crate::traced::{Still, Traced};

/// How long a survivor that is to give up waits for the handshake.
const SHORT: Duration = Duration::from_millis(30);
/// How long one waits that is not.
const LONG: Duration = Duration::from_secs(60);

/// What happens at the stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// SIGKILL.
    Killed,
    /// SIGSTOP, until the survivor has given up or is open.
    GivenUp,
    /// SIGSTOP, and at once SIGCONT.
    Continued,
}

/// How it went for the survivor.
#[derive(Debug)]
pub enum Survived {
    /// The handshake was done.
    Open,
    /// It was not, and that is why.
    Failed(Error),
}

/// Brings a victim of that end to the stop of that number, counted from the beginning of its handshake. `None`: its handshake
/// is over before.
pub fn meet(program: &str, end: End, stop: usize, fate: Fate) -> Option<Survived> {
    let (mut victim, stream) = Traced::start(program, &[VICTIM, "meet", &format!("{end:?}")]);
    victim.first_mark();
    std::thread::scope(|scope| {
        let survivor = scope.spawn(move || survive(end.opposite(), stream, fate));
        for _ in 0..stop {
            if victim.call_however_long() == Still::Mark {
                victim.kill();
                survivor.join().expect("a survivor without complaint");
                return None;
            }
        }
        if fate == Fate::Killed {
            victim.kill();
            return Some(survivor.join().expect("a survivor without complaint"));
        }
        victim.stop();
        if fate == Fate::Continued {
            victim.go_on();
        }
        let survived = survivor.join().expect("a survivor without complaint");
        if fate == Fate::GivenUp {
            victim.go_on();
        }
        assert_eq!(victim.end(), 0, "the victim goes on");
        let printed = victim.printed();
        let due = ["open Err(Disconnected)", "failed Disconnected"];
        assert!(due.contains(&printed.trim_end()), "{end:?} at stop {stop}: {printed}");
        Some(survived)
    })
}

/// The calls of a handshake that sleep, or that take time: where a signal comes, if one comes.
const INTERRUPTIBLE: [i64; 2] = [libc::SYS_pwrite64, libc::SYS_ppoll];
/// How often each call that can be interrupted is.
const TIMES: usize = 3;

/// A handshake in which every call that can be interrupted by a signal is, several times in a row. Returns how often that was.
pub fn interrupt(program: &str, end: End) -> usize {
    let (mut victim, stream) = Traced::start(program, &[VICTIM, "meet", &format!("{end:?}")]);
    victim.first_mark();
    let (mut in_a_row, mut interrupted) = (0, 0);
    let survived = std::thread::scope(|scope| {
        let survivor = scope.spawn(move || survive(end.opposite(), stream, Fate::Continued));
        while victim.call_however_long() == Still::Call {
            if !victim.leaves(&INTERRUPTIBLE) {
                continue;
            }
            if in_a_row == TIMES {
                in_a_row = 0;
            } else {
                victim.interrupt();
                in_a_row += 1;
                interrupted += 1;
            }
        }
        victim.let_go();
        survivor.join().expect("a survivor without complaint")
    });
    assert!(matches!(survived, Survived::Open), "{end:?}: {survived:?}");
    assert_eq!((victim.end(), victim.printed().trim_end()), (0, "open Err(Disconnected)"), "{end:?}");
    interrupted
}

fn survive(end: End, stream: UnixStream, fate: Fate) -> Survived {
    let patience = if fate == Fate::GivenUp { SHORT } else { LONG };
    let options = Options::new().capacity(4).wait(Wait::Sleep).force_membarrier().handshake_timeout(patience);
    let start = Instant::now();
    match end.connect::<8>(stream, &options) {
        Ok(halves) => {
            if fate == Fate::Killed {
                assert_disconnected(halves);
            }
            Survived::Open
        }
        Err(error) => {
            if let Error::TimedOut { .. } = error {
                assert!(start.elapsed() >= patience, "given up after {:?} of {patience:?}", start.elapsed());
            }
            Survived::Failed(error)
        }
    }
}

/// The victim is killed, or will be.
fn assert_disconnected(halves: Halves<8>) {
    let Halves { producer, consumer } = halves;
    if let Some(mut consumer) = consumer {
        assert_eq!(consumer.pop_blocking(), Err(RecvError::Disconnected));
    }
    if let Some(mut producer) = producer {
        let sent = (0_u64..).find_map(|sent| Some((sent, producer.push_blocking([sent; 8]).err()?.kind)));
        let (sent, end) = sent.expect("an end");
        assert_eq!(end, XmitErrorKind::Disconnected);
        assert!(sent <= 4, "{sent} elements, which is more than a ring, to one that takes none");
    }
}
