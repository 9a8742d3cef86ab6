//! What the peer says: right frames and wrong ones, raw bytes, and what goes with them.

use crate::{
    Reason, Refused,
    frames::{Direction, Frame, FrameHeader, HEADER, Hello},
    fuzzing::{input::Input, meeting::descriptors::Given},
    layout,
};

/// More pieces than any handshake takes.
const MOST_PIECES: usize = 24;
/// Larger segments are not made.
const LARGEST_SEGMENT: u64 = 1 << 16;
/// What comes with a Hello at most; one more is refused before its frame is whole.
const MOST_DESCRIPTORS: usize = 2;

/// Bytes that are sent at once, and what goes with the first of them.
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    pub(super) given: Vec<Given>,
}

pub(super) struct Conversation {
    pub(super) pieces: Vec<Piece>,
}

impl Conversation {
    pub(super) fn new(input: &mut Input<'_>, ours: &Hello) -> Self {
        let mut pieces = Vec::new();
        while !input.is_empty() && pieces.len() < MOST_PIECES {
            let Piece { bytes, mut given } = said(input, ours);
            let length = if input.below(4) == 3 { 1 + input.below(64) } else { usize::MAX };
            // Some come with the first bytes, the others with the second piece.
            let mut later = given.split_off(given.len().min(input.below(8).wrapping_sub(1)));
            for bytes in bytes.chunks(length).take(MOST_PIECES) {
                pieces.push(Piece { bytes: bytes.to_vec(), given });
                given = std::mem::take(&mut later);
            }
        }
        Self { pieces }
    }

    pub(super) fn reader(&self) -> Reader<'_> {
        Reader { pieces: &self.pieces, at: 0, given: Vec::new() }
    }
}

fn said(input: &mut Input<'_>, ours: &Hello) -> Piece {
    let bare = |bytes| Piece { bytes, given: Vec::new() };
    match input.below(16) {
        0..7 => hello(input, ours),
        7..10 => bare(Frame::Accept.encode()),
        10 => Piece { bytes: Frame::Accept.encode(), given: vec![Given::Pipe; input.below(4)] },
        11 => bare(reject(input)),
        12 => {
            let length = 1 + input.below(64);
            let mut bytes = input.take(length).to_vec();
            bytes.resize(bytes.len().max(1), 0);
            Piece { bytes, given: vec![Given::Pipe; input.below(3)] }
        }
        13 => {
            let (kind, version, length) = (input.byte(), input.byte(), input.below(128));
            bare(frame(kind.into(), version.into(), input.take(length)))
        }
        _ => {
            let mut piece = hello(input, ours);
            let at = input.below(piece.bytes.len().min(256));
            piece.bytes[at] = input.byte();
            piece
        }
    }
}

/// A Hello that fits ours, but for some fields, and what goes with it.
fn hello(input: &mut Input<'_>, ours: &Hello) -> Piece {
    let direction = [0, 2, 1][usize::from(ours.direction)];
    let slot_count = if direction == Direction::Consume as u8 { 0 } else { 8 };
    let mut hello = Hello { role: 1 - ours.role, direction, slot_count, name: "raw".into(), ..ours.clone() };
    for _ in 0..input.below(8).saturating_sub(5) {
        change(input, &mut hello);
    }
    let size = layout::segment_size(hello.slot_count, hello.element_size);
    let size = size.filter(|size| *size <= LARGEST_SEGMENT).unwrap_or(8192);
    let mut given = vec![Given::numbered(input.below(16), size)];
    if ours.direction == Direction::Both as u8 {
        given.push(Given::numbered_socket(input.below(16)));
    }
    match input.below(8) {
        6 => drop(given.pop()),
        7 => given.extend(vec![Given::Pipe; input.below(4)]),
        _ => {}
    }
    Piece { bytes: Frame::Hello(hello).encode(), given }
}

fn change(input: &mut Input<'_>, hello: &mut Hello) {
    let field = input.below(12);
    let value = match input.below(16) {
        at @ 0..11 => [0, 1, 2, 3, 7, 16, 512, 1 << 16, 1 << 32, 1 << 63, u64::MAX][at],
        _ => input.u64(),
    };
    match field {
        0 => hello.version_min = value as u16,
        1 => hello.version_max = value as u16,
        2 => hello.features = value as u32,
        3 => hello.role = value as u8,
        4 => hello.direction = value as u8,
        5 => hello.layout = value as u16,
        6 => hello.element_align = value as u32,
        7 => hello.element_size = value,
        8 => hello.slot_count = value,
        9 => hello.start = value,
        10 => hello.name = "n".repeat(value.min(255) as usize),
        _ => hello.schema = ["", "quote/1", "quote/2", "\u{1b}[31m\"\u{202e}"][value as usize % 4].into(),
    }
}

fn reject(input: &mut Input<'_>) -> Vec<u8> {
    let code = u16::from(input.byte()) % 24;
    let (there, here, length) = (input.u64(), input.u64(), input.below(16));
    let text = input.take(length);
    let mut body = code.to_ne_bytes().to_vec();
    body.extend([text.len() as u8, 0, 0, 0, 0, 0]);
    body.extend([there, here].into_iter().flat_map(u64::to_ne_bytes));
    body.extend(text);
    frame(3, 2, &body)
}

fn frame(kind: u16, version: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = b"mnpf".to_vec();
    bytes.extend(0x0102_0304_u32.to_ne_bytes());
    bytes.extend([kind, version].into_iter().flat_map(u16::to_ne_bytes));
    bytes.extend((body.len() as u32).to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// Reads the pieces as one stream, frame by frame.
pub(super) struct Reader<'a> {
    pieces: &'a [Piece],
    /// Bytes of the first piece that were read.
    at: usize,
    /// What came with the last frame.
    given: Vec<Given>,
}

impl Reader<'_> {
    /// `None`: the stream ends before a whole frame.
    pub(super) fn frame(&mut self) -> Option<Result<Frame, Refused>> {
        self.given.clear();
        match self.whole_frame() {
            Ok(frame) => Some(Ok(frame)),
            Err(End::Refused(refused)) => Some(Err(refused)),
            Err(End::Left) => None,
        }
    }

    pub(super) fn given(&self) -> &[Given] {
        &self.given
    }

    fn whole_frame(&mut self) -> Result<Frame, End> {
        let header = self.read(HEADER)?;
        let header = FrameHeader::parse(header.first_chunk().expect("as long as asked for")).map_err(End::Refused)?;
        let body = self.read(header.length)?;
        Frame::parse(header.kind, &body).map_err(End::Refused)
    }

    fn read(&mut self, length: usize) -> Result<Vec<u8>, End> {
        let mut bytes = Vec::new();
        while bytes.len() < length {
            let (piece, rest) = self.pieces.split_first().ok_or(End::Left)?;
            if self.at == 0 {
                self.given.extend(&piece.given);
                let got = self.given.len();
                if got > MOST_DESCRIPTORS {
                    let (most, got) = (MOST_DESCRIPTORS as u64, got as u64);
                    return Err(End::Refused(Refused::new(Reason::DescriptorsSurplus, most, got)));
                }
            }
            let now = (piece.bytes.len() - self.at).min(length - bytes.len());
            bytes.extend(&piece.bytes[self.at..self.at + now]);
            self.at += now;
            if self.at == piece.bytes.len() {
                (self.pieces, self.at) = (rest, 0);
            }
        }
        Ok(bytes)
    }
}

/// Why there is no frame.
enum End {
    Left,
    Refused(Refused),
}
