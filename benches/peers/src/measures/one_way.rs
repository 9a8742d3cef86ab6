//! A stream of messages goes to the far end.

use std::hint::black_box;

use super::{ANSWER, STOP, Values, calibrated, fill, number, send};
use crate::{
    plan::{Drive, Way},
    system::{Gone, Receiver, Sender, Words},
};

/// Sends so many messages and waits until the far end has them all. Messages a second.
pub fn near<const N: usize>(
    way: Way,
    drive: Drive,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
) -> Values {
    let mut next = 0;
    let (seconds, count) = calibrated(|count| {
        stream(way, drive, sender, next..next + count).expect("the far end is there");
        next += count;
        send(drive, sender, ANSWER).expect("the far end is there");
        let mut answer = 0;
        receiver.receive(|message| answer = number(message)).expect("the far end answers");
        assert_eq!(answer, ANSWER);
    });
    send(drive, sender, STOP).expect("the far end is there");
    Values::from([("per second".into(), count as f64 / seconds)])
}

/// Takes them all, sees that each is the next one, and answers the one that asks for it. `lends`: messages are read
/// where the sender wrote them.
pub fn far<const N: usize>(
    way: Way,
    drive: Drive,
    lends: bool,
    sender: &mut impl Sender<N>,
    receiver: &mut impl Receiver<N>,
) -> Values {
    let once = |message: &Words<N>| if lends { number(message) } else { number_of_copy(message) };
    // Each with a loop of its own, in which nothing is asked that is known before.
    match (way, drive) {
        (Way::Single, Drive::Spin) => {
            take(sender, |sink| receiver.try_receive(|message| sink.take(number(message))).map(drop));
        }
        (Way::Single, _) => take(sender, |sink| receiver.receive(|message| sink.take(number(message)))),
        (Way::Batches(most), _) => {
            take(sender, |sink| receiver.try_receive_batch(most, |message| sink.take(number(message))).map(drop));
        }
        (Way::ReadOnce, Drive::Spin) => {
            take(sender, |sink| receiver.try_receive(|message| sink.take(once(message))).map(drop));
        }
        (Way::ReadOnce, _) => take(sender, |sink| receiver.receive(|message| sink.take(once(message)))),
        (Way::FirstWord, _) => take(sender, |sink| receiver.try_receive(|message| sink.take(message[0])).map(drop)),
    }
    Values::new()
}

/// Receives by `receive` until the near end says that it stops, and answers when it asks.
#[inline(never)]
fn take<const N: usize>(sender: &mut impl Sender<N>, mut receive: impl FnMut(&mut Sink) -> Result<(), Gone>) {
    let mut sink = Sink::default();
    loop {
        receive(&mut sink).expect("the near end says when it stops");
        match std::mem::take(&mut sink.wanted) {
            Wanted::Nothing => {}
            Wanted::Answer => sender.send(fill(ANSWER)).expect("the near end is there"),
            Wanted::Stop => return,
        }
    }
}

/// The number of a message that was copied out, all of which was read by that. Its ends show that all of it arrived.
#[inline(always)]
fn number_of_copy<const N: usize>(message: &Words<N>) -> u64 {
    // Nobody may leave out what of the copy is not looked at.
    let message = black_box(message);
    assert_eq!(message[0], message[N - 1], "a message is torn");
    message[0]
}

#[derive(Default)]
struct Sink {
    next: u64,
    wanted: Wanted,
}

#[derive(Default)]
enum Wanted {
    #[default]
    Nothing,
    Answer,
    Stop,
}

impl Sink {
    #[inline(always)]
    fn take(&mut self, number: u64) {
        if number == self.next {
            self.next += 1;
        } else {
            self.special(number);
        }
    }

    #[cold]
    fn special(&mut self, number: u64) {
        self.wanted = match number {
            ANSWER => Wanted::Answer,
            STOP => Wanted::Stop,
            number => panic!("{number} instead of {}", self.next),
        }
    }
}

#[inline(always)]
fn stream<const N: usize>(
    way: Way,
    drive: Drive,
    sender: &mut impl Sender<N>,
    numbers: std::ops::Range<u64>,
) -> Result<(), Gone> {
    match way {
        Way::Single | Way::ReadOnce => numbers.into_iter().try_for_each(|number| send(drive, sender, number)),
        Way::Batches(most) => {
            let mut next = numbers.start;
            while next < numbers.end {
                let most = (numbers.end - next).min(most as u64) as usize;
                next += sender.try_send_batch(most, |index, message| message.fill(next + index as u64))? as u64;
            }
            Ok(())
        }
        Way::FirstWord => numbers.into_iter().try_for_each(|number| {
            while !sender.try_send(|message: &mut Words<N>| message[0] = number)? {}
            Ok(())
        }),
    }
}
