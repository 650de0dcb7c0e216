//! Memory for the kernel to read or fill.
//!
//! # Invariants
//! * **MEMORY-1** The address of a [`Memory`] is good for its length for as long as the value lives, wherever it is
//!   moved to: it owns the bytes, or the buffer, or keeps the segment mapped, or the lender alive. The same holds for each piece of
//!   what is lent.

use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;
use xseg::{Buffer, Data, Segment};

use super::action::{Action, Form, RawCall};
use super::lent::{LentMemory, Vector, Within};
use super::operations::LEN_MAX;
use crate::local::GateGuard;

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
    Segment {
        _segment: Segment,
        at: *mut u8,
    },
    Lent {
        memory: LentMemory,
        told: Vector,
        _inside: [GateGuard; 2],
    },
}

/// Where the bytes are, as an operation is told.
pub(super) struct Told {
    pub at: *mut u8,
    pub len: u32,
    pub form: Form,
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

    /// Part of what is lent. Who has the guards keeps the lender from going on.
    pub(crate) fn of_lent(memory: LentMemory, part: Range<usize>, inside: [GateGuard; 2]) -> Self {
        Self {
            whole: memory.len(),
            from: part.start,
            len: part.end - part.start,
            backing: Backing::Lent {
                told: Vector::default(),
                memory,
                _inside: inside,
            },
        }
    }

    /// What operations are told: of files only, if it is lent.
    pub(super) fn told(&mut self) -> Told {
        let window = self.from..self.from + self.len;
        let Backing::Lent { memory, told, .. } = &mut self.backing else {
            return Told {
                at: self.address(),
                len: self.len.min(LEN_MAX) as u32,
                form: Form::Bytes,
            };
        };
        match memory.within(window) {
            Within::Vector(vector) => {
                *told = vector;
                Told {
                    at: told.address().cast_mut().cast(),
                    len: told.count() as u32,
                    form: Form::Vector,
                }
            }
            Within::Registered { number, from, len } => Told {
                at: std::ptr::without_provenance_mut(from as usize),
                len: len.min(LEN_MAX) as u32,
                form: Form::Registered(number),
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

    /// Fills what operations see from a file, here and now. For drivers that answer out of memory, and do so sooner than a ring's
    /// thread could be woken for it; the reactor stands still meanwhile.
    pub fn read_now(&mut self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        self.call(Action::ReadAt { offset }, fd)
    }

    /// The same, the other way.
    pub fn write_now(&mut self, fd: BorrowedFd<'_>, offset: u64) -> Result<usize, Errno> {
        self.call(Action::WriteAt { offset }, fd)
    }

    /// Writes a part of what operations see, here and now.
    ///
    /// # Panics
    /// If it is not there.
    pub fn write_part_now(
        &mut self,
        part: Range<usize>,
        fd: BorrowedFd<'_>,
        offset: u64,
    ) -> Result<usize, Errno> {
        let window = self.window();
        self.narrow(part);
        let written = self.write_now(fd, offset);
        self.restore(window);
        written
    }

    fn call(&mut self, action: Action, fd: BorrowedFd<'_>) -> Result<usize, Errno> {
        let Told { at, len, form } = self.told();
        let call = RawCall {
            action,
            fd: fd.as_raw_fd(),
            at,
            len,
            form,
            message: std::ptr::null(),
        };
        // SAFETY: the address is good for the length while `self` is borrowed (MEMORY-1), and so is the descriptor.
        let done = unsafe { call.block() };
        usize::try_from(done).map_err(|_| Errno::from_raw_os_error(-done))
    }

    /// Good for [`Memory::len`] bytes (MEMORY-1): for libraries that take addresses. Whoever hands it on keeps the memory until
    /// nobody uses it any more.
    ///
    /// # Panics
    /// If it is lent: that is in pieces.
    pub fn address(&mut self) -> *mut u8 {
        let first = match &mut self.backing {
            Backing::Bytes(bytes) => bytes.as_mut_ptr(),
            Backing::Buffer(buffer) => buffer.data().address(),
            Backing::Segment { at, .. } => *at,
            Backing::Lent { .. } => panic!("what is lent is in pieces"),
        };
        first.wrapping_add(self.from)
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn a_part_of_memory_is_written_and_read_here_and_now() {
        // MEMORY-1
        let file = tempfile::tempfile().unwrap();
        let mut written = Memory::from(b"0123456789".to_vec()).part(2..6);
        assert_eq!(written.write_now(file.as_fd(), 100), Ok(4));
        let mut read = Memory::from(vec![0; 8]).part(3..8);
        assert_eq!(read.read_now(file.as_fd(), 100), Ok(4));
        assert_eq!(written.write_part_now(1..3, file.as_fd(), 200), Ok(2));
        let mut part = Memory::from(vec![0; 2]);
        assert_eq!(part.read_now(file.as_fd(), 200), Ok(2));
        assert_eq!(part.into_bytes().unwrap(), *b"34");
        assert_eq!(written.len(), 4, "as before");
        assert_eq!(read.into_bytes().unwrap(), *b"\0\0\x002345\0");
        let (pipe, _) = std::io::pipe().unwrap();
        let refused = Memory::from(vec![0; 8]).read_now(pipe.as_fd(), 0);
        assert_eq!(refused, Err(Errno::SPIPE));
    }
}
