use crate::queue::{GuestMemory, Outside, Part};

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

    /// What begins at byte `from`.
    pub fn after(&self, from: u64) -> Self {
        let mut skip = from;
        let mut rest = Vec::new();
        for part in &self.0 {
            let len_bytes = u64::from(part.len_bytes);
            let skipped = skip.min(len_bytes);
            skip -= skipped;
            if skipped < len_bytes {
                rest.push(Part {
                    at: part.at + skipped,
                    len_bytes: (len_bytes - skipped) as u32,
                });
            }
        }
        Self(rest)
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
    ) -> Result<usize, Outside> {
        let mut done = 0;
        for part in self.after(from).0 {
            let len = bytes.len().min(part.len_bytes as usize);
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
    ) -> Result<usize, Outside> {
        let mut done = 0;
        for part in self.after(from).0 {
            let len = bytes.len().min(part.len_bytes as usize);
            let (now, later) = bytes.split_at(len);
            memory.write(part.at, now)?;
            bytes = later;
            done += len;
        }
        Ok(done)
    }
}
