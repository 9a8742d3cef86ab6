//! What an input says: who reads, and which messages lie there. Pure data, which bytes become and which becomes bytes.

/// An input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) reader: Reader,
    /// The receiver's limit, a place in `LIMITS`.
    pub(crate) limit: u8,
    /// What is sent by the library itself, a place in `OWN`, and behind it so many of the frames.
    pub(crate) own: u8,
    pub(crate) frames: Vec<Frame>,
}

/// One message: right, but for its twists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) layout: Layout,
    pub(crate) twists: Vec<Twist>,
    /// The descriptors that it is to bring, each kind so many times.
    pub(crate) fds: Vec<(Kind, u8)>,
    /// What the payload is lengthened to with zeros, a place in `PADDED`.
    pub(crate) padded: u8,
    pub(crate) payload: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twist {
    pub(crate) what: What,
    pub(crate) by: u64,
}

/// Enums of which a byte chooses one.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $first:ident $(, $(#[$case_doc:meta])* $case:ident)* $(,)? })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub(crate) enum $name {
            #[default]
            $first,
            $($(#[$case_doc])* $case,)*
        }

        impl $name {
            pub(crate) const ALL: &[Self] = &[Self::$first $(, Self::$case)*];

            pub(crate) fn chosen(by: u64) -> Self {
                Self::ALL[(by % Self::ALL.len() as u64) as usize]
            }
        }
    )*};
}

choices! {
    /// Who reads. The sockets read messages without a header.
    Reader { Raw, Values, Units, Handles, Cbor, Json, Postcard, CborAndOneFd }

    /// Where the payload lies: the kinds of the header, in their order.
    Layout { Inline, Memory, Ahead, CameAhead }

    /// Descriptors.
    Kind {
        PipeToRead, PipeToWrite, Null, Seqpacket, Stream,
        /// The ends of the channel itself.
        OwnSender, OwnReceiver,
        Sealed, Unsealed,
        /// A socket that keeps who closes it waiting.
        Lingering,
        Listening,
        /// A socket with descriptors in it.
        Loaded,
        /// The one before once more.
        Again,
        Event, Directory, Datagrams, Path,
    }

    /// What is not as it should be.
    What {
        Magic, Kind, Count, Length,
        /// The message is cut to so many bytes, or has so many more.
        Cut, Longer,
        /// No memory in front, or behind the other descriptors.
        Front,
        /// Something else in the place of the memory.
        NoMemory,
        Seals, Size, Access,
        /// The payload in the message and in memory.
        Both,
        /// This ticket and not 0.
        Ticket,
        /// So many times more, each with the next ticket.
        More,
    }
}

/// Decisions out of bytes. Behind their end every answer is 0.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    fn below(&mut self, bound: u8) -> u8 {
        self.byte() % bound
    }

    /// Most numbers are a byte.
    fn number(&mut self) -> u64 {
        match self.byte() {
            u8::MAX => u64::from_le_bytes(std::array::from_fn(|_| self.byte())),
            small => small.into(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = self.number().min(self.0.len() as u64) as usize;
        let (front, rest) = self.0.split_at(length);
        self.0 = rest;
        front.to_vec()
    }
}

const MOST_FRAMES: u8 = 6;
const MOST_TWISTS: u8 = 4;
const MOST_KINDS: u8 = 6;

impl Plan {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let input = &mut Input(bytes);
        let (reader, limit, own) = (Reader::chosen(input.byte().into()), input.byte(), input.byte());
        let frames = (0..=input.below(MOST_FRAMES)).map(|_| Frame::read(input)).collect();
        Self { reader, limit, own, frames }
    }

    /// The bytes that become this plan.
    #[allow(dead_code, reason = "the fuzzer writes no seeds")]
    pub(crate) fn write(&self) -> Vec<u8> {
        let mut bytes = vec![self.reader as u8, self.limit, self.own, (self.frames.len() - 1) as u8];
        for frame in &self.frames {
            frame.write(&mut bytes);
        }
        bytes
    }
}

impl Frame {
    fn read(input: &mut Input<'_>) -> Self {
        let layout = Layout::chosen(input.byte().into());
        let twists = (0..input.below(MOST_TWISTS + 1))
            .map(|_| Twist { what: What::chosen(input.byte().into()), by: input.number() })
            .collect();
        let fds = (0..input.below(MOST_KINDS + 1)).map(|_| (Kind::chosen(input.byte().into()), input.byte())).collect();
        Self { layout, twists, fds, padded: input.byte(), payload: input.bytes() }
    }

    #[allow(dead_code, reason = "the fuzzer writes no seeds")]
    fn write(&self, bytes: &mut Vec<u8>) {
        let number = |bytes: &mut Vec<u8>, number: u64| match number {
            0..255 => bytes.push(number as u8),
            _ => bytes.extend([&[u8::MAX][..], &number.to_le_bytes()].concat()),
        };
        bytes.extend([self.layout as u8, self.twists.len() as u8]);
        for twist in &self.twists {
            bytes.push(twist.what as u8);
            number(bytes, twist.by);
        }
        bytes.push(self.fds.len() as u8);
        for (kind, times) in &self.fds {
            bytes.extend([*kind as u8, *times]);
        }
        bytes.push(self.padded);
        number(bytes, self.payload.len() as u64);
        bytes.extend(&self.payload);
    }

    /// By how much, if it has this twist.
    pub(crate) fn twist(&self, what: What) -> Option<u64> {
        self.twists.iter().find(|twist| twist.what == what).map(|twist| twist.by)
    }
}
