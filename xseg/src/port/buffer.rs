//! Buffers: where payloads lie. Taken once, written once, read by whoever does the I/O.

use std::rc::Rc;

use super::core::Core;
use crate::error::RequestError;
use crate::geometry::{BufferId, DataRange};
use crate::mapping::Mapping;

/// A buffer of this port. Dropped, it goes back to the port's magazine.
#[derive(Debug)]
pub struct Buffer {
    core: Rc<Core>,
    id: Option<BufferId>,
}

impl Buffer {
    pub(super) fn new(core: Rc<Core>, id: BufferId) -> Self {
        Self { core, id: Some(id) }
    }

    pub(super) fn is_of(&self, core: &Rc<Core>) -> bool {
        Rc::ptr_eq(&self.core, core)
    }

    /// Lets go of it without giving it back: it travels with a request now.
    pub(super) fn detach(mut self) -> BufferId {
        self.id
            .take()
            .expect("a buffer has its id until it is consumed")
    }

    /// All its bytes: as many as its size class has, which may be more than were asked for.
    pub fn data(&self) -> Data<'_> {
        let id = self.id.expect("a buffer has its id until it is consumed");
        Data::new(
            self.core.mapping(),
            self.core.mapping().geometry().buffer_range(id),
        )
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            self.core.put_buffer(id);
        }
    }
}

/// Bytes in a buffer. They are copied in and out, never borrowed: another process may be writing them.
#[derive(Clone, Copy, Debug)]
pub struct Data<'a> {
    mapping: &'a Mapping,
    range: DataRange,
}

impl<'a> Data<'a> {
    pub(super) fn new(mapping: &'a Mapping, range: DataRange) -> Self {
        Self { mapping, range }
    }

    pub fn len(&self) -> u64 {
        self.range.len()
    }

    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// A part of it.
    pub fn part(&self, from: u64, len: u64) -> Result<Self, RequestError> {
        let outside = RequestError::OutsideData {
            from,
            len,
            available: self.range.len(),
        };
        let range = self.range.part(from, len).ok_or(outside)?;
        Ok(Self { range, ..*self })
    }

    /// Copies `bytes` to offset `from`.
    pub fn write(&self, from: u64, bytes: &[u8]) -> Result<(), RequestError> {
        let part = self.part(from, bytes.len() as u64)?;
        self.mapping.copy_in(part.range, bytes);
        Ok(())
    }

    /// Fills `bytes` from offset `from`.
    pub fn read(&self, from: u64, bytes: &mut [u8]) -> Result<(), RequestError> {
        let part = self.part(from, bytes.len() as u64)?;
        self.mapping.copy_out(part.range, bytes);
        Ok(())
    }

    /// Sets every byte.
    pub fn fill(&self, byte: u8) {
        self.mapping.fill(self.range, byte);
    }

    /// Where it lies in this process, for the kernel: read, write, send, receive, io_uring. Valid while the segment
    /// is mapped; never to be borrowed as a slice. The buffer, or the request that it belongs to, must be kept until that
    /// work has ended: dropped, it may be somebody else's at once.
    pub fn address(&self) -> *mut u8 {
        self.mapping.address(self.range)
    }

    pub fn range(&self) -> DataRange {
        self.range
    }
}
