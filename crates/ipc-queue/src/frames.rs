//! The frames of the handshake as bytes: `docs/protocol.md`, version 2.

use crate::{Reason, Refused};

pub(crate) const MAGIC: [u8; 4] = *b"mnpf";
/// Written in native byte order, so the other order shows.
pub(crate) const ORDER: u32 = 0x0102_0304;
/// The versions of the protocol that this code speaks.
pub(crate) const VERSION_MIN: u16 = 2;
pub(crate) const VERSION_MAX: u16 = 2;
pub(crate) const HEADER: usize = 16;
pub(crate) const LONGEST_BODY: usize = 1024;

/// This side is registered for, and can call, `MEMBARRIER_CMD_GLOBAL_EXPEDITED`.
pub(crate) const FEATURE_MEMBARRIER: u32 = 1;

const HELLO: u16 = 1;
const ACCEPT: u16 = 2;
const REJECT: u16 = 3;

const HELLO_FIXED: usize = 48;
const REJECT_FIXED: usize = 24;

/// What the elements do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Direction {
    Both = 0,
    Produce = 1,
    Consume = 2,
}

/// What a side says of itself. Numbers are as they came: judged by the handshake, not by the parser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hello {
    pub(crate) version_min: u16,
    pub(crate) version_max: u16,
    pub(crate) features: u32,
    pub(crate) role: u8,
    pub(crate) direction: u8,
    pub(crate) layout: u16,
    pub(crate) element_align: u32,
    pub(crate) element_size: u64,
    pub(crate) slot_count: u64,
    pub(crate) start: u64,
    pub(crate) schema: String,
    pub(crate) name: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Hello(Hello),
    Accept,
    Reject(Refused),
}

/// A parsed header: the kind, and how many bytes of body follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: u16,
    pub(crate) length: usize,
}

impl FrameHeader {
    pub(crate) fn parse(bytes: &[u8; HEADER]) -> Result<Self, Refused> {
        let mut fields = Fields(bytes);
        let (magic, order) = (fields.take::<4>(), fields.u32());
        let (kind, version, length) = (fields.u16(), fields.u16(), fields.u32());
        if magic != MAGIC {
            return Err(Refused::new(Reason::Magic, u32::from_be_bytes(MAGIC), u32::from_be_bytes(magic)));
        }
        if order != ORDER {
            return Err(Refused::new(Reason::ByteOrder, ORDER, order));
        }
        // Frames of a later protocol may be of any kind and length: what is compared is the version it can go down to, in Hello.
        if version < VERSION_MIN {
            return Err(Refused::new(Reason::Version, VERSION_MIN, version));
        }
        if length as usize > LONGEST_BODY {
            return Err(Refused::new(Reason::Malformed, LONGEST_BODY as u64, length));
        }
        Ok(Self { kind, length: length as usize })
    }
}

impl Frame {
    pub(crate) fn kind(&self) -> u16 {
        match self {
            Self::Hello(_) => HELLO,
            Self::Accept => ACCEPT,
            Self::Reject(_) => REJECT,
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut body = Vec::new();
        match self {
            Self::Hello(hello) => hello.encode(&mut body),
            Self::Accept => {}
            Self::Reject(refused) => encode_reject(refused, &mut body),
        }
        let mut frame = Vec::with_capacity(HEADER + body.len());
        frame.extend(MAGIC);
        frame.extend(ORDER.to_ne_bytes());
        frame.extend(self.kind().to_ne_bytes());
        frame.extend(VERSION_MIN.to_ne_bytes());
        frame.extend((body.len() as u32).to_ne_bytes());
        frame.extend(body);
        frame
    }

    pub(crate) fn parse(kind: u16, body: &[u8]) -> Result<Self, Refused> {
        match kind {
            HELLO => Hello::parse(body).map(Self::Hello),
            ACCEPT if body.is_empty() => Ok(Self::Accept),
            ACCEPT => Err(Refused::new(Reason::Malformed, 0u64, body.len() as u64)),
            REJECT => parse_reject(body).map(Self::Reject),
            _ => Err(Refused::new(Reason::OutOfOrder, 0u64, kind)),
        }
    }
}

impl Hello {
    fn encode(&self, body: &mut Vec<u8>) {
        body.extend(self.version_min.to_ne_bytes());
        body.extend(self.version_max.to_ne_bytes());
        body.extend(self.features.to_ne_bytes());
        body.extend([self.role, self.direction]);
        body.extend(self.layout.to_ne_bytes());
        body.extend(self.element_align.to_ne_bytes());
        body.extend(self.element_size.to_ne_bytes());
        body.extend(self.slot_count.to_ne_bytes());
        body.extend(self.start.to_ne_bytes());
        // `Options` are checked before: neither text is over 255 bytes.
        body.extend([self.schema.len() as u8, self.name.len() as u8]);
        body.extend([0; 6]);
        body.extend(self.schema.as_bytes());
        body.extend(self.name.as_bytes());
    }

    fn parse(body: &[u8]) -> Result<Self, Refused> {
        let malformed = |expected: usize| Refused::new(Reason::Malformed, expected as u64, body.len() as u64);
        let (fixed, texts) = body.split_at_checked(HELLO_FIXED).ok_or_else(|| malformed(HELLO_FIXED))?;
        let mut fields = Fields(fixed);
        let (version_min, version_max, features) = (fields.u16(), fields.u16(), fields.u32());
        let [role, direction] = fields.take();
        let (layout, element_align) = (fields.u16(), fields.u32());
        let (element_size, slot_count, start) = (fields.u64(), fields.u64(), fields.u64());
        let [schema, name] = fields.take::<2>().map(usize::from);
        if texts.len() != schema + name {
            return Err(malformed(HELLO_FIXED + schema + name));
        }
        let (schema, name) = texts.split_at(schema);
        Ok(Self {
            version_min,
            version_max,
            features,
            role,
            direction,
            layout,
            element_align,
            element_size,
            slot_count,
            start,
            // A peer's text is for people: what is no UTF-8 becomes replacement characters.
            schema: String::from_utf8_lossy(schema).into_owned(),
            name: String::from_utf8_lossy(name).into_owned(),
        })
    }
}

/// The sender's value comes first.
fn encode_reject(refused: &Refused, body: &mut Vec<u8>) {
    let text = refused.texts.as_ref().map_or("", |(here, _)| here);
    body.extend((refused.reason as u16).to_ne_bytes());
    body.extend([text.len() as u8, 0, 0, 0, 0, 0]);
    body.extend(refused.here.to_ne_bytes());
    body.extend(refused.there.to_ne_bytes());
    body.extend(text.as_bytes());
}

/// A Reject in the receiver's words: here and there change places. Its text, the sender's schema, is put beside ours by the
/// handshake.
fn parse_reject(body: &[u8]) -> Result<Refused, Refused> {
    let malformed = |expected: usize| Refused::new(Reason::Malformed, expected as u64, body.len() as u64);
    let (fixed, text) = body.split_at_checked(REJECT_FIXED).ok_or_else(|| malformed(REJECT_FIXED))?;
    let mut fields = Fields(fixed);
    let code = fields.u16();
    let [length, ..] = fields.take::<6>();
    let (there, here) = (fields.u64(), fields.u64());
    if text.len() != usize::from(length) {
        return Err(malformed(REJECT_FIXED + usize::from(length)));
    }
    let reason = Reason::from_code(code).ok_or(Refused::new(Reason::Malformed, 0u64, code))?;
    let texts = (reason == Reason::Schema).then(|| (String::new(), String::from_utf8_lossy(text).into_owned()));
    Ok(Refused { reason, here, there, texts, by_peer: true })
}

/// Takes fields off the front. Lengths are checked by the callers.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("the caller has checked the length");
        self.0 = rest;
        *field
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }

    fn u64(&mut self) -> u64 {
        u64::from_ne_bytes(self.take())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `receive` does with the bytes of one whole frame.
    fn parse(bytes: &[u8]) -> Result<Frame, Refused> {
        let (header, body) = bytes.split_first_chunk::<HEADER>().expect("at least a header");
        let header = FrameHeader::parse(header)?;
        assert_eq!(header.length, body.len());
        Frame::parse(header.kind, body)
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn example() -> Hello {
        Hello {
            version_min: 2,
            version_max: 2,
            features: FEATURE_MEMBARRIER,
            role: 0,
            direction: Direction::Produce as u8,
            layout: 1,
            element_align: 8,
            element_size: 64,
            slot_count: 1024,
            start: 0,
            schema: "quote/1".into(),
            name: "eth0".into(),
        }
    }

    /// The same in either's words.
    fn told(refused: Refused) -> Refused {
        let texts = refused.texts.map(|(here, _)| (String::new(), here));
        Refused { here: refused.there, there: refused.here, texts, by_peer: true, ..refused }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_bytes_of_version_2_never_change() {
        let hello = "6d6e706604030201010002003b000000\
             0200020001000000000101000800000040000000000000000004000000000000000000000000000007040000000000007\
             1756f74652f3165746830";
        let accept = "6d6e7066040302010200020000000000";
        let reject = "6d6e7066040302010300020018000000090000000000000008000000000000001000000000000000";
        let refused = Refused::new(Reason::ElementSize, 8u64, 16u64);
        let page: String = include_str!("../../../docs/protocol.md").split_whitespace().collect();
        for (frame, bytes) in
            [(Frame::Hello(example()), hello), (Frame::Accept, accept), (Frame::Reject(refused), reject)]
        {
            assert_eq!(hex(&frame.encode()), bytes);
            assert!(page.contains(bytes), "docs/protocol.md has other bytes for {frame:?}");
        }
    }

    #[test]
    fn a_body_with_a_byte_missing_or_too_many_is_malformed() {
        let schema = Refused::new(Reason::Schema, 0u64, 0u64).with_texts("mine", "yours");
        for frame in [Frame::Hello(example()), Frame::Accept, Frame::Reject(schema)] {
            let body = frame.encode().split_off(HEADER);
            for length in (0..body.len()).chain([body.len() + 1, body.len() + 500]) {
                let mut body = body.clone();
                body.resize(length, 0);
                let refused = Frame::parse(frame.kind(), &body).expect_err("the length does not fit");
                assert_eq!((refused.reason, refused.there), (Reason::Malformed, length as u64), "{frame:?}");
            }
        }
    }

    #[test]
    fn a_reject_of_every_reason_arrives_in_the_receivers_words() {
        for reason in Reason::ALL {
            let mut refused = Refused::new(reason, 3u64, u64::MAX);
            if reason == Reason::Schema {
                refused = refused.with_texts("mine", "yours");
            }
            assert_eq!(parse(&Frame::Reject(refused.clone()).encode()), Ok(Frame::Reject(told(refused))));
        }
        for code in [0, 23, u16::MAX] {
            assert_eq!(Reason::from_code(code), None);
        }
    }

    #[test]
    fn text_that_is_no_utf8_is_no_reason_to_fail() {
        let mut body = Frame::Hello(Hello { schema: "ab".into(), name: "c".into(), ..example() }).encode();
        let at = body.len() - 3;
        body[at..].fill(0xFF);
        let Ok(Frame::Hello(hello)) = parse(&body) else { panic!("a Hello") };
        assert_eq!((&*hello.schema, &*hello.name), ("\u{fffd}\u{fffd}", "\u{fffd}"));
    }

    prop_compose! {
        fn any_hello()(
            (version_min, version_max, features, role, direction, layout) in any::<(u16, u16, u32, u8, u8, u16)>(),
            (element_align, element_size, slot_count, start) in any::<(u32, u64, u64, u64)>(),
            schema in "\\PC{0,60}",
            name in "[a-z]{0,255}",
        ) -> Hello {
            Hello {
                version_min, version_max, features, role, direction, layout, element_align, element_size, slot_count, start,
                schema, name,
            }
        }
    }

    proptest! {
        #[test]
        fn a_hello_is_read_as_it_was_written(hello in any_hello()) {
            let frame = Frame::Hello(hello);
            prop_assert_eq!(parse(&frame.encode()), Ok(frame));
        }

        #[test]
        fn random_bytes_are_refused_and_no_reason_to_panic(bytes in prop::collection::vec(any::<u8>(), HEADER..LONGEST_BODY)) {
            let (header, body) = bytes.split_first_chunk::<HEADER>().expect("at least a header");
            prop_assert!(FrameHeader::parse(header).is_err() || bytes.starts_with(&MAGIC));
            for kind in 0..6 {
                if let Ok(frame) = Frame::parse(kind, body) {
                    prop_assert_eq!(frame.kind(), kind);
                }
            }
        }

        #[test]
        fn a_frame_with_one_wrong_byte_is_no_reason_to_panic(hello in any_hello(), at: prop::sample::Index, byte: u8) {
            let mut bytes = Frame::Hello(hello).encode();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let (header, body) = bytes.split_first_chunk::<HEADER>().expect("at least a header");
            if let Ok(header) = FrameHeader::parse(header) {
                let _ = Frame::parse(header.kind, body);
            }
        }
    }
}
