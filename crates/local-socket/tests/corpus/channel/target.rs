//! What the fuzzer `channel` runs, and the short tests run over its corpus: messages that are more or less those of a channel, with
//! descriptors of every kind, and a receiver that must take the good ones, refuse the others, and keep nothing.

use std::{
    collections::BTreeSet,
    fs, io,
    io::IoSlice,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use fdpass::{discard, try_send_message};
use local_socket::{Error, Handle, RawSender, Sender, Socket, deserialize, serialize};
use rustix::{fs::SealFlags, net::sockopt::set_socket_send_buffer_size};

use super::{
    descriptors::{Access, Identity, Made, Maker, SEALS, borrowed, give_up, identity, memory, seqpackets},
    ends::{End, Found},
    plan::{Frame, Kind, Layout, Plan, Reader, What},
    rules::{INLINE, Rules, UNKNOWN, Verdict, names_each_once},
    value::{Look, Value},
};

/// How far an input came, in words: a corpus that no longer comes as far as it should is noticed by that.
pub(crate) type Reached = BTreeSet<String>;

/// The receiver's limit; the first is its own.
const LIMITS: [Option<usize>; 6] = [None, Some(0), Some(1), Some(100), Some(INLINE), Some(300_000)];
const OWN_LIMIT: u64 = 64 << 20;

/// What payloads are lengthened to.
pub(crate) const PADDED: [usize; 4] = [0, INLINE, INLINE + 1, 300_000];

/// A message of the library's: bytes, descriptors, and whether the socket's buffer is so small that the bytes go beside.
pub(crate) const OWN: [(usize, usize, bool); 7] = [
    (4, 1, false),
    (0, 0, false),
    (INLINE, 2, false),
    (INLINE + 1, 0, false),
    (INLINE + 1, 253, false),
    (SMALL, 3, true),
    (SMALL, 253, true),
];

/// More than fits the smallest buffer that a socket can have.
const SMALL: usize = 9_000;

/// The buffer that a socket has here otherwise.
const BUFFER: usize = 1 << 20;

/// Descriptors that the plan may send; the library's message needs some too.
const BUDGET: usize = 300;

/// How often at most a frame is sent once more.
const MOST_MORE: u64 = 20;

/// Half of how long the descriptors that linger do.
const HANGS: Duration = Duration::from_secs(3);

/// Sends what the bytes say and receives it. Panics where a promise is broken.
pub(crate) fn channel(bytes: &[u8]) -> Reached {
    let plan = Plan::read(bytes);
    let before = open();
    let reached = run(&plan).expect("sockets, pipes and files");
    assert_eq!(open(), before, "descriptors that are open afterwards, and before: {plan:?}");
    reached
}

fn open() -> BTreeSet<i32> {
    let numbers = fs::read_dir("/proc/self/fd").expect("proc(5)").filter_map(|entry| {
        let entry = entry.expect("an entry");
        // The one of this directory is gone by now.
        entry.file_name().to_str()?.parse().ok()
    });
    numbers.collect()
}

/// A message that lies in the socket.
struct Sent {
    verdict: Verdict,
    lingering: usize,
}

fn run(plan: &Plan) -> io::Result<Reached> {
    let open_before = open().len();
    let (sender, receiver) = seqpackets()?;
    set_socket_send_buffer_size(&sender, BUFFER)?;
    let limit = LIMITS[usize::from(plan.limit) % LIMITS.len()];
    let end = End::new(plan.reader, receiver, limit)?;
    let mut rules = Rules::new(limit.map_or(OWN_LIMIT, |limit| limit as u64));
    let mut reached = Reached::from([format!("{:?}", plan.reader)]);

    let mut maker = Maker { sender: sender.as_fd(), receiver: end.as_fd(), budget: BUDGET, kept: vec![], lingering: 0 };
    let behind_own = usize::from(plan.own) / OWN.len() % (plan.frames.len() + 1);
    let (before_own, behind_own) = plan.frames.split_at(plan.frames.len() - behind_own);
    let mut sent = Vec::new();
    for frame in before_own {
        sent.extend(send(frame, &mut maker, &end, plan.reader, &mut rules, &mut reached)?);
    }
    if end.is_channel() {
        receive(std::mem::take(&mut sent), &end, plan, &mut reached);
        // The end of what there is was found.
        rules.in_a_row = 0;
        sent = send_own(plan, &sender, &mut rules, &mut reached)?;
    }
    for frame in behind_own {
        sent.extend(send(frame, &mut maker, &end, plan.reader, &mut rules, &mut reached)?);
    }
    let kept = maker.kept;
    receive(sent, &end, plan, &mut reached);
    drop((sender, kept));
    let after = end.receive();
    assert!(matches!(after, Err(Error::EndOfFile)), "{after:?} after the end");
    let tickets: Vec<_> = rules.tickets().collect();
    assert_eq!(open().len(), open_before + 1 + tickets.len(), "the receiver, and what it keeps: {plan:?}");
    for ticket in tickets {
        means_nothing_to_another(ticket, plan.reader)?;
    }
    Ok(reached)
}

/// Receives what was sent, and finds that there is no more.
fn receive(sent: Vec<Sent>, end: &End, plan: &Plan, reached: &mut Reached) {
    for message in sent {
        let start = Instant::now();
        let found = end.receive();
        assert!(message.lingering == 0 || start.elapsed() < HANGS, "a descriptor that lingers was waited for");
        check(found, message.verdict, end, plan, reached);
    }
    let nothing = end.receive();
    assert!(matches!(nothing, Err(Error::WouldBlock)), "{nothing:?} of nothing: {plan:?}");
}

/// Sends what a frame says, as often as it says, and what the rules say of it.
fn send(
    frame: &Frame,
    maker: &mut Maker<'_>,
    end: &End,
    reader: Reader,
    rules: &mut Rules,
    reached: &mut Reached,
) -> io::Result<Vec<Sent>> {
    let mut all = Vec::new();
    // Of those who linger until a datagram with a verdict.
    let mut lingering = 0;
    for number in 0..=frame.twist(What::More).unwrap_or(0).min(MOST_MORE) {
        let before = maker.lingering;
        let (message, fds) = if end.is_channel() {
            build(frame, number, maker, rules)?
        } else {
            (payload(frame), maker.all(&frame.fds)?)
        };
        if try_send_message(maker.sender, &[IoSlice::new(&message)], &borrowed(&fds)).is_err() {
            // No room any more, or too many descriptors. What is on its way is closed by who receives it.
            give_up(fds);
            break;
        }
        lingering += maker.lingering - before;
        let full = rules.tickets().len();
        let verdict = match reader {
            _ if end.is_channel() => rules.judge(&message, &fds),
            Reader::CborAndOneFd if fds.len() != 1 => Verdict::Bad(Error::WrongFds { expected: 1, got: fds.len() }),
            _ => Verdict::Good { payload: message, fds: fds.iter().map(|made| identity(&made.fd)).collect() },
        };
        let now = rules.tickets().len();
        match &verdict {
            Verdict::Good { .. } if now < full => _ = reached.insert("came ahead".into()),
            Verdict::Kept if now == full => _ = reached.insert("the oldest went".into()),
            Verdict::Kept => _ = reached.insert("ahead".into()),
            _ => {}
        }
        if !matches!(verdict, Verdict::Kept) {
            all.push(Sent { verdict, lingering: std::mem::take(&mut lingering) });
        }
    }
    Ok(all)
}

fn payload(frame: &Frame) -> Vec<u8> {
    let mut payload = frame.payload.clone();
    payload.resize(payload.len().max(PADDED[usize::from(frame.padded) % PADDED.len()]), 0);
    payload
}

/// The bytes and the descriptors of a message.
fn build(frame: &Frame, number: u64, maker: &mut Maker<'_>, rules: &Rules) -> io::Result<(Vec<u8>, Vec<Made>)> {
    let payload = payload(frame);
    // Each that lingers takes a while to make.
    let kinds: Vec<_> = frame
        .fds
        .iter()
        .map(|(kind, times)| (*kind, if *kind == Kind::Lingering { *times % 2 } else { *times }))
        .collect();
    let mut fds = maker.all(&kinds)?;
    let count = fds.len() as u16;
    if matches!(frame.layout, Layout::Memory | Layout::Ahead) {
        let memory = in_the_place_of_memory(frame, maker, &payload)?;
        give_up(fds.split_off(fds.len().min(fdpass::MAX_FDS - 1)));
        match frame.twist(What::Front) {
            None => fds.insert(0, memory),
            Some(by) if by % 2 == 0 => give_up(vec![memory]),
            Some(_) => fds.push(memory),
        }
    }
    let ticket = frame.twist(What::Ticket).unwrap_or(0).wrapping_add(number).to_le_bytes();
    let length = match frame.layout {
        Layout::CameAhead => rules.length(ticket),
        _ => None,
    };
    let is_behind = frame.layout == Layout::Inline || frame.twist(What::Both).is_some();
    let mut behind = match frame.layout {
        Layout::Ahead | Layout::CameAhead => ticket.to_vec(),
        Layout::Inline | Layout::Memory => vec![],
    };
    behind.extend(if is_behind { &payload[..] } else { &[] });
    Ok((written(frame, count, length.unwrap_or(payload.len() as u64), &behind), fds))
}

fn in_the_place_of_memory(frame: &Frame, maker: &mut Maker<'_>, payload: &[u8]) -> io::Result<Made> {
    if let Some(kind) = frame.twist(What::NoMemory) {
        return maker.one(Kind::chosen(kind));
    }
    let lacking = [SealFlags::SEAL, SealFlags::SHRINK, SealFlags::GROW, SealFlags::WRITE];
    let seals = frame.twist(What::Seals).map_or(SEALS, |by| match by % 5 {
        4 => SealFlags::empty(),
        by => SEALS.difference(lacking[by as usize]),
    });
    let access = match frame.twist(What::Access) {
        None => Access::Both,
        Some(by) if by % 2 == 0 => Access::Write,
        Some(_) => Access::Read,
    };
    let size = (payload.len() as u64).wrapping_add(frame.twist(What::Size).unwrap_or(0));
    memory(payload, size, seals, access)
}

fn written(frame: &Frame, count: u16, length: u64, behind: &[u8]) -> Vec<u8> {
    let by = |what| frame.twist(what).unwrap_or(0);
    let mut message = b"lsc\x01".to_vec();
    if let Some(by) = frame.twist(What::Magic) {
        message[(by % 4) as usize] ^= (by >> 2) as u8 | 1;
    }
    message.extend((frame.layout as u16 ^ by(What::Kind) as u16).to_le_bytes());
    message.extend(count.wrapping_add(by(What::Count) as u16).to_le_bytes());
    message.extend(length.wrapping_add(by(What::Length)).to_le_bytes());
    message.extend(behind);
    if let Some(by) = frame.twist(What::Cut) {
        message.truncate(by as usize);
    }
    message.resize(message.len() + by(What::Longer).min(1 << 18) as usize, 0);
    message
}

/// A good message from the library's own sender, whatever there was before it.
fn send_own(plan: &Plan, sender: &OwnedFd, rules: &mut Rules, reached: &mut Reached) -> io::Result<Vec<Sent>> {
    let (length, count, small) = OWN[usize::from(plan.own) % OWN.len()];
    let pipes: Vec<OwnedFd> = (0..count).map(|_| Ok(io::pipe()?.0.into())).collect::<io::Result<_>>()?;
    let handles = |fds: Vec<OwnedFd>| fds.into_iter().map(Handle::new);
    let value = |fds| {
        let files = handles(fds).map(Value::File).collect();
        Value::Pair(Box::new((Value::Bytes(vec![7; length]), -1, Value::Many(files))))
    };
    let (payload, fds) = match plan.reader {
        Reader::Units => (vec![], vec![]),
        Reader::Handles => serialize(handles(pipes).collect::<Vec<_>>()).map_err(io::Error::from)?,
        Reader::Values => serialize(value(pipes)).map_err(io::Error::from)?,
        _ => (vec![7; length], pipes),
    };
    let identities: Vec<_> = fds.iter().map(identity).collect();
    set_socket_send_buffer_size(sender, if small { 1 } else { BUFFER })?;
    let raw = RawSender::try_from(sender.try_clone()?)?;
    let sent = if plan.reader == Reader::Values {
        let value: Value = deserialize(&payload, fds).map_err(io::Error::from)?;
        Sender::<Value>::from(raw).send_timeout(value, Duration::ZERO).map_err(|refused| refused.error)
    } else {
        let borrowed: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        raw.send_timeout(&payload, &borrowed, Duration::ZERO)
    };
    sent.expect("a good message is sent where there is room");
    set_socket_send_buffer_size(sender, BUFFER)?;

    let is_beside = payload.len() > INLINE || small && payload.len() >= SMALL;
    let is_ahead = is_beside && identities.len() == fdpass::MAX_FDS;
    let is_too_long = payload.len() as u64 > rules.limit;
    if is_ahead {
        reached.insert("own message ahead".into());
    }
    if is_too_long {
        let too_long = || Verdict::Bad(Error::TooLong { length: payload.len(), room: rules.limit as usize });
        // Of both datagrams the same is said.
        return Ok((0..=usize::from(is_ahead)).map(|_| Sent { verdict: too_long(), lingering: 0 }).collect());
    }
    if is_ahead && rules.make_room() {
        reached.insert("the oldest went for the library's own".into());
    }
    Ok(vec![Sent { verdict: Verdict::Good { payload, fds: identities }, lingering: 0 }])
}

/// A receiver has what came to it, and no other.
fn means_nothing_to_another(ticket: [u8; 8], reader: Reader) -> io::Result<()> {
    let (sender, receiver) = seqpackets()?;
    let another = End::new(reader, receiver, None)?;
    let header = *b"lsc\x01\x03\0\0\0\0\0\0\0\0\0\0\0";
    try_send_message(&sender, &[IoSlice::new(&header), IoSlice::new(&ticket)], &[]).expect("there is room");
    let found = another.receive();
    assert!(matches!(found, Err(Error::Malformed { why: UNKNOWN })), "{found:?} of a ticket of another's");
    Ok(())
}

fn check(found: Result<Found, Error>, due: Verdict, end: &End, plan: &Plan, reached: &mut Reached) {
    match (found, due) {
        (Err(found), Verdict::Bad(due)) => {
            let found = format!("{found:?}");
            assert_eq!(found, format!("{due:?}"), "{plan:?}");
            reached.insert(found.replace(|letter: char| letter.is_ascii_digit(), "").replace("why: ", ""));
        }
        (Ok(Found::Bytes(bytes, fds)), Verdict::Good { payload, fds: identities }) => {
            assert!(bytes == payload, "{} other bytes than the {} that were sent", bytes.len(), payload.len());
            assert_eq!(fds.iter().map(identity).collect::<Vec<_>>(), identities);
            discard(fds);
            reached.insert("bytes".into());
        }
        (Ok(Found::Unit), Verdict::Good { payload, fds }) => {
            assert!(payload.is_empty() && fds.is_empty());
            reached.insert("unit".into());
        }
        (Ok(Found::Handles(fds)), Verdict::Good { payload, fds: identities }) => {
            assert!(names_each_once(&payload, identities.len()), "{payload:?}");
            assert_eq!(sorted(fds.iter().map(identity).collect()), sorted(identities));
            discard(fds);
            reached.insert("handles".into());
        }
        (Ok(Found::Value(value, beside)), Verdict::Good { fds, .. }) => check_value(value, beside, fds, end, reached),
        (Err(Error::Decode(why)), Verdict::Good { payload, fds }) => {
            match end {
                End::Raw(_) => panic!("bytes are not decoded: {why}"),
                End::Units(_) => assert!(!payload.is_empty() || !fds.is_empty(), "{why}"),
                End::Handles(_) => assert!(!names_each_once(&payload, fds.len()), "{why}: {payload:?}"),
                End::Values(_) | End::Socket(..) => {}
            }
            reached.insert(format!("{:?}: {why}", plan.reader).replace(|letter: char| letter.is_ascii_digit(), ""));
        }
        (found, Verdict::Bad(due)) => panic!("{found:?} instead of {due:?}: {plan:?}"),
        (found, _) => panic!("{found:?} instead of a good message: {plan:?}"),
    }
}

fn sorted(mut identities: Vec<Identity>) -> Vec<Identity> {
    identities.sort_unstable();
    identities
}

/// It has every descriptor of its message, and what is made of it is the same value again.
fn check_value(value: Value, beside: Vec<OwnedFd>, sent: Vec<Identity>, end: &End, reached: &mut Reached) {
    let look = Look::of(&value);
    reached.insert(format!("value: {}", look.text.split_inclusive(' ').next().unwrap_or_default()));
    let came = if end.is_channel() { look.fds.clone() } else { beside.iter().map(identity).collect() };
    if end.is_channel() && look.maps > 0 {
        assert!(came.iter().all(|identity| sent.contains(identity)));
    } else {
        assert_eq!(sorted(came), sorted(sent), "{look:?}");
    }
    discard(beside);
    if look.units > 1 << 16 {
        discard(serialize(value).expect("what was decoded can be encoded").1);
        return;
    }
    match end {
        End::Socket(_, reader) => {
            assert_eq!(look.fds, [], "a descriptor without a channel");
            let (here, there) = Socket::pair().expect("two sockets");
            let there = End::new(*reader, there.into(), None).expect("a socket");
            let pipe = io::pipe().expect("a pipe").0;
            match reader {
                Reader::Cbor => here.send_cbor(&value, &[]),
                Reader::Json => here.send_json(&value, &[]),
                Reader::Postcard => here.send_postcard(&value, &[]),
                _ => here.send_cbor(&value, &[pipe.as_fd()]),
            }
            .expect("what was decoded can be sent");
            match there.receive() {
                Ok(Found::Value(again, _)) => assert_eq!(Look::of(&again), look),
                other => panic!("{other:?} of what was sent: {look:?}"),
            }
        }
        _ => {
            let (bytes, fds) = serialize(value).expect("what was decoded can be encoded");
            let again: Value = deserialize(&bytes, fds).expect("what was encoded can be decoded");
            assert_eq!(Look::of(&again), look);
            let (bytes_again, fds) = serialize(again).expect("and once more");
            assert_eq!(bytes_again, bytes);
            discard(fds);
        }
    }
}
