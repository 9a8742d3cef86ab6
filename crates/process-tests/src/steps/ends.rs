//! The two ends of a connection, of each kind.

use std::{os::unix::net::UnixStream, str::FromStr};

use ipc_queue::{Consumer, Error, Options, Producer, Role, duplex};

/// Which end of which kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Sends over a one-way queue.
    Producer,
    /// Receives from a one-way queue.
    Consumer,
    /// The client of a connection both ways.
    Client,
    /// Its server.
    Server,
}

impl End {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Producer, Self::Consumer, Self::Client, Self::Server];

    /// The end that it talks to.
    pub fn opposite(self) -> Self {
        match self {
            Self::Producer => Self::Consumer,
            Self::Consumer => Self::Producer,
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// Whether it has a sending half.
    pub fn sends(self) -> bool {
        self != Self::Consumer
    }

    /// Whether it has a receiving half.
    pub fn receives(self) -> bool {
        self != Self::Producer
    }

    /// The number of the first element that it sends: elements of the two directions cannot be taken for each other.
    pub fn first_number(self) -> u64 {
        if self == Self::Server { 1 << 40 } else { 0 }
    }

    /// Does the handshake.
    pub fn connect<const WORDS: usize>(self, stream: UnixStream, options: &Options) -> Result<Halves<WORDS>, Error> {
        let role = match self {
            Self::Producer => {
                return Ok(Halves { producer: Some(Producer::new(stream, options)?), consumer: None });
            }
            Self::Consumer => {
                return Ok(Halves { producer: None, consumer: Some(Consumer::new(stream, options)?) });
            }
            Self::Client => Role::Client,
            Self::Server => Role::Server,
        };
        let (producer, consumer) = duplex(stream, role, options)?;
        Ok(Halves { producer: Some(producer), consumer: Some(consumer) })
    }
}

impl FromStr for End {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|end| format!("{end:?}") == text).ok_or(())
    }
}

/// The halves that an end has.
#[derive(Debug)]
pub struct Halves<const WORDS: usize> {
    /// The sending half.
    pub producer: Option<Producer<[u64; WORDS]>>,
    /// The receiving half.
    pub consumer: Option<Consumer<[u64; WORDS]>>,
}
