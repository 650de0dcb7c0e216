//! Chains of descriptors.

use super::error::QueueError;
use super::layout::{DESCRIPTOR_BYTES, Layout};
use super::memory::GuestMemory;

/// An indirect table may be longer than its ring, but no longer than this.
pub const DESCRIPTORS_MAX: u32 = 1024;

const NEXT: u16 = 1;
const WRITE: u16 = 2;
const INDIRECT: u16 = 4;

/// A part of the guest's memory. It lies inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub at: u64,
    pub len_bytes: u32,
}

/// What a guest made available at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    pub head: u16,
    /// For us to read.
    pub readable: Vec<Part>,
    /// For us to write; after all that is readable.
    pub writable: Vec<Part>,
}

struct Descriptor {
    at: u64,
    len_bytes: u32,
    flags: u16,
    next: u16,
}

/// Where a walk is: in the ring's own table, or in an indirect one.
struct Table {
    at: u64,
    count: u32,
    is_indirect: bool,
}

impl Chain {
    pub(super) fn of_head(
        memory: &impl GuestMemory,
        layout: &Layout,
        head: u16,
        may_be_indirect: bool,
    ) -> Result<Self, QueueError> {
        let mut chain = Self {
            head,
            readable: Vec::new(),
            writable: Vec::new(),
        };
        let mut table = Table {
            at: layout.descriptors(),
            count: layout.size().into(),
            is_indirect: false,
        };
        let mut index = head;
        let mut left = table.count;
        loop {
            left = left.checked_sub(1).ok_or(QueueError::Loop { head })?;
            let descriptor = table.descriptor(memory, index)?;
            if descriptor.flags & INDIRECT != 0 {
                table = table.indirect(memory, &descriptor, may_be_indirect)?;
                (index, left) = (0, table.count);
                continue;
            }
            chain.add(memory, &descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next;
        }
    }

    fn add(
        &mut self,
        memory: &impl GuestMemory,
        descriptor: &Descriptor,
    ) -> Result<(), QueueError> {
        let head = self.head;
        let Descriptor { at, len_bytes, .. } = *descriptor;
        if len_bytes == 0 {
            return Err(QueueError::Empty { head });
        }
        memory.check(at, len_bytes.into())?; // QUEUE-3
        let part = Part { at, len_bytes };
        if descriptor.flags & WRITE != 0 {
            self.writable.push(part);
        } else if self.writable.is_empty() {
            self.readable.push(part);
        } else {
            return Err(QueueError::WritableFirst { head });
        }
        Ok(())
    }
}

impl Table {
    /// One copy, of which everything is told (QUEUE-1).
    fn descriptor(&self, memory: &impl GuestMemory, index: u16) -> Result<Descriptor, QueueError> {
        let index = u32::from(index);
        if index >= self.count {
            let count = self.count;
            return Err(QueueError::DescriptorOutside { index, count });
        }
        let mut bytes = [0; DESCRIPTOR_BYTES as usize];
        memory.read(self.at + DESCRIPTOR_BYTES * u64::from(index), &mut bytes)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bytes;
        Ok(Descriptor {
            at: u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            len_bytes: u32::from_le_bytes([i, j, k, l]),
            flags: u16::from_le_bytes([m, n]),
            next: u16::from_le_bytes([o, p]),
        })
    }

    fn indirect(
        &self,
        memory: &impl GuestMemory,
        descriptor: &Descriptor,
        is_negotiated: bool,
    ) -> Result<Self, QueueError> {
        if !is_negotiated {
            return Err(QueueError::IndirectNotNegotiated);
        }
        if self.is_indirect {
            return Err(QueueError::IndirectNested);
        }
        if descriptor.flags & NEXT != 0 {
            return Err(QueueError::IndirectWithNext);
        }
        let len_bytes = descriptor.len_bytes;
        let count = len_bytes / DESCRIPTOR_BYTES as u32;
        let is_whole = len_bytes.is_multiple_of(DESCRIPTOR_BYTES as u32);
        if count == 0 || count > DESCRIPTORS_MAX || !is_whole {
            return Err(QueueError::IndirectLength {
                len_bytes,
                count_max: DESCRIPTORS_MAX,
            });
        }
        memory.check(descriptor.at, len_bytes.into())?;
        Ok(Self {
            at: descriptor.at,
            count,
            is_indirect: true,
        })
    }
}
