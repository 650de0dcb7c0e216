//! Where the three parts of a split ring are, and how long they are.

use super::error::QueueError;
use super::memory::GuestMemory;

/// More than any front end asks for by itself.
pub const QUEUE_SIZE_MAX: u16 = 1024;

pub(super) const DESCRIPTOR_BYTES: u64 = 16;
const USED_ELEMENT_BYTES: u64 = 8;
const ENTRY_BYTES: u64 = 2;
/// Flags, then index.
const INDEX_AT: u64 = 2;
const ENTRIES_AT: u64 = 4;

/// A ring in the guest's memory. It is aligned, and was inside when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    size: u16,
    descriptors: u64,
    available: u64,
    used: u64,
}

impl Layout {
    pub fn check_size(size: u32) -> Result<u16, QueueError> {
        let error = QueueError::Size {
            size,
            size_max: QUEUE_SIZE_MAX,
        };
        let size = u16::try_from(size).map_err(|_| error)?;
        let is_good = size.is_power_of_two() && size <= QUEUE_SIZE_MAX;
        is_good.then_some(size).ok_or(error)
    }

    pub fn descriptors_bytes(size: u16) -> u64 {
        DESCRIPTOR_BYTES * u64::from(size)
    }

    /// With the word for the event index.
    pub fn available_bytes(size: u16) -> u64 {
        ENTRIES_AT + ENTRY_BYTES * u64::from(size) + 2
    }

    /// With the word for the event index.
    pub fn used_bytes(size: u16) -> u64 {
        ENTRIES_AT + USED_ELEMENT_BYTES * u64::from(size) + 2
    }

    /// QUEUE-3
    pub fn new(
        memory: &impl GuestMemory,
        size: u32,
        [descriptors, available, used]: [u64; 3],
    ) -> Result<Self, QueueError> {
        let size = Self::check_size(size)?;
        let parts = [
            (
                "descriptor table",
                descriptors,
                16,
                Self::descriptors_bytes(size),
            ),
            ("available ring", available, 2, Self::available_bytes(size)),
            ("used ring", used, 4, Self::used_bytes(size)),
        ];
        for (what, at, alignment, len_bytes) in parts {
            if !at.is_multiple_of(alignment) {
                return Err(QueueError::Alignment { what, at });
            }
            memory.check(at, len_bytes)?;
        }
        Ok(Self {
            size,
            descriptors,
            available,
            used,
        })
    }

    pub fn size(&self) -> u16 {
        self.size
    }

    pub(super) fn descriptors(&self) -> u64 {
        self.descriptors
    }

    pub(super) fn available_flags_at(&self) -> u64 {
        self.available
    }

    pub(super) fn available_index_at(&self) -> u64 {
        self.available + INDEX_AT
    }

    pub(super) fn available_entry_at(&self, index: u16) -> u64 {
        self.available + ENTRIES_AT + ENTRY_BYTES * u64::from(index & (self.size - 1))
    }

    /// Where the driver says when it wants to be told.
    pub(super) fn used_event_at(&self) -> u64 {
        self.available + ENTRIES_AT + ENTRY_BYTES * u64::from(self.size)
    }

    pub(super) fn used_index_at(&self) -> u64 {
        self.used + INDEX_AT
    }

    pub(super) fn used_element_at(&self, index: u16) -> u64 {
        self.used + ENTRIES_AT + USED_ELEMENT_BYTES * u64::from(index & (self.size - 1))
    }

    /// Where we say when we want to be told.
    pub(super) fn available_event_at(&self) -> u64 {
        self.used + ENTRIES_AT + USED_ELEMENT_BYTES * u64::from(self.size)
    }
}
