//! The configuration that the driver reads.

use archipelago_front::{DiskFacts, SECTOR_BYTES};

/// Up to the fields for discards and zeroes; what comes after them reads as zero.
pub const CONFIG_BYTES: usize = 60;

/// What the device tells of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    pub sectors: u64,
    pub queues: u16,
    pub may_discard: bool,
    pub may_write_zeroes: bool,
}

impl Config {
    /// A segment of a request.
    pub const SEGMENT_BYTES_MAX: u32 = 1 << 20;
    pub const SEGMENTS_MAX: u32 = 126;
    /// What a driver that keeps to both may ask for at most: 126 MiB.
    pub const REQUEST_BYTES_MAX: u64 = Self::SEGMENT_BYTES_MAX as u64 * Self::SEGMENTS_MAX as u64;
    pub const DISCARD_SEGMENTS_MAX: u32 = 16;
    /// Of a segment that discards, or writes zeroes: 1 GiB.
    pub const DISCARD_SECTORS_MAX: u32 = 1 << 21;
    const BLOCK_BYTES: u32 = 512;
    /// Writes of less than that, or beside its multiples, cost a read: 4 KiB, as an exponent of blocks.
    const PHYSICAL_EXPONENT: u8 = 3;
    const PHYSICAL_BLOCKS: u16 = 1 << Self::PHYSICAL_EXPONENT;
    /// A segment as large as can be: 1 MiB, in blocks.
    const OPTIMAL_BLOCKS: u32 = Self::SEGMENT_BYTES_MAX / Self::BLOCK_BYTES;

    pub fn new(facts: &DiskFacts, queues: u16) -> Self {
        let writable = !facts.features.read_only;
        Self {
            sectors: facts.size_bytes / SECTOR_BYTES,
            queues,
            may_discard: facts.features.trim && writable,
            may_write_zeroes: facts.features.write_zeroes && writable,
        }
    }

    pub fn to_bytes(self) -> [u8; CONFIG_BYTES] {
        let mut bytes = [0; CONFIG_BYTES];
        let mut put = |at: usize, field: &[u8]| bytes[at..][..field.len()].copy_from_slice(field);
        put(0, &self.sectors.to_le_bytes());
        put(8, &Self::SEGMENT_BYTES_MAX.to_le_bytes());
        put(12, &Self::SEGMENTS_MAX.to_le_bytes());
        put(20, &Self::BLOCK_BYTES.to_le_bytes());
        put(24, &[Self::PHYSICAL_EXPONENT]);
        put(26, &Self::PHYSICAL_BLOCKS.to_le_bytes());
        put(28, &Self::OPTIMAL_BLOCKS.to_le_bytes());
        put(34, &self.queues.to_le_bytes());
        let limits = [Self::DISCARD_SECTORS_MAX, Self::DISCARD_SEGMENTS_MAX];
        if self.may_discard {
            put(36, &limits[0].to_le_bytes());
            put(40, &limits[1].to_le_bytes());
            put(44, &u32::from(Self::PHYSICAL_BLOCKS).to_le_bytes());
        }
        if self.may_write_zeroes {
            put(48, &limits[0].to_le_bytes());
            put(52, &limits[1].to_le_bytes());
            put(56, &[1]);
        }
        bytes
    }

    /// So many bytes from `offset` on, zeroes where there is nothing.
    pub fn range(self, offset: u32, len_bytes: usize) -> Vec<u8> {
        let bytes = self.to_bytes();
        let from = bytes.get(offset as usize..).unwrap_or_default();
        let mut range = from[..from.len().min(len_bytes)].to_vec();
        range.resize(len_bytes, 0);
        range
    }
}
