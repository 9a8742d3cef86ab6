//! What the honest end is.

/// The end that the hostile peer meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Receives, one way.
    Consumer,
    /// Sends, one way.
    Producer,
    /// Both ways, and answers.
    DuplexServer,
    /// Both ways, and speaks first.
    DuplexClient,
}

/// Every kind.
pub const ALL: &[Kind] = &[Kind::Consumer, Kind::Producer, Kind::DuplexServer, Kind::DuplexClient];
/// The ends that receive: the hostile peer has slots.
pub const RECEIVING: &[Kind] = &[Kind::Consumer, Kind::DuplexServer, Kind::DuplexClient];
/// The ends that send.
pub const SENDING: &[Kind] = &[Kind::Producer, Kind::DuplexServer, Kind::DuplexClient];
/// The ends with both halves, which expect a socket beside the segment.
pub const DUPLEX: &[Kind] = &[Kind::DuplexServer, Kind::DuplexClient];

impl Kind {
    /// Its name as an argument.
    pub fn name(self) -> &'static str {
        match self {
            Self::Consumer => "consumer",
            Self::Producer => "producer",
            Self::DuplexServer => "server",
            Self::DuplexClient => "client",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether it speaks first.
    pub fn is_client(self) -> bool {
        matches!(self, Self::Producer | Self::DuplexClient)
    }

    /// Whether it has a sending half.
    pub fn sends(self) -> bool {
        self != Self::Consumer
    }

    /// Whether it has a receiving half.
    pub fn receives(self) -> bool {
        self != Self::Producer
    }

    /// The role that its Hello says.
    pub fn role(self) -> u64 {
        u64::from(!self.is_client())
    }

    /// The direction that its Hello says.
    pub fn direction(self) -> u64 {
        match self {
            Self::Producer => 1,
            Self::Consumer => 2,
            Self::DuplexServer | Self::DuplexClient => 0,
        }
    }

    /// Descriptors due with its peer's Hello.
    pub fn descriptors_due(self) -> u64 {
        1 + u64::from(DUPLEX.contains(&self))
    }

    /// Bytes of its peer's segment, as a correct Hello announces them.
    pub fn peer_size(self) -> u64 {
        if self.receives() { crate::segment::SIZE } else { crate::segment::BARE }
    }
}
