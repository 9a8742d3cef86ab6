//! The handshake without any I/O: frames and counts of descriptors in, actions out. `docs/protocol.md` has the picture.
//!
//! ```text
//! client   SendHello -> AwaitHello -> Adopt -> SendAccept -> AwaitAccept -> Open
//! server   AwaitHello -> Adopt -> SendHello -> SendAccept -> AwaitAccept -> Open
//! ```
//!
//! Any refusal leads to SendReject and then to Refused; the peer's Reject leads there directly.

use crate::{
    Reason, Refused,
    frames::{Direction, Frame, Hello, VERSION_MAX, VERSION_MIN},
    layout,
    segment::Geometry,
};

/// Who speaks first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// Speaks first. One end of a connection is the client.
    Client = 0,
    /// Answers. The other end is the server.
    Server = 1,
}

impl From<i32> for Role {
    /// 0 is the client, anything else the server.
    fn from(number: i32) -> Self {
        if number == 0 { Self::Client } else { Self::Server }
    }
}

/// What the driver has to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send this frame, and with a Hello the descriptors.
    Send(Frame),
    /// Receive a frame.
    Receive,
    /// Map the segment that came with the peer's Hello, and say how it went (`adopted`).
    Adopt,
    /// Done: the peer is as its Hello says.
    Open,
    /// Over.
    Refuse(Refused),
}

#[derive(Clone, Debug)]
enum State {
    SendHello,
    AwaitHello,
    Adopt,
    SendAccept,
    AwaitAccept,
    Open,
    SendReject(Refused),
    Refused(Refused),
}

/// One side's handshake.
#[derive(Clone, Debug)]
pub(crate) struct Handshake {
    role: Role,
    ours: Hello,
    limit: u64,
    theirs: Option<Hello>,
    state: State,
}

impl Handshake {
    /// A handshake in which segments of the peer over `limit` bytes are refused.
    pub(crate) fn new(role: Role, ours: Hello, limit: u64) -> Self {
        let state = match role {
            Role::Client => State::SendHello,
            Role::Server => State::AwaitHello,
        };
        Self { role, ours, limit, theirs: None, state }
    }

    pub(crate) fn action(&self) -> Action {
        match &self.state {
            State::SendHello => Action::Send(Frame::Hello(self.ours.clone())),
            State::AwaitHello | State::AwaitAccept => Action::Receive,
            State::Adopt => Action::Adopt,
            State::SendAccept => Action::Send(Frame::Accept),
            State::Open => Action::Open,
            State::SendReject(refused) => Action::Send(Frame::Reject(refused.clone())),
            State::Refused(refused) => Action::Refuse(refused.clone()),
        }
    }

    /// Whether all that is left is to tell the peer why.
    pub(crate) fn is_refusing(&self) -> bool {
        matches!(self.state, State::SendReject(_))
    }

    /// What the peer said of itself, once it was judged.
    pub(crate) fn peer(&self) -> Option<&Hello> {
        self.theirs.as_ref()
    }

    /// Descriptors that the peer's Hello carries: its segment and, both ways, one end of a pair of sockets.
    fn descriptors_due(&self) -> usize {
        if self.ours.direction == Direction::Both as u8 { 2 } else { 1 }
    }

    /// The frame that `action` asked to send is out.
    pub(crate) fn sent(&mut self) {
        self.state = match std::mem::replace(&mut self.state, State::Open) {
            State::SendHello if self.role == Role::Client => State::AwaitHello,
            State::SendHello => State::SendAccept,
            State::SendAccept => State::AwaitAccept,
            State::SendReject(refused) => State::Refused(refused),
            other => other,
        };
    }

    /// A frame has come, with so many descriptors.
    pub(crate) fn received(&mut self, frame: Frame, descriptors: usize) {
        if let Frame::Reject(refused) = frame {
            let texts = refused.texts.map(|(_, there)| (self.ours.schema.clone(), there));
            self.state = State::Refused(Refused { texts, ..refused });
            return;
        }
        match (&self.state, frame) {
            (State::AwaitHello, Frame::Hello(hello)) => match self.judge(&hello, descriptors) {
                Ok(()) => {
                    self.theirs = Some(hello);
                    self.state = State::Adopt;
                }
                Err(refused) => self.refuse(refused),
            },
            (State::AwaitAccept, Frame::Accept) if descriptors == 0 => self.state = State::Open,
            (State::AwaitAccept, Frame::Accept) => {
                self.refuse(Refused::new(Reason::DescriptorsSurplus, 0u64, descriptors as u64));
            }
            (_, frame) => self.refuse(Refused::new(Reason::OutOfOrder, 0u64, frame.kind())),
        }
    }

    /// The driver has mapped the peer's segment.
    pub(crate) fn adopted(&mut self) {
        self.state = match self.role {
            Role::Client => State::SendAccept,
            Role::Server => State::SendHello,
        };
    }

    /// Something does not fit: tell the peer and end.
    pub(crate) fn refuse(&mut self, refused: Refused) {
        self.state = State::SendReject(refused);
    }

    /// In the order of the fields, so that both ends come to the same reason.
    fn judge(&self, hello: &Hello, descriptors: usize) -> Result<(), Refused> {
        let ours = &self.ours;
        if hello.version_max < VERSION_MIN || hello.version_min > VERSION_MAX {
            return Err(Refused::new(Reason::Version, VERSION_MAX, hello.version_max));
        }
        if hello.role == self.role as u8 || hello.role > Role::Server as u8 {
            return Err(Refused::new(Reason::Role, self.role as u8, hello.role));
        }
        let fits = match ours.direction {
            0 => hello.direction == Direction::Both as u8,
            1 => hello.direction == Direction::Consume as u8,
            _ => hello.direction == Direction::Produce as u8,
        };
        if !fits {
            return Err(Refused::new(Reason::Direction, ours.direction, hello.direction));
        }
        if hello.layout != ours.layout {
            return Err(Refused::new(Reason::Layout, ours.layout, hello.layout));
        }
        if hello.element_size != ours.element_size {
            return Err(Refused::new(Reason::ElementSize, ours.element_size, hello.element_size));
        }
        if hello.element_align != ours.element_align {
            return Err(Refused::new(Reason::ElementAlign, ours.element_align, hello.element_align));
        }
        let due = hello.direction != Direction::Consume as u8;
        if hello.slot_count.is_power_of_two() != due || (!due && hello.slot_count != 0) {
            return Err(Refused::new(Reason::SlotCount, u64::from(due), hello.slot_count));
        }
        let size = layout::segment_size(hello.slot_count, hello.element_size).unwrap_or(u64::MAX);
        if size > self.limit {
            return Err(Refused::new(Reason::SegmentTooLarge, self.limit, size));
        }
        if !ours.schema.is_empty() && !hello.schema.is_empty() && ours.schema != hello.schema {
            return Err(Refused::new(Reason::Schema, 0u64, 0u64).with_texts(&ours.schema, &hello.schema));
        }
        self.judge_descriptors(descriptors)
    }

    fn judge_descriptors(&self, got: usize) -> Result<(), Refused> {
        let due = self.descriptors_due();
        if got < due {
            return Err(Refused::new(Reason::DescriptorsMissing, due as u64, got as u64));
        }
        if got > due {
            return Err(Refused::new(Reason::DescriptorsSurplus, due as u64, got as u64));
        }
        Ok(())
    }
}

impl Hello {
    /// The geometry of the sender's segment.
    pub(crate) fn geometry(&self) -> Geometry {
        Geometry { slot_count: self.slot_count, element_size: self.element_size, element_align: self.element_align }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Event {
        HelloOk,
        HelloWrongSize,
        Accept,
        Reject,
        Sent,
        Adopted,
    }

    use Event::{Accept, Adopted, HelloOk, HelloWrongSize, Reject, Sent};

    const EVENTS: [Event; 6] = [HelloOk, HelloWrongSize, Accept, Reject, Sent, Adopted];
    const LONGEST: usize = 5;

    /// What the handshake should be at, told from the one right order only.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Expected {
        Step(usize),
        Refusing(Reason),
        Over(Reason),
    }

    fn order(role: Role) -> [Event; LONGEST] {
        match role {
            Role::Client => [Sent, HelloOk, Adopted, Sent, Accept],
            Role::Server => [HelloOk, Adopted, Sent, Sent, Accept],
        }
    }

    impl Expected {
        /// `None`: a driver does not do this here.
        fn after(self, event: Event, role: Role) -> Option<Self> {
            Some(match (self, event) {
                (Self::Over(_) | Self::Step(LONGEST), _) => return None,
                (_, Reject) => Self::Over(Reason::Layout),
                (Self::Step(n), event) if order(role)[n] == event => Self::Step(n + 1),
                (Self::Step(n), HelloWrongSize) if order(role)[n] == HelloOk => Self::Refusing(Reason::ElementSize),
                (Self::Refusing(reason), Sent) => Self::Over(reason),
                (_, HelloOk | HelloWrongSize | Accept) => Self::Refusing(Reason::OutOfOrder),
                (_, Sent | Adopted) => return None,
            })
        }
    }

    fn hello(role: Role) -> Hello {
        Hello {
            version_min: 2,
            version_max: 2,
            features: 0,
            role: role as u8,
            direction: 0,
            layout: 1,
            element_align: 8,
            element_size: 8,
            slot_count: 8,
            start: 0,
            schema: String::new(),
            name: String::new(),
        }
    }

    fn feed(handshake: &mut Handshake, event: Event) {
        let due = 2;
        let peer = match handshake.role {
            Role::Client => Role::Server,
            Role::Server => Role::Client,
        };
        match event {
            HelloOk => handshake.received(Frame::Hello(hello(peer)), due),
            HelloWrongSize => handshake.received(Frame::Hello(Hello { element_size: 16, ..hello(peer) }), due),
            Accept => handshake.received(Frame::Accept, 0),
            Reject => handshake.received(Frame::Reject(Refused::new(Reason::Layout, 1u64, 2u64)), 0),
            Sent => handshake.sent(),
            Adopted => handshake.adopted(),
        }
    }

    fn check(handshake: &Handshake, expected: Expected, told: &[Event]) {
        let role = handshake.role;
        match (handshake.action(), expected) {
            (Action::Open, Expected::Step(LONGEST)) => assert_eq!(told, order(role), "{role:?}"),
            (Action::Send(Frame::Reject(refused)), Expected::Refusing(reason)) => {
                assert_eq!(refused.reason, reason, "{role:?}: {told:?}");
                assert!(handshake.is_refusing());
            }
            (Action::Refuse(refused), Expected::Over(reason)) => {
                assert_eq!(refused.reason, reason, "{role:?}: {told:?}")
            }
            (action, Expected::Step(n)) if n < LONGEST => {
                let accepting = order(role)[..n].contains(&HelloOk) && (role == Role::Client || n == 3);
                let fits = match order(role)[n] {
                    Sent if accepting => action == Action::Send(Frame::Accept),
                    Sent => action == Action::Send(Frame::Hello(hello(role))),
                    Adopted => action == Action::Adopt,
                    _ => action == Action::Receive,
                };
                assert!(fits, "{role:?}: {action:?} after {told:?}");
                assert_eq!(handshake.peer().is_some(), order(role)[..n].contains(&HelloOk));
                assert!(!handshake.is_refusing());
            }
            (action, expected) => panic!("{role:?}: {action:?} after {told:?}, but {expected:?}"),
        }
    }

    /// Every continuation: where a driver could be, as expected; elsewhere without a panic. Returns how often it was open.
    fn explore(handshake: &Handshake, expected: Option<Expected>, told: &mut Vec<Event>) -> usize {
        if let Some(expected) = expected {
            check(handshake, expected, told);
        }
        let mut opened = usize::from(expected == Some(Expected::Step(LONGEST)));
        if told.len() == LONGEST {
            return opened;
        }
        for event in EVENTS {
            let mut next = handshake.clone();
            feed(&mut next, event);
            told.push(event);
            opened += explore(&next, expected.and_then(|expected| expected.after(event, next.role)), told);
            told.pop();
        }
        opened
    }

    #[test]
    fn only_the_one_right_order_opens_a_connection() {
        for role in [Role::Client, Role::Server] {
            let handshake = Handshake::new(role, hello(role), 1 << 20);
            assert_eq!(explore(&handshake, Some(Expected::Step(0)), &mut Vec::new()), 1, "{role:?}");
        }
    }

    #[test]
    fn a_segment_of_exactly_the_limit_is_accepted_and_a_byte_less_is_not() {
        for (limit, accepted) in [(12288, true), (12287, false)] {
            let mut handshake = Handshake::new(Role::Server, hello(Role::Server), limit);
            feed(&mut handshake, HelloOk);
            assert_eq!(handshake.action() == Action::Adopt, accepted, "{limit}");
        }
    }
}
