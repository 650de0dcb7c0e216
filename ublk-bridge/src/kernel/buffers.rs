//! Buffers by which the data of a device travel that has no user copy: one for each tag of a queue.
//!
//! # Invariants
//! * **BUFFERS-1** The memory is there for as long as the driver may write to it: until [`Buffers::release`], or the process's end.
//! * **BUFFERS-2** Only copies leave or enter, and only within a tag's buffer: the driver writes there, too.

use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};

/// The buffers of a queue. Dropped, they stay where they are (BUFFERS-1).
#[derive(Debug)]
pub struct Buffers {
    at: NonNull<u8>,
    buffer_bytes: usize,
    depth: u16,
}

impl Buffers {
    pub fn new(depth: u16, buffer_bytes: u32) -> Result<Self, Errno> {
        let buffer_bytes = buffer_bytes as usize;
        let len_bytes = buffer_bytes * usize::from(depth);
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: a new mapping, at a place of the kernel's choice: it takes nobody's away.
        let at = unsafe { mmap_anonymous(std::ptr::null_mut(), len_bytes, protection, flags) }?;
        let at = NonNull::new(at.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self {
            at,
            buffer_bytes,
            depth,
        })
    }

    /// For the driver.
    ///
    /// # Panics
    /// If there is no such tag.
    pub fn address(&self, tag: u16) -> u64 {
        let place = self.place(tag, 0, 0).expect("the queue has the tag");
        place.as_ptr() as u64
    }

    /// Copies out of a tag's buffer.
    pub fn read(&self, tag: u16, from: u64, bytes: &mut [u8]) -> Result<(), Errno> {
        let len = bytes.len();
        let place = self.place(tag, from, len)?;
        // SAFETY: in bounds by the look above; `bytes` are ours alone, and no part of the mapping (BUFFERS-2).
        unsafe { place.copy_to_nonoverlapping(NonNull::from(bytes).cast(), len) };
        Ok(())
    }

    /// Copies into it.
    pub fn write(&self, tag: u16, from: u64, bytes: &[u8]) -> Result<(), Errno> {
        let len = bytes.len();
        let place = self.place(tag, from, len)?;
        // SAFETY: as above, the other way.
        unsafe { place.copy_from_nonoverlapping(NonNull::from(bytes).cast(), len) };
        Ok(())
    }

    /// Gives the memory back: the driver has none of its commands any more (BUFFERS-1).
    pub fn release(self) {
        let len_bytes = self.buffer_bytes * usize::from(self.depth);
        // SAFETY: mapped by `new`, in this length, and `self` was the last to know of it.
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), len_bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }

    /// BUFFERS-2
    fn place(&self, tag: u16, from: u64, len_bytes: usize) -> Result<NonNull<u8>, Errno> {
        let from = usize::try_from(from).map_err(|_| Errno::FAULT)?;
        let end = from.checked_add(len_bytes).ok_or(Errno::FAULT)?;
        if tag >= self.depth || end > self.buffer_bytes {
            return Err(Errno::FAULT);
        }
        // SAFETY: within the mapping, which has a buffer for each tag below `depth`, by the tests above.
        Ok(unsafe { self.at.add(usize::from(tag) * self.buffer_bytes + from) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tag_has_a_buffer_and_nothing_is_copied_beyond_it() {
        // BUFFERS-1, BUFFERS-2
        let buffers = Buffers::new(4, 8192).unwrap();
        buffers.write(3, 8000, &[7; 192]).unwrap();
        buffers.write(2, 0, &[9; 8192]).unwrap();
        let mut bytes = [0; 192];
        buffers.read(3, 8000, &mut bytes).unwrap();
        assert_eq!(bytes, [7; 192]);
        assert_eq!(buffers.address(3) - buffers.address(2), 8192);
        for (tag, from, len) in [(4, 0, 1), (0, 8192, 1), (0, 8191, 2), (0, u64::MAX, 1)] {
            assert_eq!(buffers.write(tag, from, &vec![0; len]), Err(Errno::FAULT));
        }
        buffers.release();
    }
}
