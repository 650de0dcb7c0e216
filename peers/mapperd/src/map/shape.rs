//! How a volume is divided: into blocks of one object's size, and those into sub-blocks of one grain.
//!
//! # Invariants
//! * **SHAPE-1** Whatever size up to 2^63 bytes (and any other number) is asked about, nothing overflows: a block is at
//!   least 64 KiB, so there are at most 2^48, and a tree of seven levels has room for them.

use super::error::{BadField, FormatError};

/// The largest volume, in bytes (F45).
pub const VOLUME_BYTES_MAX: u64 = 1 << 63;
/// The most blocks of a volume: 2^63 bytes in objects of 64 KiB.
pub const BLOCKS_MAX: u64 = VOLUME_BYTES_MAX >> OBJECT_BITS_MIN;
/// The most sub-blocks of a block.
pub const SUBS_MAX: u16 = 1024;
/// Entries of a page of the tree.
pub const PAGE_ENTRIES: usize = 126;
/// The level of the root of the highest tree: 126^7 blocks are more than 2^48.
pub const LEVEL_MAX: u8 = 6;

const OBJECT_BITS_MIN: u8 = 16;
const OBJECT_BITS_MAX: u8 = 26;
const GRAIN_BITS_MIN: u8 = 12;
const GRAIN_BITS_MAX: u8 = 16;
const SUB_BITS_MAX: u8 = 10;

/// A volume's object size and grain, fixed when it is made (M4, M8).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    object_bits: u8,
    grain_bits: u8,
}

impl Shape {
    /// Objects of 2^`object_bits` bytes: 64 KiB to 64 MiB. Sub-blocks of 2^`grain_bits`: 4 KiB to 64 KiB, at most as
    /// large as the object, which has at most 1024 of them.
    pub fn new(object_bits: u8, grain_bits: u8) -> Result<Self, FormatError> {
        let bad = |field, value: u8, want| {
            let value = value.into();
            let record = "shape of a volume";
            Err(FormatError::Field(BadField {
                record,
                field,
                value,
                want,
            }))
        };
        if !(OBJECT_BITS_MIN..=OBJECT_BITS_MAX).contains(&object_bits) {
            return bad(
                "object_bits",
                object_bits,
                "16 to 26: objects of 64 KiB to 64 MiB",
            );
        }
        if !(GRAIN_BITS_MIN..=GRAIN_BITS_MAX).contains(&grain_bits) {
            return bad(
                "grain_bits",
                grain_bits,
                "12 to 16: sub-blocks of 4 KiB to 64 KiB",
            );
        }
        if grain_bits + SUB_BITS_MAX < object_bits {
            return bad(
                "grain_bits",
                grain_bits,
                "an object has at most 1024 sub-blocks",
            );
        }
        Ok(Self {
            object_bits,
            grain_bits,
        })
    }

    pub fn object_bits(self) -> u8 {
        self.object_bits
    }

    pub fn grain_bits(self) -> u8 {
        self.grain_bits
    }

    pub fn object_bytes(self) -> u64 {
        1 << self.object_bits
    }

    pub fn grain_bytes(self) -> u64 {
        1 << self.grain_bits
    }

    /// Sub-blocks of a block: 1 to 1024.
    pub fn subs(self) -> u16 {
        1 << (self.object_bits - self.grain_bits)
    }

    /// Blocks of a volume of this size, the last of which may be short.
    pub fn blocks(self, size_bytes: u64) -> u64 {
        size_bytes.div_ceil(self.object_bytes())
    }

    /// The block in which this byte of the volume lies, and the sub-block in it.
    pub fn locate(self, offset_bytes: u64) -> (u64, u16) {
        let in_block = offset_bytes & (self.object_bytes() - 1);
        let sub = u16::try_from(in_block >> self.grain_bits).expect("below 1024");
        (offset_bytes >> self.object_bits, sub)
    }

    /// The level of the root of the lowest tree with room for this size: 0 is a single leaf.
    pub fn level_for(self, size_bytes: u64) -> u8 {
        let blocks = self.blocks(size_bytes);
        let fits = |level: &u8| blocks <= page_span(*level);
        (0..=LEVEL_MAX)
            .find(fits)
            .expect("126^7 blocks are more than any size has")
    }
}

/// Blocks below one entry of a page of this level, which is at most `LEVEL_MAX`: 1 in a leaf.
pub const fn entry_span(level: u8) -> u64 {
    assert!(level <= LEVEL_MAX);
    (PAGE_ENTRIES as u64).pow(level as u32)
}

/// Blocks below a page of this level, which is at most `LEVEL_MAX`: 126 below a leaf.
pub const fn page_span(level: u8) -> u64 {
    entry_span(level) * PAGE_ENTRIES as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_shape_has_powers_of_two_within_the_bounds_of_the_page() {
        let good = |object, grain| Shape::new(object, grain).map(Shape::subs).ok();
        assert_eq!(good(16, 12), Some(16));
        assert_eq!(good(22, 12), Some(1024));
        assert_eq!(good(26, 16), Some(1024));
        assert_eq!(good(16, 16), Some(1));
        for (object, grain) in [
            (15, 12),
            (27, 16),
            (16, 11),
            (22, 17),
            (23, 12),
            (26, 15),
            (0, 0),
            (255, 255),
        ] {
            assert_eq!(good(object, grain), None, "{object} {grain}");
        }
        let error = Shape::new(23, 12).unwrap_err().to_string();
        assert!(
            error.contains("grain_bits") && error.contains("1024"),
            "{error}"
        );
    }

    /// F45
    #[test]
    fn sizes_at_the_edges_are_exact() {
        let shape = Shape::new(22, 12).unwrap();
        assert_eq!(shape.blocks(0), 0);
        assert_eq!(shape.blocks(1), 1);
        assert_eq!(shape.blocks(4 << 20), 1);
        assert_eq!(shape.blocks((4 << 20) + 1), 2);
        assert_eq!(shape.blocks(VOLUME_BYTES_MAX), 1 << 41);
        assert_eq!(shape.level_for(0), 0);
        assert_eq!(shape.level_for(126 << 22), 0);
        assert_eq!(shape.level_for((126 << 22) + 1), 1);
        assert_eq!(shape.locate((5 << 22) + (7 << 12) + 9), (5, 7));
    }

    proptest! {
        /// SHAPE-1
        #[test]
        fn no_size_overflows(object in 16..=26_u8, grain in 12..=16_u8, size: u64) {
            let Ok(shape) = Shape::new(object, grain) else { return Ok(()) };
            for size in [size, u64::MAX, VOLUME_BYTES_MAX] {
                let blocks = shape.blocks(size);
                prop_assert_eq!(u128::from(blocks), u128::from(size).div_ceil(1 << object));
                let level = shape.level_for(size);
                prop_assert!(blocks <= page_span(level));
                prop_assert!(level == 0 || blocks > page_span(level - 1));
                let (block, sub) = shape.locate(size);
                prop_assert!(sub < shape.subs());
                prop_assert_eq!(block, size / shape.object_bytes());
            }
        }
    }
}
