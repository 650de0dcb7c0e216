//! Memory for the kernel to read or fill.
//!
//! # Invariants
//! * **MEMORY-1** The address of a [`Memory`] is good for its length for as long as the value lives, wherever it is
//!   moved to: it owns the bytes, or the buffer, or keeps the segment mapped.

use std::ops::Range;

use xseg::{Buffer, Data, Segment};

/// Bytes that an operation reads from or writes to. It comes back with the operation's result.
#[derive(Debug)]
pub struct Memory {
    backing: Backing,
    /// How many bytes there are, and the part of them that operations see.
    whole: usize,
    from: usize,
    len: usize,
}

#[derive(Debug)]
enum Backing {
    Bytes(Vec<u8>),
    Buffer(Buffer),
    Segment { _segment: Segment, at: *mut u8 },
}

impl From<Vec<u8>> for Memory {
    fn from(bytes: Vec<u8>) -> Self {
        Self {
            whole: bytes.len(),
            from: 0,
            len: bytes.len(),
            backing: Backing::Bytes(bytes),
        }
    }
}

/// A buffer of one's own: it cannot be used for anything else before the operation has ended.
impl From<Buffer> for Memory {
    fn from(buffer: Buffer) -> Self {
        let len = buffer.data().len() as usize;
        Self {
            whole: len,
            from: 0,
            len,
            backing: Backing::Buffer(buffer),
        }
    }
}

impl Memory {
    /// `data` lie in `segment`: [`crate::Station::memory`] has checked it.
    pub(crate) fn of_segment(segment: Segment, data: Data<'_>) -> Self {
        let len = data.len() as usize;
        Self {
            whole: len,
            from: 0,
            len,
            backing: Backing::Segment {
                at: data.address(),
                _segment: segment,
            },
        }
    }

    /// How many bytes operations see.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Only these bytes of what operations see now.
    ///
    /// # Panics
    /// If they are not there.
    pub fn part(mut self, range: Range<usize>) -> Self {
        self.narrow(range);
        self
    }

    pub(crate) fn narrow(&mut self, range: Range<usize>) {
        let is_inside = range.start <= range.end && range.end <= self.len;
        assert!(is_inside, "{range:?} of {} bytes", self.len);
        self.from += range.start;
        self.len = range.end - range.start;
    }

    /// What operations see, to be restored.
    pub(crate) fn window(&self) -> (usize, usize) {
        (self.from, self.len)
    }

    pub(crate) fn restore(&mut self, (from, len): (usize, usize)) {
        let is_inside = from.checked_add(len).is_some_and(|end| end <= self.whole);
        assert!(is_inside, "it was the window before");
        (self.from, self.len) = (from, len);
    }

    /// The bytes as a vector again, all of them; `None` if they lie in a segment.
    pub fn into_bytes(self) -> Option<Vec<u8>> {
        match self.backing {
            Backing::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The buffer again, if it was made from one.
    pub fn into_buffer(self) -> Option<Buffer> {
        match self.backing {
            Backing::Buffer(buffer) => Some(buffer),
            _ => None,
        }
    }

    /// Good for [`Memory::len`] bytes (MEMORY-1).
    pub(super) fn address(&mut self) -> *mut u8 {
        let first = match &mut self.backing {
            Backing::Bytes(bytes) => bytes.as_mut_ptr(),
            Backing::Buffer(buffer) => buffer.data().address(),
            Backing::Segment { at, .. } => *at,
        };
        first.wrapping_add(self.from)
    }
}
