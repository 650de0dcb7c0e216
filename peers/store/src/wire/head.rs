//! The words of a request that say what is asked, without its payload.

use xseg::{Draft, Incoming, OpCode, RequestError};

/// What a request says, as plain values: made from a request, or put into one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub op: OpCode,
    pub flags: u32,
    pub target: Vec<u8>,
    pub second: Vec<u8>,
    pub handle: u64,
    pub offset: u64,
    pub length: u64,
    pub args: [u64; 4],
    /// How many bytes of payload come along, or have room.
    pub payload_bytes: u64,
}

impl Head {
    pub fn new(op: OpCode) -> Self {
        Self {
            op,
            flags: 0,
            target: Vec::new(),
            second: Vec::new(),
            handle: 0,
            offset: 0,
            length: 0,
            args: [0; 4],
            payload_bytes: 0,
        }
    }

    /// What an accepted request says.
    pub fn of(incoming: &Incoming) -> Self {
        let request = incoming.request();
        Self {
            op: request.op,
            flags: request.flags,
            target: incoming.target().as_bytes().to_vec(),
            second: incoming.snapshot().as_bytes().to_vec(),
            handle: request.handle,
            offset: request.offset,
            length: request.length,
            args: incoming.args(),
            payload_bytes: incoming.data().map_or(0, |data| data.len()),
        }
    }

    /// Puts all but the payload into a draft, which was made for this operation.
    pub fn put(&self, draft: &mut Draft) -> Result<(), RequestError> {
        draft.set_flags(self.flags);
        draft.set_target(&self.target)?;
        draft.set_snapshot(&self.second)?;
        draft.set_handle(self.handle);
        draft.set_extent(self.offset, self.length);
        if self.args != [0; 4] {
            draft.set_args(self.args);
        }
        Ok(())
    }
}
