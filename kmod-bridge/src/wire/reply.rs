//! Answers, in the three dialects that a client may have asked for.
//!
//! ```text
//! simple      magic u32 | error u32 | cookie u64                                                    16 bytes
//! structured  magic u32 | flags u16 | type u16 | cookie u64 | length u32                            20 bytes
//! extended    magic u32 | flags u16 | type u16 | cookie u64 | offset u64 | length u64               32 bytes
//! ```
//! A structured or extended answer is one chunk or several, the last of which bears the flag "done".

use super::constants::magic;
use super::descriptor::Descriptor;
use super::error::NbdError;

const FLAG_DONE: u16 = 1;

const CHUNK_NONE: u16 = 0;
const CHUNK_OFFSET_DATA: u16 = 1;
const CHUNK_OFFSET_HOLE: u16 = 2;
const CHUNK_BLOCK_STATUS: u16 = 5;
const CHUNK_BLOCK_STATUS_EXT: u16 = 6;
const CHUNK_ERROR: u16 = (1 << 15) | 1;

/// The longest head: an extended one, and the offset and length of a hole.
const HEAD_BYTES_MAX: usize = 44;

/// The longest text that goes with an error.
const MESSAGE_BYTES_MAX: usize = 4096;

/// The dialect of a connection's answers; the last one has longer requests too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReplyMode {
    Simple,
    Structured,
    Extended,
}

/// The beginning of an answer, built without allocation; payload may follow.
#[derive(Clone, Copy, Debug)]
pub struct ReplyHead {
    bytes: [u8; HEAD_BYTES_MAX],
    len: usize,
}

/// Whether a chunk ends its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    Last,
    More,
}

/// What an answer answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    position: Position,
    kind: u16,
    cookie: u64,
    /// The request's offset, which only extended heads repeat.
    offset: u64,
    length: u64,
}

impl ReplyHead {
    fn new() -> Self {
        Self {
            bytes: [0; HEAD_BYTES_MAX],
            len: 0,
        }
    }

    fn put(mut self, field: &[u8]) -> Self {
        self.bytes[self.len..][..field.len()].copy_from_slice(field);
        self.len += field.len();
        self
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl ReplyMode {
    /// It was done, and there is nothing more to say.
    pub fn done(self, cookie: u64, offset: u64) -> ReplyHead {
        self.chunk_or(cookie, offset, CHUNK_NONE, 0, 0)
    }

    /// The data that were read follow: `len_bytes`, at least one.
    pub fn data(self, cookie: u64, offset: u64, len_bytes: u64) -> ReplyHead {
        let head = self.chunk_or(cookie, offset, CHUNK_OFFSET_DATA, len_bytes + 8, 0);
        match self {
            Self::Simple => head,
            Self::Structured | Self::Extended => head.put(&offset.to_be_bytes()),
        }
    }

    /// A part of the data that were read follows: `len_bytes` from `at` on, of a request at `offset`. For connections with
    /// chunks.
    pub fn part(self, cookie: u64, offset: u64, at: u64, len_bytes: u64) -> ReplyHead {
        let chunk = Chunk {
            position: Position::More,
            kind: CHUNK_OFFSET_DATA,
            cookie,
            offset,
            length: len_bytes + 8,
        };
        self.begin(&chunk, 0).put(&at.to_be_bytes())
    }

    /// Instead of data: `len_bytes` from `at` on are all zeroes. Simple answers have no word for that.
    pub fn hole(
        self,
        cookie: u64,
        offset: u64,
        (at, len_bytes): (u64, u32),
        position: Position,
    ) -> Option<ReplyHead> {
        let chunk = Chunk {
            position,
            kind: CHUNK_OFFSET_HOLE,
            cookie,
            offset,
            length: 12,
        };
        (self != Self::Simple).then(|| {
            self.begin(&chunk, 0)
                .put(&at.to_be_bytes())
                .put(&len_bytes.to_be_bytes())
        })
    }

    /// It was not done. `message` is for people; simple answers have no room for it.
    pub fn error(self, cookie: u64, offset: u64, error: NbdError, message: &str) -> Vec<u8> {
        let message = shortened(message);
        let length = 4 + 2 + message.len() as u64;
        let head = self.chunk_or(cookie, offset, CHUNK_ERROR, length, error.code());
        let mut bytes = head.as_bytes().to_vec();
        if self != Self::Simple {
            bytes.extend(error.code().to_be_bytes());
            bytes.extend((message.len() as u16).to_be_bytes());
            bytes.extend(message.as_bytes());
        }
        bytes
    }

    /// What lies from `offset` on, as one context sees it. Only a connection with structured or extended answers can have
    /// asked.
    pub fn block_status(
        self,
        cookie: u64,
        offset: u64,
        (context, descriptors): (u32, &[Descriptor]),
        position: Position,
    ) -> Vec<u8> {
        let (kind, fixed, each) = match self {
            Self::Extended => (CHUNK_BLOCK_STATUS_EXT, 8, 16),
            Self::Simple | Self::Structured => (CHUNK_BLOCK_STATUS, 4, 8),
        };
        let chunk = Chunk {
            position,
            kind,
            cookie,
            offset,
            length: fixed + each * descriptors.len() as u64,
        };
        let head = self.begin(&chunk, 0);
        let mut bytes = Vec::with_capacity(head.len + chunk.length as usize);
        bytes.extend(head.as_bytes());
        bytes.extend(context.to_be_bytes());
        if self == Self::Extended {
            bytes.extend((descriptors.len() as u32).to_be_bytes());
        }
        for Descriptor { len_bytes, state } in descriptors {
            if self == Self::Extended {
                bytes.extend(len_bytes.to_be_bytes());
                bytes.extend(u64::from(*state).to_be_bytes());
            } else {
                // A compact request asks for less than 4 GiB, and an answer never says more than was asked for.
                bytes.extend((*len_bytes as u32).to_be_bytes());
                bytes.extend(state.to_be_bytes());
            }
        }
        bytes
    }

    fn chunk_or(self, cookie: u64, offset: u64, kind: u16, length: u64, error: u32) -> ReplyHead {
        let chunk = Chunk {
            position: Position::Last,
            kind,
            cookie,
            offset,
            length,
        };
        self.begin(&chunk, error)
    }

    fn begin(self, chunk: &Chunk, error: u32) -> ReplyHead {
        match self {
            Self::Simple => ReplyHead::new()
                .put(&magic::REPLY_SIMPLE.to_be_bytes())
                .put(&error.to_be_bytes())
                .put(&chunk.cookie.to_be_bytes()),
            Self::Structured => chunk
                .begin(magic::REPLY_STRUCTURED)
                .put(&(chunk.length as u32).to_be_bytes()),
            Self::Extended => chunk
                .begin(magic::REPLY_EXTENDED)
                .put(&chunk.offset.to_be_bytes())
                .put(&chunk.length.to_be_bytes()),
        }
    }
}

impl Chunk {
    fn begin(&self, magic: u32) -> ReplyHead {
        let flags = match self.position {
            Position::Last => FLAG_DONE,
            Position::More => 0,
        };
        ReplyHead::new()
            .put(&magic.to_be_bytes())
            .put(&flags.to_be_bytes())
            .put(&self.kind.to_be_bytes())
            .put(&self.cookie.to_be_bytes())
    }
}

/// As much of a message as may travel, cut between characters.
fn shortened(message: &str) -> &str {
    let mut len = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(len) {
        len -= 1;
    }
    &message[..len]
}

#[cfg(test)]
mod tests;
