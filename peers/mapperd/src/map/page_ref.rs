//! Where a page lies, and what it must be.

use super::VolumeId;

/// Names one page: a page object of a volume, the place in it, and the checksum of the page. The checksum makes a
/// reference and its page one: a page of another time at the same place is not what is meant (F30).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageRef {
    /// The volume that wrote it.
    pub birth: VolumeId,
    /// That volume's number of the page object: token in the high bits, like a stamp.
    pub number: u64,
    /// Which page of the object: it lies at 4096 times this.
    pub index: u16,
    /// CRC32C of the page, as its header has it.
    pub crc: u32,
}

impl std::fmt::Display for PageRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            birth,
            number,
            index,
            crc,
        } = self;
        write!(f, "{birth}/{number:016x}#{index} (checksum {crc:08x})")
    }
}
