//! The bytes of a request, wherever a guest has cut them into descriptors.

use crate::queue::{GuestMemory, MemoryFault, Part};

/// Bytes of the guest, in pieces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(Vec<Part>);

impl Parts {
    pub fn new(parts: Vec<Part>) -> Self {
        Self(parts)
    }

    pub fn len_bytes(&self) -> u64 {
        self.0.iter().map(|part| u64::from(part.len_bytes)).sum()
    }

    /// The pieces of so many bytes from byte `from` on: fewer, if there are not so many.
    pub fn range(&self, from: u64, len_bytes: u64) -> impl Iterator<Item = Part> {
        let (mut skip, mut left) = (from, len_bytes);
        self.0.iter().filter_map(move |part| {
            let part_bytes = u64::from(part.len_bytes);
            let skipped = skip.min(part_bytes);
            skip -= skipped;
            let taken = left.min(part_bytes - skipped);
            left -= taken;
            (taken > 0).then(|| Part {
                at: part.at + skipped,
                len_bytes: taken as u32,
            })
        })
    }

    /// What begins at byte `from`.
    pub fn after(&self, from: u64) -> Self {
        Self(self.range(from, u64::MAX).collect())
    }

    /// Takes away the last byte: its address.
    pub fn pop_byte(&mut self) -> Option<u64> {
        let last = self.0.last_mut()?;
        last.len_bytes -= 1;
        let at = last.at + u64::from(last.len_bytes);
        if last.len_bytes == 0 {
            self.0.pop();
        }
        Some(at)
    }

    /// Copies from byte `from` on; tells how many bytes there were.
    pub fn read(
        &self,
        memory: &impl GuestMemory,
        from: u64,
        mut bytes: &mut [u8],
    ) -> Result<usize, MemoryFault> {
        let mut done = 0;
        for part in self.range(from, bytes.len() as u64) {
            let len = part.len_bytes as usize;
            let (now, later) = bytes.split_at_mut(len);
            memory.read(part.at, now)?;
            bytes = later;
            done += len;
        }
        Ok(done)
    }

    /// Copies to byte `from` and on; tells how many bytes there was room for.
    pub fn write(
        &self,
        memory: &impl GuestMemory,
        from: u64,
        mut bytes: &[u8],
    ) -> Result<usize, MemoryFault> {
        let mut done = 0;
        for part in self.range(from, bytes.len() as u64) {
            let len = part.len_bytes as usize;
            let (now, later) = bytes.split_at(len);
            memory.write(part.at, now)?;
            bytes = later;
            done += len;
        }
        Ok(done)
    }
}
