//! Numbers at their places in the kernel's records.

/// A record, as bytes.
#[derive(Clone, Copy, Debug)]
pub struct Words<const LEN: usize>(pub [u8; LEN]);

impl<const LEN: usize> Words<LEN> {
    pub const ZERO: Self = Self([0; LEN]);

    pub fn put8(&mut self, at: usize, value: u8) {
        self.0[at] = value;
    }

    pub fn put16(&mut self, at: usize, value: u16) {
        self.0[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    }

    pub fn put32(&mut self, at: usize, value: u32) {
        self.0[at..at + 4].copy_from_slice(&value.to_ne_bytes());
    }

    pub fn put64(&mut self, at: usize, value: u64) {
        self.0[at..at + 8].copy_from_slice(&value.to_ne_bytes());
    }

    pub fn get8(&self, at: usize) -> u8 {
        self.0[at]
    }

    pub fn get16(&self, at: usize) -> u16 {
        let bytes = self.0[at..at + 2].try_into();
        u16::from_ne_bytes(bytes.expect("two of them"))
    }

    pub fn get32(&self, at: usize) -> u32 {
        let bytes = self.0[at..at + 4].try_into();
        u32::from_ne_bytes(bytes.expect("four of them"))
    }

    pub fn get64(&self, at: usize) -> u64 {
        let bytes = self.0[at..at + 8].try_into();
        u64::from_ne_bytes(bytes.expect("eight of them"))
    }
}
