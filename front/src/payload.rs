//! Payloads: bytes in memory, or in a buffer of the segment, where they stay on their way (W1).

use std::rc::Rc;

use archipelago_runtime::{Memory, Station};
use xseg::{Buffer, Data, Reply, RequestError};

/// Bytes that are written or were read.
#[derive(Debug)]
#[non_exhaustive]
pub enum Payload {
    Bytes(Vec<u8>),
    /// The first bytes of a buffer of ours.
    Buffer {
        buffer: Buffer,
        len_bytes: usize,
    },
    /// The first bytes of an answer's buffer, which is ours until the answer is dropped.
    Answer {
        station: Rc<Station>,
        reply: Reply,
        len_bytes: usize,
    },
    /// So many zeroes, which need not be sent to clients that know holes.
    Zeroes {
        len_bytes: usize,
    },
}

/// Where the bytes of a payload are, for whoever copies them elsewhere.
#[derive(Debug)]
pub enum Bytes<'a> {
    Memory(&'a [u8]),
    Segment(Data<'a>),
    Zeroes,
}

/// Where the bytes of a write go.
#[derive(Debug)]
pub enum BytesMut<'a> {
    Memory(&'a mut [u8]),
    Segment(Data<'a>),
}

/// Kept until the bytes of an answer were sent.
#[derive(Debug)]
pub struct Keeper {
    _reply: Option<Reply>,
}

impl Payload {
    pub fn len_bytes(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Buffer { len_bytes, .. }
            | Self::Answer { len_bytes, .. }
            | Self::Zeroes { len_bytes } => *len_bytes,
        }
    }

    /// Does it keep a buffer of the segment from others?
    pub fn holds_buffer(&self) -> bool {
        matches!(self, Self::Buffer { .. } | Self::Answer { .. })
    }

    /// Are the bytes that it speaks of there?
    pub fn is_whole(&self) -> bool {
        let available = match self {
            Self::Bytes(_) | Self::Zeroes { .. } => return true,
            Self::Buffer { buffer, .. } => buffer.data().len(),
            Self::Answer { reply, .. } => reply.data().map_or(0, |data| data.len()),
        };
        self.len_bytes() as u64 <= available
    }

    /// As many as it says; `None`: they are not all there.
    pub fn bytes(&self) -> Option<Bytes<'_>> {
        let len_bytes = self.len_bytes() as u64;
        let data = match self {
            Self::Bytes(bytes) => return Some(Bytes::Memory(bytes)),
            Self::Zeroes { .. } => return Some(Bytes::Zeroes),
            Self::Buffer { buffer, .. } => buffer.data(),
            Self::Answer { reply, .. } => reply.data()?,
        };
        data.part(0, len_bytes).ok().map(Bytes::Segment)
    }

    /// The place for a write; `None`: it is none.
    pub fn bytes_mut(&mut self) -> Option<BytesMut<'_>> {
        match self {
            Self::Bytes(bytes) => Some(BytesMut::Memory(bytes)),
            Self::Buffer { buffer, len_bytes } => {
                let data = buffer.data().part(0, *len_bytes as u64);
                data.ok().map(BytesMut::Segment)
            }
            Self::Answer { .. } | Self::Zeroes { .. } => None,
        }
    }

    /// Puts bytes into a place for a write.
    pub fn fill(&mut self, from: usize, bytes: &[u8]) -> Result<(), RequestError> {
        let outside = RequestError::OutsideData {
            from: from as u64,
            len: bytes.len() as u64,
            available: self.len_bytes() as u64,
        };
        match self {
            Self::Bytes(all) => {
                let part = all
                    .get_mut(from..)
                    .and_then(|all| all.get_mut(..bytes.len()));
                part.ok_or(outside)?.copy_from_slice(bytes);
                Ok(())
            }
            Self::Buffer { buffer, .. } => buffer.data().write(from as u64, bytes),
            Self::Answer { .. } | Self::Zeroes { .. } => Err(outside),
        }
    }

    /// For the socket to send, and what must be kept until it has.
    pub fn into_memory(self) -> (Memory, Keeper) {
        let len_bytes = self.len_bytes();
        let (memory, reply) = match self {
            Self::Bytes(bytes) => (bytes.into(), None),
            Self::Buffer { buffer, .. } => (buffer.into(), None),
            Self::Zeroes { .. } => (vec![0; len_bytes].into(), None),
            Self::Answer { station, reply, .. } => {
                let memory = match reply.data() {
                    Some(data) => station.memory(data),
                    None => Vec::new().into(),
                };
                (memory, Some(reply))
            }
        };
        (memory.part(0..len_bytes), Keeper { _reply: reply })
    }

    /// For the socket to receive into, from byte `from` on, and how to get the payload back.
    pub fn into_receiving(self, from: usize) -> Option<(Memory, Shape)> {
        let len_bytes = self.len_bytes();
        let (memory, is_buffer): (Memory, bool) = match self {
            Self::Bytes(bytes) => (bytes.into(), false),
            Self::Buffer { buffer, .. } => (buffer.into(), true),
            Self::Answer { .. } | Self::Zeroes { .. } => return None,
        };
        let shape = Shape {
            is_buffer,
            len_bytes,
        };
        Some((memory.part(from..len_bytes), shape))
    }

    /// Adds the bytes to others: for payloads so short that a copy is cheaper than a system call (W1).
    pub fn append_to(&self, bytes: &mut Vec<u8>) -> Result<(), RequestError> {
        let from = bytes.len();
        if let Self::Bytes(own) = self {
            bytes.extend(own);
            return Ok(());
        }
        bytes.resize(from + self.len_bytes(), 0);
        let copied = match self {
            Self::Bytes(_) | Self::Zeroes { .. } => Ok(()),
            Self::Buffer { buffer, .. } => buffer.data().read(0, &mut bytes[from..]),
            Self::Answer { reply, .. } => match reply.data() {
                Some(data) => data.read(0, &mut bytes[from..]),
                None => Ok(()),
            },
        };
        if copied.is_err() {
            bytes.truncate(from);
        }
        copied
    }
}

/// What a payload was before the socket had it.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    is_buffer: bool,
    len_bytes: usize,
}

impl Shape {
    pub fn restore(self, memory: Memory) -> Payload {
        let own = "the socket gives back what it was given";
        if self.is_buffer {
            Payload::Buffer {
                buffer: memory.into_buffer().expect(own),
                len_bytes: self.len_bytes,
            }
        } else {
            Payload::Bytes(memory.into_bytes().expect(own))
        }
    }
}
