//! One file of the front end's, mapped.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::fs::fstat;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

use super::error::MapError;

/// Bytes that others write to as well. Offsets count from the region's start.
#[derive(Debug)]
pub(super) struct Mapping {
    mapped: NonNull<u8>,
    mapped_bytes: usize,
    /// Where the region begins in what is mapped: offsets in files need not be whole pages.
    from: usize,
    len_bytes: usize,
}

impl Mapping {
    /// GUEST-3
    pub fn new(fd: BorrowedFd<'_>, file_offset: u64, len_bytes: u64) -> Result<Self, MapError> {
        let range = MapError::Range {
            len_bytes,
            file_offset,
        };
        let end = file_offset.checked_add(len_bytes);
        let end = end.filter(|_| len_bytes > 0).ok_or(range.clone())?;
        let mapped_bytes = usize::try_from(end).map_err(|_| range)?;
        let file_bytes = fstat(fd).map_err(MapError::Map)?.st_size;
        let file_bytes = u64::try_from(file_bytes).unwrap_or(0);
        if end > file_bytes {
            return Err(MapError::Short { end, file_bytes });
        }
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        // From the file's start: that is a whole page of any size.
        // SAFETY: the kernel chooses a place where nothing is, and nothing but this value knows of it.
        let mapped = unsafe { mmap(std::ptr::null_mut(), mapped_bytes, protection, flags, fd, 0) };
        let mapped = mapped.map_err(MapError::Map)?;
        Ok(Self {
            mapped: NonNull::new(mapped.cast()).expect("a mapping without MAP_FIXED is not at 0"),
            mapped_bytes,
            from: mapped_bytes - len_bytes as usize,
            len_bytes: len_bytes as usize,
        })
    }

    /// # Panics
    /// If it is not inside: whoever asks has checked it (GUEST-2).
    fn address(&self, offset: usize, len_bytes: usize) -> *mut u8 {
        let end = offset.checked_add(len_bytes);
        let is_inside = end.is_some_and(|end| end <= self.len_bytes);
        assert!(is_inside, "{offset} + {len_bytes} of {}", self.len_bytes);
        self.mapped.as_ptr().wrapping_add(self.from + offset)
    }

    pub fn read(&self, offset: usize, bytes: &mut [u8]) {
        let at = self.address(offset, bytes.len());
        // SAFETY: `at` is good for so many bytes by the test in `address`, which stay mapped while `self` lives (GUEST-2);
        // `bytes` are our own, so they do not overlap. What a guest changes meanwhile comes as it comes (GUEST-1).
        unsafe { std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), bytes.len()) };
    }

    pub fn write(&self, offset: usize, bytes: &[u8]) {
        let at = self.address(offset, bytes.len());
        // SAFETY: as in `read`; it is mapped for writing.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
    }

    fn word(&self, offset: usize) -> Option<&AtomicU16> {
        let at = self.address(offset, 2).cast::<u16>();
        if !at.is_aligned() {
            return None;
        }
        // SAFETY: two bytes inside by the test in `address`, aligned by the one above, mapped while `self` is borrowed
        // (GUEST-2); an atomic may be changed by others (GUEST-1).
        Some(unsafe { AtomicU16::from_ptr(at) })
    }

    /// `None`: it is not aligned.
    pub fn load_u16(&self, offset: usize) -> Option<u16> {
        // Acquire: pairs with the driver's store of an index, or with ours of another incarnation.
        let word = self.word(offset)?.load(Ordering::Acquire);
        Some(u16::from_le(word))
    }

    pub fn store_u16(&self, offset: usize, value: u16) -> Option<()> {
        // Release: what the index publishes was written before.
        self.word(offset)?.store(value.to_le(), Ordering::Release);
        Some(())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: what `new` has mapped, and nothing points into it but for as long as `self` is borrowed.
        let unmapped = unsafe { munmap(self.mapped.as_ptr().cast(), self.mapped_bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
