//! Bytes and descriptors of a hostile peer into the doorbell, in any pieces.

use std::{
    io::{Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use crate::{
    ControlMessage, Corrupt,
    doorbell::{Bell, Doorbell, Rung},
    fuzzing::{Reached, input::Input, name_of},
};

/// What a reader of the same bytes, who takes them message by message, would have come to.
#[derive(Default)]
struct Model {
    unread: Vec<u8>,
    control: Option<ControlMessage>,
    corrupt: Option<Corrupt>,
    descriptors: bool,
    reached: Reached,
}

impl Model {
    fn read(&mut self, bytes: &[u8]) {
        self.unread.extend(bytes);
        while self.unread.len() >= 24 && self.corrupt.is_none() {
            let message: Vec<u8> = self.unread.drain(..24).collect();
            let field = |n: usize| u64::from_ne_bytes(message[n * 8..][..8].try_into().expect("eight bytes"));
            self.reached.insert(format!("kind {}", field(0).min(5)));
            match field(0) {
                1..4 => {}
                4 => self.control = Some(ControlMessage { write_position: field(1), read_position: field(2) }),
                kind => self.corrupt = Some(Corrupt::ControlKind { kind }),
            }
        }
    }
}

/// One doorbell, and a peer that writes what the bytes say.
pub fn control(bytes: &[u8]) -> Reached {
    let mut input = Input(bytes);
    let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
    theirs.set_nonblocking(true).expect("a socket");
    let mut doorbell = Doorbell::over(ours);
    let mut model = Model::default();
    let mut watched = None;
    while !input.is_empty() {
        match input.below(8) {
            0..3 => say(&mut theirs, &mut model, input.take_some()),
            3 => {
                let kind = u64::from(input.byte()) % 6;
                let message = [kind, input.u64(), input.u64()].map(u64::to_ne_bytes).concat();
                say(&mut theirs, &mut model, &message);
            }
            4 if watched.is_none() => watched = Some(attach(&theirs, &mut model, input.take_some())),
            5 => must_arrive(&mut doorbell, &mut theirs, input.byte(), &mut model),
            6 => {
                let control = doorbell.take_control();
                if model.corrupt.is_none() && !model.descriptors {
                    assert_eq!(control, None, "taken at once when it came");
                }
            }
            _ if input.below(16) == 0 => break,
            _ => {}
        }
        if !take(&mut doorbell, &mut model) {
            break;
        }
    }
    drop(theirs);
    if model.corrupt.is_none() && !model.descriptors {
        take(&mut doorbell, &mut model);
        assert!(doorbell.hung_up(), "the end of the socket");
        model.reached.insert("end".into());
    }
    drop(doorbell);
    if let Some(mut watched) = watched {
        // The other end of what was attached: closed, or this would wait.
        assert_eq!(watched.read(&mut [0; 8]).expect("the end"), 0, "an attached descriptor was kept");
    }
    model.reached
}

impl<'a> Input<'a> {
    fn take_some(&mut self) -> &'a [u8] {
        let length = self.below(64);
        self.take(length)
    }
}

fn say(theirs: &mut UnixStream, model: &mut Model, bytes: &[u8]) {
    if theirs.write_all(bytes).is_ok() {
        model.read(bytes);
    }
}

/// Sends bytes with a descriptor, and returns the other end of that.
fn attach(theirs: &UnixStream, model: &mut Model, bytes: &[u8]) -> UnixStream {
    let (kept, attached) = UnixStream::pair().expect("a pair of sockets");
    let attached = OwnedFd::from(attached);
    let bytes = if bytes.is_empty() { &[1] } else { bytes };
    fdpass::try_send_fds(theirs, bytes, &[attached.as_fd()]).expect("room for a few bytes");
    model.descriptors = true;
    kept
}

/// Takes everything and compares. `false`: the peer broke a rule.
fn take(doorbell: &mut Doorbell, model: &mut Model) -> bool {
    // More often than the bound on one call needs for what an input can hold.
    let result = (0..4).try_for_each(|_| doorbell.take(true));
    model.reached.extend(result.err().map(|rule| format!("corrupt: {}", name_of(rule))));
    match (result, model.corrupt) {
        // Bytes before and with a descriptor may come in one read, so which rule shows first is open.
        (Err(_), _) if model.descriptors => false,
        (Ok(()), _) if model.descriptors => panic!("a descriptor came with a bell, and nothing was said"),
        (Err(said), Some(due)) => {
            assert_eq!(said, due);
            false
        }
        (Ok(()), None) => {
            if model.control.is_some() {
                model.reached.insert("control message".into());
            }
            if !model.unread.is_empty() {
                model.reached.insert("part of a message".into());
            }
            assert_eq!(doorbell.take_control(), model.control.take());
            true
        }
        (result, due) => panic!("{result:?}, but {due:?}"),
    }
}

/// A bell of ours reaches the peer as the bytes of the protocol.
fn must_arrive(doorbell: &mut Doorbell, theirs: &mut UnixStream, what: u8, model: &mut Model) {
    let bell = [Bell::Data, Bell::Room, Bell::Finished, Bell::Control][usize::from(what) % 4];
    assert_eq!(doorbell.ring(bell, u64::from(what), 7), Rung::Sent);
    let mut message = [0; 24];
    theirs.read_exact(&mut message).expect("a bell");
    assert_eq!(message.as_slice(), [bell as u64, u64::from(what), 7].map(u64::to_ne_bytes).concat());
    model.reached.insert(format!("rings {bell:?}"));
}
