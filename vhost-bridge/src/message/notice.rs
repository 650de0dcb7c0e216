use super::header::{HEADER_BYTES, Header};

/// What we say unasked, on the channel that the front end gave us for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Notice {
    /// The device's configuration is another one now.
    ConfigChanged = 2,
}

impl Notice {
    /// No answer is asked for: a front end that is slow to give one would make us wait.
    pub fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let header = Header {
            number: self as u32,
            needs_reply: false,
            len_bytes: 0,
        };
        header.to_bytes()
    }
}
