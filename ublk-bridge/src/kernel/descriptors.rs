//! Where the driver describes the requests of a queue.
//!
//! # Invariants
//! * **DESCRIPTORS-1** Only copies leave the mapping, and only of places within it: the driver writes there.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;

use crate::abi::{DEPTH_MAX, DESCRIPTOR_BYTES, Descriptor};

/// What those of a queue take in the character device, in which queues are as far apart as the deepest needs.
fn room_bytes(depth: u16) -> usize {
    (usize::from(depth) * DESCRIPTOR_BYTES).next_multiple_of(page_size())
}

/// The descriptors of a queue.
#[derive(Debug)]
pub struct Descriptors {
    at: NonNull<u8>,
    len_bytes: usize,
    depth: u16,
}

impl Descriptors {
    /// Those of a queue of a device, whose depth is what the driver says.
    pub fn map(device: BorrowedFd<'_>, queue: u16, depth: u16) -> Result<Self, Errno> {
        let len_bytes = room_bytes(depth);
        let (protection, flags) = (ProtFlags::READ, MapFlags::SHARED | MapFlags::POPULATE);
        let offset = u64::from(queue) * room_bytes(DEPTH_MAX) as u64;
        // SAFETY: a new mapping, at a place of the kernel's choice: it takes nobody's away.
        let at = unsafe {
            mmap(
                std::ptr::null_mut(),
                len_bytes,
                protection,
                flags,
                device,
                offset,
            )
        }?;
        let at = NonNull::new(at.cast()).ok_or(Errno::NOMEM)?;
        Ok(Self {
            at,
            len_bytes,
            depth,
        })
    }

    /// That of a tag: what the kernel asks with it, once it has handed it out.
    ///
    /// # Panics
    /// If the queue has no such tag.
    pub fn get(&self, tag: u16) -> Descriptor {
        assert!(tag < self.depth, "tag {tag} of {}", self.depth);
        let at = usize::from(tag) * DESCRIPTOR_BYTES;
        // SAFETY: in bounds by the test above, of a mapping that is as long as `depth` descriptors (DESCRIPTORS-1).
        let place = unsafe { self.at.add(at) };
        // SAFETY: as above; bytes may have any value, and a copy is taken at once. The driver writes no descriptor that it
        // has handed out.
        let bytes = unsafe { place.cast::<[u8; DESCRIPTOR_BYTES]>().read_volatile() };
        Descriptor::from_bytes(bytes)
    }
}

impl Drop for Descriptors {
    fn drop(&mut self) {
        // SAFETY: mapped by `map`, in this length, and nothing refers to it (DESCRIPTORS-1).
        let unmapped = unsafe { munmap(self.at.as_ptr().cast(), self.len_bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, SeekFrom, Write};
    use std::os::fd::AsFd;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use archipelago_front::Command;

    use super::*;

    #[test]
    fn the_descriptors_of_a_queue_are_where_the_driver_puts_them_and_no_others_are_read() {
        // DESCRIPTORS-1. A file stands for the character device.
        let mut file = tempfile::tempfile().unwrap();
        let stride = room_bytes(DEPTH_MAX) as u64;
        file.set_len(4 * stride).unwrap();
        let at = stride + 3 * DESCRIPTOR_BYTES as u64;
        file.seek(SeekFrom::Start(at)).unwrap();
        file.write_all(&3_u32.to_ne_bytes()).unwrap();
        file.write_all(&8_u32.to_ne_bytes()).unwrap();
        file.write_all(&16_u64.to_ne_bytes()).unwrap();
        assert!(
            page_size() > 4096 || stride == 98304,
            "as the kernel has it"
        );
        let descriptors = Descriptors::map(file.as_fd(), 1, 4).unwrap();
        let request = descriptors.get(3).request().unwrap();
        assert_eq!(request.command, Command::Discard);
        assert_eq!((request.offset, request.len_bytes), (8192, 4096));
        let outside = catch_unwind(AssertUnwindSafe(|| descriptors.get(4)));
        assert!(outside.is_err());
    }
}
