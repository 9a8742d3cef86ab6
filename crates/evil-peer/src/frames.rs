//! Frames and bells as bytes: `docs/protocol.md`, version 2.

/// The mark of the byte order.
pub const ORDER: u32 = 0x0102_0304;
/// The version of the protocol.
pub const VERSION: u16 = 2;
/// The kind of a Hello.
pub const HELLO: u16 = 1;
/// The kind of an Accept.
pub const ACCEPT: u16 = 2;
/// The kind of a Reject.
pub const REJECT: u16 = 3;

/// "There is data."
pub const DATA: u64 = 1;
/// "There is room."
pub const ROOM: u64 = 2;
/// "No more will come."
pub const FINISHED: u64 = 3;
/// A message with positions.
pub const CONTROL: u64 = 4;

/// A Hello, field by field.
#[derive(Clone, Debug)]
#[allow(missing_docs, reason = "the fields of docs/protocol.md")]
pub struct Hello {
    pub magic: [u8; 4],
    pub order: u32,
    pub kind: u16,
    pub version: u16,
    /// What the header says, if not the truth.
    pub length: Option<u32>,
    pub version_min: u16,
    pub version_max: u16,
    pub features: u32,
    pub role: u8,
    pub direction: u8,
    pub layout: u16,
    pub align: u32,
    pub size: u64,
    pub slots: u64,
    pub start: u64,
    pub padding: [u8; 6],
    pub schema: Vec<u8>,
    pub name: Vec<u8>,
    /// What the length bytes say, if not the truth.
    pub lengths: Option<[u8; 2]>,
}

impl Hello {
    /// The frame.
    pub fn bytes(&self) -> Vec<u8> {
        let mut body = Vec::new();
        body.extend(self.version_min.to_ne_bytes());
        body.extend(self.version_max.to_ne_bytes());
        body.extend(self.features.to_ne_bytes());
        body.extend([self.role, self.direction]);
        body.extend(self.layout.to_ne_bytes());
        body.extend(self.align.to_ne_bytes());
        body.extend(self.size.to_ne_bytes());
        body.extend(self.slots.to_ne_bytes());
        body.extend(self.start.to_ne_bytes());
        body.extend(self.lengths.unwrap_or([self.schema.len() as u8, self.name.len() as u8]));
        body.extend(self.padding);
        body.extend(&self.schema);
        body.extend(&self.name);
        let length = self.length.unwrap_or(body.len() as u32);
        [header(self.magic, self.order, self.kind, self.version, length), body].concat()
    }
}

fn header(magic: [u8; 4], order: u32, kind: u16, version: u16, length: u32) -> Vec<u8> {
    let mut bytes = magic.to_vec();
    bytes.extend(order.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(version.to_ne_bytes());
    bytes.extend(length.to_ne_bytes());
    bytes
}

/// Any frame.
pub fn frame(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = header(*b"mnpf", ORDER, kind, VERSION, body.len() as u32);
    bytes.extend(body);
    bytes
}

/// An Accept.
pub fn accept() -> Vec<u8> {
    frame(ACCEPT, &[])
}

/// A Reject, with the sender's number first.
pub fn reject(code: u16, here: u64, there: u64, text: &[u8]) -> Vec<u8> {
    let mut body = code.to_ne_bytes().to_vec();
    body.extend([text.len() as u8, 0, 0, 0, 0, 0]);
    body.extend(here.to_ne_bytes());
    body.extend(there.to_ne_bytes());
    body.extend(text);
    frame(REJECT, &body)
}

/// A message on the socket of a ring.
pub fn bell(kind: u64, tail: u64, head: u64) -> Vec<u8> {
    [kind, tail, head].map(u64::to_ne_bytes).concat()
}
