//! A place between two records.

use crate::map::VolumeId;

/// Where a record begins, and what must stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// In the segment's object: a multiple of 8, at most 2^62.
    pub offset: u64,
    /// The sequence number of the record that begins here, at most 2^62.
    pub sequence: u64,
    /// The checksum of the record that ends here: that of the next is continued from it.
    pub link: u32,
}

impl Position {
    /// No offset and no sequence number is ever near it: adding to them does not overflow.
    pub const MAX: u64 = 1 << 62;

    /// The beginning of the segment `log/<birth>/<token>.<number>`, whose first record has this sequence number.
    pub fn start_of(birth: VolumeId, token: u64, number: u64, first_sequence: u64) -> Self {
        let link = crc32c::crc32c(birth.as_bytes());
        let link = crc32c::crc32c_append(link, &token.to_le_bytes());
        let link = crc32c::crc32c_append(link, &number.to_le_bytes());
        Self {
            offset: 0,
            sequence: first_sequence,
            link,
        }
    }
}
