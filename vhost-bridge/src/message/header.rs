use super::error::MessageError;

pub const HEADER_BYTES: usize = 12;
/// More than any message of ours has: the longest is a table of 8 regions, or a configuration of 256 bytes.
pub const PAYLOAD_BYTES_MAX: u32 = 1024;

const VERSION: u32 = 1;
const VERSION_MASK: u32 = 3;
const REPLY: u32 = 1 << 2;
const NEED_REPLY: u32 = 1 << 3;

/// What comes before each payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub number: u32,
    /// The front end waits for an acknowledgement.
    pub needs_reply: bool,
    pub len_bytes: u32,
}

impl Header {
    /// Of a message to us.
    pub fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, MessageError> {
        let [number, flags, len_bytes] = [0, 4, 8]
            .map(|at| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]));
        let version = flags & VERSION_MASK;
        if version != VERSION {
            return Err(MessageError::Version { number, version });
        }
        if flags & REPLY != 0 {
            return Err(MessageError::IsReply { number });
        }
        if len_bytes > PAYLOAD_BYTES_MAX {
            return Err(MessageError::TooLong {
                number,
                len_bytes,
                len_bytes_max: PAYLOAD_BYTES_MAX,
            });
        }
        Ok(Self {
            number,
            needs_reply: flags & NEED_REPLY != 0,
            len_bytes,
        })
    }

    /// Before a payload that we answer with.
    pub fn reply_bytes(number: u32, len_bytes: u32) -> [u8; HEADER_BYTES] {
        Self::bytes(number, VERSION | REPLY, len_bytes)
    }

    /// As a front end sends it, or as we do on the channel for that.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let needs_reply = if self.needs_reply { NEED_REPLY } else { 0 };
        Self::bytes(self.number, VERSION | needs_reply, self.len_bytes)
    }

    fn bytes(number: u32, flags: u32, len_bytes: u32) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..4].copy_from_slice(&number.to_le_bytes());
        bytes[4..8].copy_from_slice(&flags.to_le_bytes());
        bytes[8..].copy_from_slice(&len_bytes.to_le_bytes());
        bytes
    }
}
