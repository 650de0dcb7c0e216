//! For tests: a guest's memory in a vector, and a driver that uses a ring in it, honestly or not.

use std::cell::RefCell;

use super::chain::Part;
use super::layout::Layout;
use super::memory::{GuestMemory, MemoryFault};

/// Memory from address 0 on.
#[derive(Debug)]
pub(crate) struct VecMemory(pub RefCell<Vec<u8>>);

impl VecMemory {
    pub fn new(len_bytes: usize) -> Self {
        Self(RefCell::new(vec![0; len_bytes]))
    }

    fn range(&self, at: u64, len_bytes: u64) -> Result<std::ops::Range<usize>, MemoryFault> {
        let end = at.checked_add(len_bytes);
        match end {
            Some(end) if end <= self.0.borrow().len() as u64 => Ok(at as usize..end as usize),
            _ => Err(MemoryFault::Outside { at, len_bytes }),
        }
    }
}

impl GuestMemory for VecMemory {
    fn check(&self, at: u64, len_bytes: u64) -> Result<(), MemoryFault> {
        self.range(at, len_bytes).map(|_| ())
    }

    fn read(&self, at: u64, bytes: &mut [u8]) -> Result<(), MemoryFault> {
        let range = self.range(at, bytes.len() as u64)?;
        bytes.copy_from_slice(&self.0.borrow()[range]);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> Result<(), MemoryFault> {
        let range = self.range(at, bytes.len() as u64)?;
        self.0.borrow_mut()[range].copy_from_slice(bytes);
        Ok(())
    }

    fn load_u16(&self, at: u64) -> Result<u16, MemoryFault> {
        assert!(at.is_multiple_of(2), "an index at {at:#x}");
        let mut bytes = [0; 2];
        self.read(at, &mut bytes)?;
        Ok(u16::from_le_bytes(bytes))
    }

    fn store_u16(&self, at: u64, value: u16) -> Result<(), MemoryFault> {
        assert!(at.is_multiple_of(2), "an index at {at:#x}");
        self.write(at, &value.to_le_bytes())
    }
}

/// The guest's side of a ring.
#[derive(Debug)]
pub(crate) struct Driver {
    pub layout: Layout,
    pub available: u16,
    pub used: u16,
}

pub(crate) const NEXT: u16 = 1;
pub(crate) const WRITE: u16 = 2;
pub(crate) const INDIRECT: u16 = 4;

/// A descriptor, as the guest writes it.
pub(crate) fn descriptor(at: u64, len_bytes: u32, flags: u16, next: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.to_le_bytes());
    bytes[8..12].copy_from_slice(&len_bytes.to_le_bytes());
    bytes[12..14].copy_from_slice(&flags.to_le_bytes());
    bytes[14..].copy_from_slice(&next.to_le_bytes());
    bytes
}

impl Driver {
    /// A ring at the start of the memory: tables of up to 16 KiB, 4 KiB and 12 KiB.
    pub fn new(memory: &impl GuestMemory, size: u16) -> Self {
        let layout = Layout::new(memory, size.into(), [0, 0x4000, 0x5000]).unwrap();
        Self {
            layout,
            available: 0,
            used: 0,
        }
    }

    pub fn describe(&self, memory: &impl GuestMemory, index: u16, bytes: [u8; 16]) {
        let at = self.layout.descriptors() + 16 * u64::from(index);
        memory.write(at, &bytes).unwrap();
    }

    /// Writes a chain of these parts (at, length, does the device write?) from descriptor `first` on.
    pub fn chain(&self, memory: &impl GuestMemory, first: u16, parts: &[(Part, bool)]) {
        for (number, (part, is_writable)) in parts.iter().enumerate() {
            let index = first + number as u16;
            let is_last = number + 1 == parts.len();
            let flags = if is_last { 0 } else { NEXT } | if *is_writable { WRITE } else { 0 };
            self.describe(
                memory,
                index,
                descriptor(part.at, part.len_bytes, flags, index + 1),
            );
        }
    }

    pub fn offer(&mut self, memory: &impl GuestMemory, head: u16) {
        let at = self.layout.available_entry_at(self.available);
        memory.write(at, &head.to_le_bytes()).unwrap();
        self.available = self.available.wrapping_add(1);
        self.publish(memory, self.available);
    }

    pub fn publish(&self, memory: &impl GuestMemory, index: u16) {
        memory
            .store_u16(self.layout.available_index_at(), index)
            .unwrap();
    }

    /// The next one that was given back: head and length.
    pub fn reap(&mut self, memory: &impl GuestMemory) -> Option<(u32, u32)> {
        let index = memory.load_u16(self.layout.used_index_at()).unwrap();
        if index == self.used {
            return None;
        }
        let mut element = [0; 8];
        let at = self.layout.used_element_at(self.used);
        memory.read(at, &mut element).unwrap();
        self.used = self.used.wrapping_add(1);
        let [a, b, c, d, e, f, g, h] = element;
        Some((
            u32::from_le_bytes([a, b, c, d]),
            u32::from_le_bytes([e, f, g, h]),
        ))
    }
}
