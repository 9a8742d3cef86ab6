//! One run: everything that both ends must know.

use crate::cores::{HERE, THERE};

/// What is put to the systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    Stream(Form),
    Channel(Kind),
    Message(Load),
}

/// Which form of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    Sync,
    Tokio,
}

/// Which values a typed channel takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `u64`.
    Number,
    /// `Vec<u8>`, of which serde serialises byte after byte.
    Vector,
    /// `serde_bytes::ByteBuf`, which serde takes as a whole.
    Block,
}

/// What a message carries beside its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    Nothing,
    Descriptor,
}

/// Whose streams.
#[derive(Clone, Copy)]
pub enum Streams {
    Ours,
    Interprocess,
    /// The standard library's, or tokio's own.
    Bare,
}

/// Whose typed channels.
#[derive(Clone, Copy)]
pub enum Channels {
    Ours,
    UnixIpc,
    IpcChannel,
}

/// Whose messages.
#[derive(Clone, Copy)]
pub enum Messages {
    Ours,
    /// One `sendmsg` and one `recvmsg` for each.
    Bare,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// A message goes there and comes back. Each end of a stream reads into a buffer with room for more, as everything
    /// does that finds messages in one.
    RoundTrip,
    /// The same where both ends share a core, so that no processor has to be woken.
    RoundTripOneCore,
    /// Many messages go there, each written by itself. The far end of a stream reads what there is.
    OneWay,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Plan {
    pub subject: Subject,
    pub measure: Measure,
    /// Of a message, a multiple of 8.
    pub bytes: usize,
}

impl Streams {
    pub const ALL: [(Self, &str); 3] =
        [(Self::Ours, "local-socket"), (Self::Interprocess, "interprocess"), (Self::Bare, "std or tokio")];
}

impl Channels {
    pub const ALL: [(Self, &str); 3] =
        [(Self::Ours, "local-socket"), (Self::UnixIpc, "unix-ipc"), (Self::IpcChannel, "ipc-channel")];
}

impl Messages {
    pub const ALL: [(Self, &str); 2] = [(Self::Ours, "local-socket"), (Self::Bare, "sendmsg and recvmsg")];
}

impl Subject {
    /// The names of the systems to which it is put, ours first. A system is known by its place in there.
    pub fn systems(self) -> Vec<&'static str> {
        match self {
            Self::Stream(_) => Streams::ALL.map(|(_, name)| name).to_vec(),
            Self::Channel(_) => Channels::ALL.map(|(_, name)| name).to_vec(),
            Self::Message(_) => Messages::ALL.map(|(_, name)| name).to_vec(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Stream(Form::Sync) => "sync",
            Self::Stream(Form::Tokio) => "tokio",
            Self::Channel(Kind::Number) => "channel of u64",
            Self::Channel(Kind::Vector) => "channel of Vec<u8>",
            Self::Channel(Kind::Block) => "channel of ByteBuf",
            Self::Message(Load::Nothing) => "message",
            Self::Message(Load::Descriptor) => "message with a descriptor",
        }
    }
}

impl Measure {
    const ALL: [Self; 3] = [Self::RoundTrip, Self::RoundTripOneCore, Self::OneWay];
    const ROUND_TRIPS: [Self; 2] = [Self::RoundTrip, Self::RoundTripOneCore];
}

impl Plan {
    /// Every question, in the order of the report.
    pub fn all() -> Vec<Self> {
        const SIZES: [usize; 3] = [8, 4 << 10, 64 << 10];
        let questions: [(Subject, &[Measure], &[usize]); 7] = [
            (Subject::Stream(Form::Sync), &Measure::ALL, &SIZES),
            (Subject::Stream(Form::Tokio), &Measure::ALL, &SIZES),
            (Subject::Channel(Kind::Number), &Measure::ROUND_TRIPS, &[8]),
            (Subject::Channel(Kind::Vector), &Measure::ROUND_TRIPS, &SIZES),
            (Subject::Channel(Kind::Block), &Measure::ROUND_TRIPS, &SIZES),
            (Subject::Message(Load::Nothing), &Measure::ALL, &SIZES),
            (Subject::Message(Load::Descriptor), &Measure::ALL, &[8]),
        ];
        let mut plans = Vec::new();
        for (subject, measures, sizes) in questions {
            for &measure in measures {
                plans.extend(sizes.iter().map(|&bytes| Self { subject, measure, bytes }));
            }
        }
        plans
    }

    /// The core of the far end.
    pub fn far_core(&self) -> usize {
        if self.measure == Measure::RoundTripOneCore { HERE } else { THERE }
    }

    pub fn name(&self) -> String {
        let measure = match self.measure {
            Measure::RoundTrip => "round trip",
            Measure::RoundTripOneCore => "round trip on one core",
            Measure::OneWay => "one way",
        };
        let size = if self.bytes < 1024 { format!("{} B", self.bytes) } else { format!("{} KiB", self.bytes >> 10) };
        format!("{}, {measure}, {size}", self.subject.name())
    }
}
