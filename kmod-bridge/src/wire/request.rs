//! The header of a request, compact or extended.
//!
//! ```text
//! compact   magic u32 | flags u16 | command u16 | cookie u64 | offset u64 | length u32      28 bytes
//! extended  magic u32 | flags u16 | command u16 | cookie u64 | offset u64 | length u64      32 bytes
//! ```

use super::constants::{CommandCode, magic};
use super::fields::{Fields, TooShort};
use super::reply::ReplyMode;

/// The longer of the two headers.
pub const HEADER_BYTES_MAX: usize = 32;

/// What a client asks for, as it says it: nothing is checked but the magic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    pub flags: u16,
    pub command: CommandCode,
    /// The client's own number for it, which every answer repeats.
    pub cookie: u64,
    pub offset: u64,
    /// Of the payload, or of the range: that depends on the command and its flags.
    pub length: u64,
}

/// The bytes are no request: from here on nothing on this connection can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a request begins with {found:#010x} instead of {expected:#010x}")]
pub struct WrongMagic {
    pub found: u32,
    pub expected: u32,
}

impl RequestHeader {
    /// How long headers are in this mode.
    pub const fn len_bytes(mode: ReplyMode) -> usize {
        match mode {
            ReplyMode::Simple | ReplyMode::Structured => 28,
            ReplyMode::Extended => 32,
        }
    }

    const fn magic(mode: ReplyMode) -> u32 {
        match mode {
            ReplyMode::Simple | ReplyMode::Structured => magic::REQUEST,
            ReplyMode::Extended => magic::REQUEST_EXTENDED,
        }
    }

    /// Reads the header at the front of `bytes`; `None` if it is not all there. Bytes that cannot become one are told from
    /// their beginning: nobody waits for the rest of nonsense.
    pub fn decode(mode: ReplyMode, bytes: &[u8]) -> Result<Option<Self>, WrongMagic> {
        if let Ok(found) = Fields::of(bytes).take::<u32>()
            && found != Self::magic(mode)
        {
            let expected = Self::magic(mode);
            return Err(WrongMagic { found, expected });
        }
        let Some(bytes) = bytes.get(..Self::len_bytes(mode)) else {
            return Ok(None);
        };
        let header = Self::fields(mode, bytes);
        Ok(Some(header.expect(
            "the length was checked, and is that of all fields",
        )))
    }

    fn fields(mode: ReplyMode, bytes: &[u8]) -> Result<Self, TooShort> {
        let mut fields = Fields::of(bytes);
        fields.take::<u32>()?; // the magic
        Ok(Self {
            flags: fields.take()?,
            command: CommandCode(fields.take()?),
            cookie: fields.take()?,
            offset: fields.take()?,
            length: match mode {
                ReplyMode::Extended => fields.take()?,
                ReplyMode::Simple | ReplyMode::Structured => fields.take::<u32>()?.into(),
            },
        })
    }

    /// As a client writes it. A compact header has room for 32 bits of length.
    pub fn encode(&self, mode: ReplyMode) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES_MAX);
        bytes.extend(Self::magic(mode).to_be_bytes());
        bytes.extend(self.flags.to_be_bytes());
        bytes.extend(self.command.0.to_be_bytes());
        bytes.extend(self.cookie.to_be_bytes());
        bytes.extend(self.offset.to_be_bytes());
        match mode {
            ReplyMode::Extended => bytes.extend(self.length.to_be_bytes()),
            ReplyMode::Simple | ReplyMode::Structured => {
                let length = u32::try_from(self.length).expect("a compact length has 32 bits");
                bytes.extend(length.to_be_bytes());
            }
        }
        bytes
    }
}
