//! The survivor's side of a storm.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::{Duration, Instant},
};

use ipc_queue::{Options, RecvError, Wait, XmitErrorKind};

use super::{
    VICTIM,
    forms::{Form, Storm},
    random::Random,
};
use crate::{
    Peer,
    numbered::element,
    progress::{Progress, Word},
    steps::{for_size, survivor::Survivor},
};

/// The longest that a victim lives once elements flow, in microseconds.
const LONGEST: u64 = 3000;

/// What storms have done.
#[derive(Clone, Copy, Debug, Default)]
pub struct Raged {
    /// Victims killed.
    pub kills: usize,
    /// Elements that the victims sent and the survivor received.
    pub received: u64,
    /// Elements that the survivor sent and the victims took.
    pub taken: u64,
}

/// Kills so many victims, each of another kind, at times that depend on `seed`.
pub fn rage(program: &str, kills: usize, seed: u64) -> Raged {
    let mut raged = Raged::default();
    let (mut random, progress) = (Random::new(seed), Progress::create());
    for number in 0..kills {
        let storm = Storm::number(number);
        let _place = Place { storm, seed, number };
        let (received, taken) = for_size!(storm.words, kill, program, &storm, number, &progress, &mut random);
        raged.kills += 1;
        raged.received += received;
        raged.taken += taken;
    }
    raged
}

fn kill<const WORDS: usize>(
    program: &str,
    storm: &Storm,
    number: usize,
    progress: &Progress,
    random: &mut Random,
) -> (u64, u64) {
    progress.reset();
    let args = [VICTIM, "stream", &number.to_string(), &progress.name()];
    let (mut peer, stream) = Peer::start(program, &args);
    let wait = [Wait::Adaptive, Wait::Sleep, Wait::Spin][random.below(3) as usize];
    let options = Options::new().capacity(storm.capacity).wait(wait);
    let mut survivor =
        Survivor::<WORDS>::connect(storm.end.opposite(), stream, &options).expect("a victim that connects");
    let (way, life) = (random.below(5) as usize, Duration::from_micros(random.below(LONGEST)));
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !flows(storm, progress) && !stop.load(Relaxed) {
                std::thread::yield_now();
            }
            let until = Instant::now() + life;
            while Instant::now() < until && !stop.load(Relaxed) {
                std::hint::spin_loop();
            }
            peer.kill();
        });
        let _stop = Stops(&stop);
        survivor.weather(storm, way);
    });
    survivor.judge_death(progress, way);
    let taken = if storm.end.receives() { survivor.producer().acknowledged() } else { 0 };
    (survivor.received, taken)
}

/// Elements have come and gone, each way that they should.
fn flows(storm: &Storm, progress: &Progress) -> bool {
    let sent = progress.get(if storm.form == Form::RunLoop { Word::SendingUpTo } else { Word::Sent });
    (!storm.flow.sends() || sent > 0) && (!storm.flow.receives() || progress.get(Word::Taken) > 0)
}

impl<const WORDS: usize> Survivor<WORDS> {
    /// Sends and receives, as fast as can be, until the victim is gone.
    fn weather(&mut self, storm: &Storm, way: usize) {
        let (mut receiving, mut sending) = (storm.flow.sends(), storm.flow.receives());
        let blocks = storm.form == Form::Blocking;
        while receiving || sending {
            if sending {
                sending = if blocks { self.send_blocking() } else { self.send_some() };
            }
            if receiving {
                receiving = if blocks { self.take_blocking() } else { self.take_some(way) };
            }
        }
    }

    fn take_some(&mut self, way: usize) -> bool {
        match self.take(way) {
            Ok(()) | Err(RecvError::Empty) => true,
            Err(RecvError::Disconnected) => false,
            Err(end) => panic!("{end} from one who was killed"),
        }
    }

    fn take_blocking(&mut self) -> bool {
        match self.halves.consumer.as_mut().expect("a receiving half").pop_blocking() {
            Ok(element) => self.note(&[element]),
            Err(RecvError::Disconnected) => return false,
            Err(end) => panic!("{end} from one who was killed"),
        }
        true
    }

    fn send_some(&mut self) -> bool {
        match self.fill_up_to(4) {
            Ok(()) | Err(XmitErrorKind::Full) => true,
            Err(XmitErrorKind::Disconnected) => false,
            Err(end) => panic!("{end} from one who was killed"),
        }
    }

    fn send_blocking(&mut self) -> bool {
        let number = self.next_number();
        match self.producer().push_blocking(element(number)).map_err(|error| error.kind) {
            Ok(()) => self.sent += 1,
            Err(XmitErrorKind::Disconnected) => return false,
            Err(end) => panic!("{end} from one who was killed"),
        }
        true
    }
}

/// Ends the life of the victim also where a check has failed.
struct Stops<'a>(&'a AtomicBool);

impl Drop for Stops<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Debug)]
#[allow(dead_code, reason = "read by Debug when a check fails")]
struct Place {
    storm: Storm,
    seed: u64,
    number: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in {self:?}");
        }
    }
}
