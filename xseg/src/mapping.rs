//! This process's view of the segment's memory: the only place where addresses are made.
//!
//! # Invariants
//! * **MAP-1** Every address handed out lies inside this process's own mapping: ids are checked against the
//!   geometry that was checked against the mapping's length, never against a word in the segment.
//! * **MAP-2** Tables are borrowed as records of atomics only. Payload bytes are never borrowed: they are copied
//!   in and out by address, since another process may be writing them.

use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;

use rustix::io::Errno;
use rustix::mm::{Advice, MapFlags, ProtFlags};

use crate::geometry::{BufferId, DataRange, Geometry, Slot};
use crate::layout::{Header, PortRecord, RequestRecord, Shared, StatsRecord};
use crate::name::PortId;
use crate::records::Records;
use crate::sync::AtomicU64;

/// A mapped segment.
#[derive(Debug)]
pub(crate) struct Mapping {
    base: NonNull<u8>,
    geometry: Geometry,
    file: OwnedFd,
}

// SAFETY: the mapping is plain memory with no thread affinity; all access to its tables is through atomics, and
// payload is copied by address (MAP-2).
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `geometry.size_bytes()` bytes of a file that is at least as long.
    pub fn new(file: OwnedFd, geometry: Geometry, huge: bool) -> Result<Self, Errno> {
        let len = length(&geometry);
        // SAFETY: a fresh mapping at an address of the kernel's choice touches no memory of ours.
        let base = unsafe {
            rustix::mm::mmap(
                std::ptr::null_mut(),
                len,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::SHARED,
                file.as_fd(),
                0,
            )
        }?;
        let base = NonNull::new(base.cast::<u8>()).ok_or(Errno::FAULT)?;
        let mapping = Self {
            base,
            geometry,
            file,
        };
        mapping.advise(Advice::LinuxDontFork);
        if huge {
            mapping.advise(Advice::LinuxHugepage);
        }
        Ok(mapping)
    }

    /// Advice may be refused (an old kernel, no huge pages): nothing depends on it.
    fn advise(&self, advice: Advice) {
        // SAFETY: the range is this whole mapping, and neither piece of advice used here changes its contents.
        let _ = unsafe {
            rustix::mm::madvise(self.base.as_ptr().cast(), length(&self.geometry), advice)
        };
    }

    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    fn record<T: Shared>(&self, at: u64) -> &T {
        let at = at as usize;
        assert!(
            at + size_of::<T>() <= length(&self.geometry) && at.is_multiple_of(align_of::<T>()),
            "MAP-1: offset {at}"
        );
        // SAFETY: in bounds by the assert above.
        let record = unsafe { self.base.add(at) }.cast::<T>();
        // SAFETY: aligned and inside the live mapping, by the assert and the page-aligned base; `Shared` types are
        // valid for every bit pattern and consist of atomics, so other processes may write at any time.
        unsafe { record.as_ref() }
    }

    pub fn header(&self) -> &Header {
        self.record(0)
    }

    pub fn port(&self, port: PortId) -> &PortRecord {
        assert!(port.get() < self.geometry.ports(), "MAP-1: {port:?}");
        self.record(
            self.geometry.ports_at() + u64::from(port.get()) * size_of::<PortRecord>() as u64,
        )
    }

    pub fn stats(&self, port: PortId) -> &StatsRecord {
        assert!(port.get() < self.geometry.ports(), "MAP-1: {port:?}");
        self.record(
            self.geometry.stats_at() + u64::from(port.get()) * size_of::<StatsRecord>() as u64,
        )
    }

    pub fn request(&self, slot: Slot) -> &RequestRecord {
        self.record(self.request_at(slot.get()))
    }

    fn request_at(&self, index: u32) -> u64 {
        assert!(index < self.geometry.requests(), "MAP-1: request {index}");
        self.geometry.requests_at() + u64::from(index) * size_of::<RequestRecord>() as u64
    }

    pub fn buffer_owner(&self, buffer: BufferId) -> &AtomicU64 {
        assert!(buffer.get() < self.geometry.buffers(), "MAP-1: {buffer:?}");
        let at = (self.geometry.owners_at() + u64::from(buffer.get()) * 8) as usize;
        // SAFETY: inside the table of owner words, hence inside the mapping, by the assert.
        let word = unsafe { self.base.add(at) }.cast::<AtomicU64>();
        // SAFETY: aligned (the table starts on 8 bytes), live, and an atomic is valid for every bit pattern.
        unsafe { word.as_ref() }
    }

    /// Where a range lies in this process: for the kernel's I/O calls. Nothing may be borrowed from it (MAP-2).
    pub fn address(&self, range: DataRange) -> *mut u8 {
        let end = range.at() + range.len();
        assert!(end <= self.geometry.size_bytes(), "MAP-1: {range:?}");
        // SAFETY: in bounds by the assert above.
        unsafe { self.base.add(range.at() as usize) }.as_ptr()
    }

    /// Copies `bytes` to the beginning of `range`, which has at least as many.
    pub fn copy_in(&self, range: DataRange, bytes: &[u8]) {
        assert!(bytes.len() as u64 <= range.len(), "copy past the range");
        let to = self.address(range);
        // SAFETY: source and destination are in bounds by the assert, and cannot overlap: one is a Rust slice, the
        // other is mapped memory of which no slice is ever made (MAP-2). A racing writer only tears bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Copies the beginning of `range` to `bytes`, which has at most as many.
    pub fn copy_out(&self, range: DataRange, bytes: &mut [u8]) {
        assert!(bytes.len() as u64 <= range.len(), "copy past the range");
        let from = self.address(range);
        // SAFETY: as in `copy_in`.
        unsafe { std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    /// Sets all bytes of `range`.
    pub fn fill(&self, range: DataRange, byte: u8) {
        let to = self.address(range);
        // SAFETY: in bounds by `address`; no borrow of these bytes exists (MAP-2).
        unsafe { std::ptr::write_bytes(to, byte, range.len() as usize) };
    }

    /// Asks the processor for a record's first two lines, for writing: the claim writes the first at once.
    #[inline]
    pub fn prefetch_request(&self, index: u32) {
        let at = self.request_at(index) as usize;
        // SAFETY: in bounds by `request_at` and the geometry.
        let first = unsafe { self.base.add(at) };
        prefetch_for_write(first.as_ptr());
        prefetch_for_write(first.as_ptr().wrapping_add(64));
    }
}

impl Records for Mapping {
    fn count(&self) -> u32 {
        self.geometry.requests()
    }

    fn owner(&self, slot: u32) -> &AtomicU64 {
        &self.record::<RequestRecord>(self.request_at(slot)).owner
    }

    fn next(&self, slot: u32) -> &AtomicU64 {
        &self.record::<RequestRecord>(self.request_at(slot)).next
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the whole mapping that `new` made; all borrows of it borrow `self`, so none is left.
        let _ = unsafe { rustix::mm::munmap(self.base.as_ptr().cast(), length(&self.geometry)) };
    }
}

fn length(geometry: &Geometry) -> usize {
    geometry.size_bytes() as usize
}

/// A hint that this line will be written. Harmless for any address.
#[inline]
pub(crate) fn prefetch_for_write(line: *const u8) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a prefetch never faults, whatever the address, and changes no register. The intrinsic is not used:
    // without a target feature it becomes a prefetch for reading, which makes the following write slower.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) line, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = line;
}
