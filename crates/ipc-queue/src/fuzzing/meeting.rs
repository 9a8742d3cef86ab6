//! A whole handshake over a socket: bytes and descriptors of a hostile peer into the code that does what the state machine asks for.
//!
//! The same conversation goes through the state machine alone. Both must come to the same end and say the same bytes.

mod conversation;
mod descriptors;

use std::{
    io::Read,
    net::Shutdown,
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use conversation::{Conversation, Piece};
use descriptors::Stock;

use crate::{
    Error, Options, Refused, Role,
    doorbell::{Bell, Rung},
    frames::{Direction, Frame, HEADER, Hello},
    fuzzing::{Reached, honest_hello, input::Input, refusal},
    handshake::{Action, Handshake},
    layout::Word,
    meet::{Meeting, Met, Step, meet},
    segment::Segment,
    sync::Ordering::Relaxed,
};

/// The honest side's settings.
struct Side {
    role: Role,
    direction: Direction,
    options: Options,
    hello: Hello,
}

/// How the peer goes about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Piece by piece, and lets this side answer in between; then it says no more.
    Slow,
    /// Everything at once; then it says no more.
    Talkative,
    /// Everything at once; then it neither says nor hears more.
    Hasty,
}

/// What a handshake comes to.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Open(Hello),
    Refused(Refused),
    /// The peer ended before the handshake.
    Left,
}

/// What the state machine comes to by itself.
struct Alone {
    outcome: Outcome,
    said: Vec<Frame>,
    /// Where the peer's ring starts, as it said.
    start: u64,
}

/// One handshake. The first bytes choose the honest side's settings and the peer's manner; then come the pieces that it says.
pub fn meeting(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let side = side(&mut input);
    let manner = [Manner::Slow, Manner::Slow, Manner::Talkative, Manner::Hasty][input.below(4)];
    let mut stock = Stock::new();
    let conversation = Conversation::new(&mut input, &side.hello);
    let alone = alone(&side, &conversation);
    let (stream, theirs) = UnixStream::pair().expect("a pair of sockets");
    let met = match manner {
        Manner::Slow => slowly(&side, &conversation, stream, &theirs, &mut stock),
        _ => at_once(&side, &conversation, stream, &theirs, manner, &mut stock),
    };
    let reached = match (&met, manner) {
        (Err(Error::Refused(refused)), Manner::Hasty) => format!("{:?}: {}", manner, refusal(refused)),
        (result, Manner::Hasty) => {
            assert!(matches!(result, Err(Error::Disconnected)), "nobody hears: {result:?}");
            format!("{manner:?}: left")
        }
        (result, _) => {
            assert_eq!(outcome(result), alone.outcome);
            must_have_said(&side.hello, &theirs, &alone);
            match &alone.outcome {
                Outcome::Open(_) => format!("{:?} opens, direction {}", side.role, side.hello.direction),
                Outcome::Refused(refused) => refusal(refused),
                Outcome::Left => format!("left after {}", alone.said.len()),
            }
        }
    };
    if let Ok(met) = met {
        must_ring(met, &theirs, &stock);
    }
    drop(theirs);
    stock.must_be_alone();
    Reached::from([reached])
}

fn side(input: &mut Input<'_>) -> Side {
    let role = if input.flag() { Role::Client } else { Role::Server };
    let direction = [Direction::Both, Direction::Produce, Direction::Consume][input.below(3)];
    let limit = [1 << 30, 16384, 12288][input.below(3)];
    let schema = ["", "quote/1"][input.below(2)];
    let options = Options::new().capacity(8).schema(schema).max_segment(limit).force_fence();
    let hello = honest_hello(role, direction, schema);
    Side { role, direction, options, hello }
}

/// What the state machine comes to with these frames, and what it says meanwhile.
fn alone(side: &Side, conversation: &Conversation) -> Alone {
    let mut handshake = Handshake::new(side.role, side.hello.clone(), side.options.max_segment);
    let (mut reader, mut said) = (conversation.reader(), Vec::new());
    // Ends: each turn reads a frame or comes closer to the end of the handshake.
    let outcome = loop {
        match handshake.action() {
            Action::Send(frame) => {
                said.push(frame);
                handshake.sent();
            }
            Action::Receive => match reader.frame() {
                None => break Outcome::Left,
                Some(Err(refused)) => handshake.refuse(refused),
                Some(Ok(frame)) => handshake.received(frame, reader.given().len()),
            },
            Action::Adopt => {
                let size = handshake.peer().and_then(|peer| peer.geometry().size()).expect("within the limit");
                match descriptors::flaw(reader.given(), size) {
                    None => handshake.adopted(),
                    Some(refused) => handshake.refuse(refused),
                }
            }
            Action::Open => break Outcome::Open(handshake.peer().expect("open").clone()),
            Action::Refuse(refused) => break Outcome::Refused(refused),
        }
    };
    Alone { outcome, said, start: handshake.peer().map_or(0, |peer| peer.start) }
}

fn outcome(met: &Result<Met, Error>) -> Outcome {
    match met {
        Ok(met) => Outcome::Open(met.theirs.clone()),
        Err(Error::Refused(refused)) => Outcome::Refused(refused.clone()),
        Err(Error::Disconnected) => Outcome::Left,
        Err(error) => panic!("{error:?}"),
    }
}

fn say(piece: &Piece, theirs: &UnixStream, stock: &mut Stock) {
    let given: Vec<OwnedFd> = piece.given.iter().map(|given| stock.make(*given)).collect();
    let fds: Vec<_> = given.iter().map(AsFd::as_fd).collect();
    let sent = fdpass::try_send_fds(theirs, &piece.bytes, &fds).expect("room for a few bytes");
    assert_eq!(sent, piece.bytes.len());
}

fn slowly(
    side: &Side,
    conversation: &Conversation,
    stream: UnixStream,
    theirs: &UnixStream,
    stock: &mut Stock,
) -> Result<Met, Error> {
    let mut meeting = Meeting::new::<u64>(stream, side.role, side.direction, false, &side.options)?;
    let mut step = || {
        for piece in &conversation.pieces {
            if let Step::Done = meeting.step()? {
                return Ok(());
            }
            say(piece, theirs, stock);
        }
        theirs.shutdown(Shutdown::Write).expect("a connected socket");
        match meeting.step()? {
            Step::Done => Ok(()),
            Step::Wait(_) => panic!("it waits for a peer that says no more"),
        }
    };
    match step() {
        Ok(()) => meeting.finish(),
        Err(error) => {
            meeting.hang_up();
            Err(error)
        }
    }
}

fn at_once(
    side: &Side,
    conversation: &Conversation,
    stream: UnixStream,
    theirs: &UnixStream,
    manner: Manner,
    stock: &mut Stock,
) -> Result<Met, Error> {
    for piece in &conversation.pieces {
        say(piece, theirs, stock);
    }
    let how = if manner == Manner::Hasty { Shutdown::Both } else { Shutdown::Write };
    theirs.shutdown(how).expect("a connected socket");
    meet::<u64>(stream, side.role, side.direction, &side.options)
}

/// What has come to the peer is what was due, each Hello with what belongs to it.
fn must_have_said(ours: &Hello, mut theirs: &UnixStream, alone: &Alone) {
    theirs.set_nonblocking(true).expect("a socket");
    for frame in &alone.said {
        let due = frame.encode();
        let mut bytes = vec![0; due.len()];
        let received = fdpass::try_recv_fds(theirs, &mut bytes, 4).expect("what is due");
        assert!(received.len == due.len() && bytes == due, "{frame:?} was due, not {bytes:x?}");
        let hello = matches!(frame, Frame::Hello(_));
        let fds = if !hello {
            0
        } else if ours.direction == Direction::Both as u8 {
            2
        } else {
            1
        };
        assert_eq!(received.fds.len(), fds, "what goes with {frame:?}");
        if let Some(segment) = received.fds.first() {
            let segment =
                Segment::adopt(segment, ours.geometry()).map_err(|flaw| flaw.reason).expect("a sound segment");
            must_start_where_it_was_said(&segment, alone);
        }
    }
    // A reset where it closed with bytes unread.
    assert!(!matches!(theirs.read(&mut [0; HEADER]), Ok(1..)), "more than what was due");
}

/// Behind an Accept the positions are those that were announced; before it they are still 0, and so is the tail.
fn must_start_where_it_was_said(segment: &Segment, alone: &Alone) {
    let start = if alone.said.contains(&Frame::Accept) { alone.start } else { 0 };
    for (word, due) in [(Word::Head, start), (Word::WakeTail, start), (Word::Tail, 0), (Word::WakeHead, 0)] {
        assert_eq!(segment.live().word(word).load(Relaxed), due, "{word:?}");
    }
}

/// Both rings have sockets over which a bell comes to the peer.
fn must_ring(met: Met, mut theirs: &UnixStream, stock: &Stock) {
    let Met { mut first, second, connection, .. } = met;
    let mut bell = [0; 24];
    assert_eq!(first.ring(Bell::Data, 1, 2), Rung::Sent);
    theirs.read_exact(&mut bell).expect("a bell");
    assert_eq!(bell.as_slice(), [1_u64, 1, 2].map(u64::to_ne_bytes).concat());
    if let Some(mut second) = second {
        stock.must_hear(|| second.ring(Bell::Room, 3, 4));
    }
    drop(connection);
}
