//! Frames of a hostile peer into the handshake, as bytes.

use crate::{
    Reason, Refused, Role,
    frames::{Direction, Frame, FrameHeader, HEADER, Hello},
    fuzzing::{Reached, honest_hello, input::Input, refusal},
    handshake::{Action, Handshake},
};

/// One handshake. The first bytes choose the honest side's settings; frames of the peer follow, each behind a number of descriptors;
/// a byte says whether a segment could be mapped.
pub fn handshake(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let role = if input.flag() { Role::Client } else { Role::Server };
    let ours = ours(role, &mut input);
    let limit = [1 << 30, 16384, 12288, 8192][input.below(4)];
    let mut handshake = Handshake::new(role, ours.clone(), limit);
    let mut reached = Reached::new();
    // Ends: each turn takes input or comes closer to the end of the handshake.
    loop {
        match handshake.action() {
            Action::Send(frame) => {
                must_survive_the_way(&frame);
                handshake.sent();
            }
            Action::Receive if input.is_empty() => return reached,
            Action::Receive => receive(&mut handshake, &mut input),
            Action::Adopt if input.flag() => {
                reached.insert(format!("{role:?} does not adopt"));
                handshake.refuse(Refused::new(Reason::SegmentSize, 1u64, 2u64));
            }
            Action::Adopt => {
                must_fit(&ours, handshake.peer().expect("the peer's Hello"), limit);
                handshake.adopted();
            }
            Action::Open => {
                must_fit(&ours, handshake.peer().expect("the peer's Hello"), limit);
                reached.insert(format!("{role:?} opens, direction {}", ours.direction));
                return reached;
            }
            Action::Refuse(refused) => {
                reached.insert(refusal(&refused));
                return reached;
            }
        }
    }
}

fn ours(role: Role, input: &mut Input<'_>) -> Hello {
    let direction = [Direction::Both, Direction::Produce, Direction::Consume][input.below(3)];
    honest_hello(role, direction, ["", "quote/1"][input.below(2)])
}

/// As the driver does it: a header, then as many bytes as it says.
fn receive(handshake: &mut Handshake, input: &mut Input<'_>) {
    let descriptors = input.below(4);
    let Some(header) = input.take(HEADER).first_chunk::<HEADER>() else { return input.0 = &[] };
    match FrameHeader::parse(header) {
        Err(refused) => handshake.refuse(refused),
        Ok(header) => {
            let body = input.take(header.length);
            if body.len() < header.length {
                return;
            }
            match Frame::parse(header.kind, body) {
                Err(refused) => handshake.refuse(refused),
                Ok(frame) => {
                    must_be_all_of_it(&frame, body);
                    must_survive_the_way(&frame);
                    handshake.received(frame, descriptors);
                }
            }
        }
    }
}

/// What is written is read as it was, a Reject in the reader's words; and it stays within its bounds.
fn must_survive_the_way(frame: &Frame) {
    // Text of the peer that was no UTF-8 is longer now than it came, and is never sent again.
    if let Frame::Hello(hello) = frame
        && (hello.schema.len() > 255 || hello.name.len() > 255)
    {
        return;
    }
    let bytes = frame.encode();
    let (header, body) = bytes.split_first_chunk::<HEADER>().expect("a header");
    let header = FrameHeader::parse(header).expect("our own header");
    assert_eq!(header.length, body.len());
    match (frame, Frame::parse(header.kind, body).expect("our own frame")) {
        (Frame::Reject(said), Frame::Reject(heard)) => {
            assert_eq!((said.reason, said.here, said.there), (heard.reason, heard.there, heard.here));
            assert!(heard.by_peer);
        }
        (said, heard) => assert_eq!(*said, heard),
    }
}

/// No byte of a Hello was passed over, but where its text was no UTF-8.
fn must_be_all_of_it(frame: &Frame, body: &[u8]) {
    if let Frame::Hello(hello) = frame
        && !(hello.schema.clone() + &hello.name).contains(char::REPLACEMENT_CHARACTER)
    {
        assert_eq!(frame.encode().len(), HEADER + body.len());
    }
}

/// Both sides of an open connection agree on everything that memory safety rests on.
fn must_fit(ours: &Hello, theirs: &Hello, limit: u64) {
    assert_ne!(ours.role, theirs.role);
    assert_eq!(
        (ours.layout, ours.element_size, ours.element_align),
        (theirs.layout, theirs.element_size, theirs.element_align)
    );
    assert!(matches!((ours.direction, theirs.direction), (0, 0) | (1, 2) | (2, 1)));
    assert_eq!(theirs.slot_count.count_ones(), u32::from(theirs.direction != Direction::Consume as u8));
    assert!(8192 + u128::from(theirs.slot_count) * u128::from(theirs.element_size) <= u128::from(limit));
    assert!(ours.schema == theirs.schema || ours.schema.is_empty() || theirs.schema.is_empty());
}
