//! Byte ranges of objects, as requests name them.

use crate::error::StoreError;

/// The longest an object can be named to be: what the kernel's file offsets can say.
pub const OBJECT_END_MAX: u64 = i64::MAX as u64;

/// Every store takes objects as long as this: the longest that volumes have. A store may refuse a write beyond it like one for which it has no
/// space.
pub const OBJECT_BYTES_LEAST: u64 = 64 << 20;

/// The end of a range; `Invalid` if no object could have it.
pub fn range_end(offset: u64, len: u64) -> Result<u64, StoreError> {
    offset
        .checked_add(len)
        .filter(|end| *end <= OBJECT_END_MAX)
        .ok_or(StoreError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_ends_where_a_file_can() {
        assert_eq!(range_end(3, 4), Ok(7));
        assert_eq!(range_end(OBJECT_END_MAX, 0), Ok(OBJECT_END_MAX));
        assert_eq!(range_end(OBJECT_END_MAX, 1), Err(StoreError::Invalid));
        assert_eq!(range_end(u64::MAX, 2), Err(StoreError::Invalid));
    }
}
