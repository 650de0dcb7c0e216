//! A part of a front end's file, mapped.

use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use xseg::Data;

use super::error::MapError;
use super::file::MemoryFile;
use super::guard::Guard;

/// Bytes that others write to as well. Offsets count from the region's start.
#[derive(Debug)]
pub(super) struct Mapping {
    /// Dropped first: it must not watch what may be somebody else's.
    guard: Guard,
    pages: Pages,
    /// Where the region begins in what is mapped: offsets in files need not be whole pages.
    from: usize,
    len_bytes: usize,
}

/// Whole pages, mapped until this is dropped.
#[derive(Debug)]
struct Pages {
    mapped: NonNull<u8>,
    mapped_bytes: usize,
}

/// The mapping's memory is gone (GUEST-4). What was read means nothing, what was written went nowhere.
#[derive(Clone, Copy, Debug)]
pub(super) struct Gone;

impl Mapping {
    /// GUEST-3
    pub fn new(fd: BorrowedFd<'_>, file_offset: u64, len_bytes: u64) -> Result<Self, MapError> {
        let range = MapError::Range {
            len_bytes,
            file_offset,
        };
        let end = file_offset.checked_add(len_bytes);
        let end = end.filter(|_| len_bytes > 0).ok_or(range.clone())?;
        let MemoryFile {
            file_bytes,
            page_bytes,
        } = MemoryFile::of(fd)?;
        if end > file_bytes {
            return Err(MapError::Short { end, file_bytes });
        }
        let first = file_offset - file_offset % page_bytes;
        let after = end.checked_next_multiple_of(page_bytes);
        let mapped_bytes = after.and_then(|after| usize::try_from(after - first).ok());
        let mapped_bytes = mapped_bytes.ok_or(range)?;
        let pages = Pages::new(fd, first, mapped_bytes)?;
        let start = pages.mapped.as_ptr().expose_provenance();
        // SAFETY: just mapped, in whole pages; this value is not `Send`, and unmaps them after the guard has left.
        let guard = unsafe { Guard::new(start..start + mapped_bytes, page_bytes as usize) };
        Ok(Self {
            guard,
            pages,
            from: (file_offset - first) as usize,
            len_bytes: len_bytes as usize,
        })
    }

    /// # Panics
    /// If it is not inside: whoever asks has checked it (GUEST-2).
    fn address(&self, offset: usize, len_bytes: usize) -> *mut u8 {
        let end = offset.checked_add(len_bytes);
        let is_inside = end.is_some_and(|end| end <= self.len_bytes);
        assert!(is_inside, "{offset} + {len_bytes} of {}", self.len_bytes);
        self.pages.mapped.as_ptr().wrapping_add(self.from + offset)
    }

    /// Asked before each access, so that what is lost is not touched again, and after it (GUEST-4).
    fn is_there(&self) -> Result<(), Gone> {
        if self.guard.is_lost() {
            Err(Gone)
        } else {
            Ok(())
        }
    }

    /// For the kernel, which refuses to touch what is lost.
    pub fn place(&self, offset: usize, len_bytes: usize) -> Result<*mut u8, Gone> {
        self.is_there()?;
        Ok(self.address(offset, len_bytes))
    }

    pub fn read(&self, offset: usize, bytes: &mut [u8]) -> Result<(), Gone> {
        self.is_there()?;
        let at = self.address(offset, bytes.len());
        // SAFETY: `at` is good for so many bytes by the test in `address`, which stay mapped while `self` lives (GUEST-2);
        // `bytes` are our own, so they do not overlap. What a guest changes meanwhile comes as it comes (GUEST-1).
        unsafe { std::ptr::copy_nonoverlapping(at, bytes.as_mut_ptr(), bytes.len()) };
        self.is_there()
    }

    pub fn write(&self, offset: usize, bytes: &[u8]) -> Result<(), Gone> {
        self.is_there()?;
        let at = self.address(offset, bytes.len());
        // SAFETY: as in `read`; it is mapped for writing.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), at, bytes.len()) };
        self.is_there()
    }

    /// To a buffer of a segment, without a stop (W1).
    pub fn read_to(&self, offset: usize, data: Data<'_>) -> Result<(), Gone> {
        self.is_there()?;
        let len_bytes = data.len() as usize;
        let at = self.address(offset, len_bytes);
        // SAFETY: `at` as in `read`; `data` says that its bytes are in a segment that is mapped while it is borrowed, and its
        // mapping is another one than this. Both may be changed by others meanwhile: neither is ever borrowed (GUEST-1).
        unsafe { std::ptr::copy_nonoverlapping(at, data.address(), len_bytes) };
        self.is_there()
    }

    /// From a buffer of a segment, without a stop (W1).
    pub fn write_from(&self, offset: usize, data: Data<'_>) -> Result<(), Gone> {
        self.is_there()?;
        let len_bytes = data.len() as usize;
        let at = self.address(offset, len_bytes);
        // SAFETY: as in `read_to`, the other way round.
        unsafe { std::ptr::copy_nonoverlapping(data.address().cast_const(), at, len_bytes) };
        self.is_there()
    }

    pub fn zero(&self, offset: usize, len_bytes: usize) -> Result<(), Gone> {
        self.is_there()?;
        let at = self.address(offset, len_bytes);
        // SAFETY: as in `write`.
        unsafe { std::ptr::write_bytes(at, 0, len_bytes) };
        self.is_there()
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
    pub fn load_u16(&self, offset: usize) -> Option<Result<u16, Gone>> {
        let word = self.word(offset)?;
        if let Err(gone) = self.is_there() {
            return Some(Err(gone));
        }
        // Acquire: pairs with the driver's store of an index, or with ours of another incarnation.
        let value = word.load(Ordering::Acquire);
        Some(self.is_there().map(|()| u16::from_le(value)))
    }

    /// `None`: it is not aligned.
    pub fn store_u16(&self, offset: usize, value: u16) -> Option<Result<(), Gone>> {
        let word = self.word(offset)?;
        if let Err(gone) = self.is_there() {
            return Some(Err(gone));
        }
        // Release: what the index publishes was written before.
        word.store(value.to_le(), Ordering::Release);
        Some(self.is_there())
    }
}

impl Pages {
    fn new(fd: BorrowedFd<'_>, first: u64, mapped_bytes: usize) -> Result<Self, MapError> {
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED);
        let place = std::ptr::null_mut();
        // SAFETY: the kernel chooses a place where nothing is, and nothing but this value knows of it.
        let mapped = unsafe { mmap(place, mapped_bytes, protection, flags, fd, first) };
        let mapped = mapped.map_err(MapError::Map)?;
        Ok(Self {
            mapped: NonNull::new(mapped.cast()).expect("a mapping without MAP_FIXED is not at 0"),
            mapped_bytes,
        })
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: what `new` has mapped, and nothing points into it but for as long as the mapping is borrowed.
        let unmapped = unsafe { munmap(self.mapped.as_ptr().cast(), self.mapped_bytes) };
        debug_assert!(unmapped.is_ok(), "{unmapped:?}");
    }
}
