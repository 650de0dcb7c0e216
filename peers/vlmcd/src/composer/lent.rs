//! Payloads that are lent: in memory of the asker's, beside the request's buffer (LOAN-1, LOAN-2).

use archipelago_runtime::Borrowed;
use xseg::{Incoming, flags};

use super::core::Composer;
use crate::error::ComposeError;

/// Are its bytes elsewhere than in its buffer?
pub fn is_lent(request: &Incoming) -> bool {
    request.request().flags & flags::LENT != 0
}

impl Composer {
    /// What is lent beside so many bytes of a request.
    pub fn lent(&self, request: &Incoming, from: u64, length: u64) -> Option<Borrowed> {
        let part = request.data()?.part(from, length).ok()?;
        self.handle.lent(part)
    }

    /// Copies bytes of what is written, wherever they are.
    pub fn read_payload(
        &self,
        request: &Incoming,
        from: u64,
        bytes: &mut [u8],
    ) -> Result<(), ComposeError> {
        let length = bytes.len() as u64;
        if is_lent(request) {
            let lent = self.lent(request, from, length);
            let lent = lent.ok_or(ComposeError::NotLent)?;
            return lent.read(0, bytes).map_err(|_| ComposeError::NotLent);
        }
        match request.data() {
            Some(data) => Ok(data.read(from, bytes)?),
            None => Err(ComposeError::NoRoom { length, room: 0 }),
        }
    }
}
