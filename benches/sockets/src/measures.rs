//! What is measured with a stream, each as what the near end does and what the far end does. All bytes are looked at.

use std::io;

use crate::{
    contents::{ANSWER, check, fill},
    link::Link,
    pace,
    plan::{Measure, Plan},
};

/// What a stream is read into.
const ROOM: usize = 128 << 10;

/// Nanoseconds a round trip, or a message.
pub async fn near(plan: Plan, mut link: impl Link) -> io::Result<f64> {
    let mut message = vec![0; plan.bytes];
    let mut buffer = vec![0; ROOM];
    pace::each(async |numbers| {
        for number in numbers {
            fill(&mut message, number);
            link.write_all(&message).await?;
            if plan.measure != Measure::OneWay {
                receive(&mut link, &mut buffer, plan.bytes, number).await?;
            }
        }
        if plan.measure == Measure::OneWay {
            fill(&mut message, ANSWER);
            link.write_all(&message).await?;
            receive(&mut link, &mut buffer, 8, ANSWER).await?;
        }
        Ok(())
    })
    .await
}

/// Answers until the near end is gone.
pub async fn far(plan: Plan, mut link: impl Link) -> io::Result<()> {
    let mut buffer = vec![0; ROOM];
    match plan.measure {
        Measure::OneWay => take(link, buffer, plan.bytes).await,
        Measure::RoundTrip | Measure::RoundTripOneCore => {
            let (mut message, mut number) = (vec![0; plan.bytes], 0);
            while receive(&mut link, &mut buffer, plan.bytes, number).await? {
                fill(&mut message, number);
                link.write_all(&message).await?;
                number += 1;
            }
            Ok(())
        }
    }
}

/// Reads one message, behind which nothing comes. `false`: there was the end instead.
async fn receive(link: &mut impl Link, buffer: &mut [u8], bytes: usize, number: u64) -> io::Result<bool> {
    let mut filled = 0;
    while filled < bytes {
        match link.read(&mut buffer[filled..]).await? {
            0 => return Ok(false),
            more => filled += more,
        }
    }
    check(buffer[..filled].as_chunks().0, number);
    Ok(true)
}

/// Takes a stream of messages up to its end, sees that each is the next one, and answers those that ask for it.
async fn take(mut link: impl Link, mut buffer: Vec<u8>, bytes: usize) -> io::Result<()> {
    let words_each = bytes / 8;
    // Of the message that is being read: its number, and the words that are still to come.
    let (mut next, mut number, mut left) = (0, 0, 0);
    let mut filled = 0;
    loop {
        match link.read(&mut buffer[filled..]).await? {
            0 => return Ok(()),
            more => filled += more,
        }
        let (mut words, part) = buffer[..filled].as_chunks();
        while let Some(first) = words.first() {
            if left == 0 {
                (number, left) = (next, words_each);
                match u64::from_ne_bytes(*first) {
                    ANSWER => number = ANSWER,
                    _ => next += 1,
                }
            }
            let (these, rest) = words.split_at(left.min(words.len()));
            check(these, number);
            (words, left) = (rest, left - these.len());
            if left == 0 && number == ANSWER {
                link.write_all(&ANSWER.to_ne_bytes()).await?;
            }
        }
        let part = filled - part.len()..filled;
        filled = part.len();
        buffer.copy_within(part, 0);
    }
}
