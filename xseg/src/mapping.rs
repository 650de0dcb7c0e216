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
    /// Where the tables begin in this process, and how many records they have: MAP-1 in one comparison each.
    ports: Table<PortRecord>,
    stats: Table<StatsRecord>,
    requests: Table<RequestRecord>,
    buffer_owners: Table<AtomicU64>,
    geometry: Geometry,
    file: OwnedFd,
}

/// A table of records inside the mapping.
struct Table<T> {
    first: NonNull<T>,
    count: u32,
}

impl<T> std::fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} records at {:p}", self.count, self.first)
    }
}

impl<T> Table<T> {
    /// The table of `count` records at `at`. Panics unless it lies inside `len` mapped bytes at `base`.
    fn new(base: NonNull<u8>, len: usize, at: u64, count: u32) -> Self {
        let at = at as usize;
        assert!(
            at.is_multiple_of(align_of::<T>()) && at + count as usize * size_of::<T>() <= len,
            "MAP-1: table at {at}"
        );
        // SAFETY: in bounds by the assert.
        let first = unsafe { base.add(at) };
        Self {
            first: first.cast(),
            count,
        }
    }

    #[inline]
    fn pointer(&self, index: u32) -> NonNull<T> {
        assert!(index < self.count, "MAP-1: record {index}");
        // SAFETY: in bounds by the assert and the one in `new`.
        unsafe { self.first.add(index as usize) }
    }
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
            ports: Table::new(base, len, geometry.ports_at(), geometry.ports()),
            stats: Table::new(base, len, geometry.stats_at(), geometry.ports()),
            requests: Table::new(base, len, geometry.requests_at(), geometry.requests()),
            buffer_owners: Table::new(base, len, geometry.owners_at(), geometry.buffers()),
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

    #[inline]
    fn record<'a, T: Shared>(&'a self, table: &Table<T>, index: u32) -> &'a T {
        let record = table.pointer(index);
        // SAFETY: inside the live mapping and aligned by `Table`; `Shared` types are valid for every bit pattern and
        // consist of atomics, so other processes may write at any time.
        unsafe { record.as_ref() }
    }

    pub fn header(&self) -> &Header {
        // SAFETY: the header is the first page of every mapping; otherwise as in `record`.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    #[inline]
    pub fn port(&self, port: PortId) -> &PortRecord {
        self.record(&self.ports, port.get())
    }

    #[inline]
    pub fn stats(&self, port: PortId) -> &StatsRecord {
        self.record(&self.stats, port.get())
    }

    #[inline]
    pub fn request(&self, slot: Slot) -> &RequestRecord {
        self.record(&self.requests, slot.get())
    }

    #[inline]
    pub fn buffer_owner(&self, buffer: BufferId) -> &AtomicU64 {
        let word = self.buffer_owners.pointer(buffer.get());
        // SAFETY: inside the live mapping and aligned by `Table`; an atomic is valid for every bit pattern.
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

    /// Asks the processor for the lines of a record that its receiver reads and writes: the first two, and the stamps.
    #[inline]
    pub fn prefetch_request(&self, index: u32) {
        let first = self.requests.pointer(index).as_ptr().cast::<u8>();
        prefetch_for_write(first);
        prefetch_for_write(first.wrapping_add(64));
        prefetch_for_write(first.wrapping_add(192));
    }
}

impl Records for Mapping {
    #[inline]
    fn count(&self) -> u32 {
        self.requests.count
    }

    #[inline]
    fn prefetch(&self, slot: u32) {
        self.prefetch_request(slot);
    }

    #[inline]
    fn owner(&self, slot: u32) -> &AtomicU64 {
        &self.record(&self.requests, slot).owner
    }

    #[inline]
    fn next(&self, slot: u32) -> &AtomicU64 {
        &self.record(&self.requests, slot).next
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
