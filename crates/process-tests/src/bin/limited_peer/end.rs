//! One end of a connection of any kind, named by a word.

use std::{fmt::Display, os::unix::net::UnixStream};

use ipc_queue::{Consumer, Options, Producer, RecvError, Role, duplex};
use memenpsf::{Error, XmitError};

pub(crate) struct End {
    first: bool,
    pub(crate) producer: Option<Producer<u64>>,
    pub(crate) consumer: Option<Consumer<u64>>,
}

/// Connects as `client`, `server`, `producer` or `consumer`.
pub(crate) fn open(kind: &str, stream: UnixStream, options: &Options) -> Result<End, Error> {
    let (producer, consumer) = match kind {
        "client" | "server" => {
            let role = if kind == "client" { Role::Client } else { Role::Server };
            let (producer, consumer) = duplex(stream, role, options)?;
            (Some(producer), Some(consumer))
        }
        "producer" => (Some(Producer::new(stream, options)?), None),
        "consumer" => (None, Some(Consumer::new(stream, options)?)),
        _ => panic!("no end {kind}"),
    };
    Ok(End { first: kind == "client", producer, consumer })
}

impl End {
    /// Sends and receives the numbers below `count`, each behind what the other end sent before it, and says how that ended: `Err` with
    /// the error's sentence.
    pub(crate) fn exchange(&mut self, count: u64) -> Result<(), String> {
        for number in 0..count {
            if self.first {
                self.send(number)?;
                self.receive(number)?;
            } else {
                self.receive(number)?;
                self.send(number)?;
            }
        }
        self.finish(count)
    }

    fn finish(&mut self, count: u64) -> Result<(), String> {
        if let Some(producer) = &mut self.producer {
            producer.finish().map_err(sentence("finishing"))?;
            producer.flush(std::time::Duration::from_secs(60)).map_err(sentence("flushing"))?;
        }
        match self.consumer.as_mut().map(Consumer::pop_blocking) {
            None | Some(Err(RecvError::Finished)) => Ok(()),
            Some(Err(end)) => Err(format!("receiving the end: {end}")),
            Some(Ok(more)) => panic!("{more} behind {count}"),
        }
    }

    fn send(&mut self, number: u64) -> Result<(), String> {
        let Some(producer) = &mut self.producer else { return Ok(()) };
        producer.push_blocking(number).map_err(|error: XmitError<u64>| {
            assert_eq!(error.value, number, "the value comes back");
            sentence("sending")(error)
        })
    }

    fn receive(&mut self, number: u64) -> Result<(), String> {
        let Some(consumer) = &mut self.consumer else { return Ok(()) };
        let received = consumer.pop_blocking().map_err(sentence("receiving"))?;
        assert_eq!(received, number, "lost, doubled or out of order");
        Ok(())
    }
}

fn sentence<E: Display>(doing: &'static str) -> impl FnOnce(E) -> String {
    move |error| format!("{doing}: {error}")
}
