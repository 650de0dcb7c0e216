//! How a volume is divided: into blocks of one object's size, and those into sub-blocks of one grain.
//!
//! # Invariants
//! * **CSHAPE-1** For any range below 2^63 bytes nothing overflows, and what a range is divided into is the range: its blocks'
//!   parts one after the other, its whole sub-blocks and its ends.

use std::ops::Range;

use archipelago_protocol::MapHead;

/// A volume's object size and grain: checked when the message was read that told them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    object_bits: u8,
    grain_bits: u8,
}

impl Shape {
    pub fn of(head: &MapHead) -> Self {
        Self {
            object_bits: head.object_bits,
            grain_bits: head.grain_bits,
        }
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

    /// The blocks that these bytes touch.
    pub fn blocks(self, bytes: &Range<u64>) -> Range<u64> {
        if bytes.is_empty() {
            return 0..0;
        }
        bytes.start >> self.object_bits..((bytes.end - 1) >> self.object_bits) + 1
    }

    /// The first byte of a block.
    pub fn block_at(self, block: u64) -> u64 {
        block << self.object_bits
    }

    /// Those of the bytes that lie in the block, counted from its first.
    pub fn in_block(self, block: u64, bytes: &Range<u64>) -> Range<u64> {
        let first = self.block_at(block);
        let start = bytes.start.max(first) - first;
        let end = bytes.end.saturating_sub(first).min(self.object_bytes());
        start..end.max(start)
    }

    /// The sub-blocks that these bytes of a block touch.
    pub fn subs_touched(self, in_block: &Range<u64>) -> Range<u16> {
        let first = in_block.start >> self.grain_bits;
        let end = in_block.end.div_ceil(self.grain_bytes());
        first as u16..end.max(first) as u16 // at most 1024
    }

    /// The bytes of a block's sub-blocks.
    pub fn bytes_of(self, subs: &Range<u16>) -> Range<u64> {
        u64::from(subs.start) << self.grain_bits..u64::from(subs.end) << self.grain_bits
    }

    /// Sub-blocks of a block, counted from the volume's first.
    pub fn over_volume(self, block: u64, subs: &Range<u16>) -> Range<u64> {
        let first = block << (self.object_bits - self.grain_bits);
        first + u64::from(subs.start)..first + u64::from(subs.end)
    }

    /// The bytes of those sub-blocks that lie wholly in the range; the volume's last one is whole where the volume ends.
    pub fn whole_subs(self, bytes: &Range<u64>, size: u64) -> Range<u64> {
        let grain = self.grain_bytes();
        let start = bytes.start.div_ceil(grain) * grain;
        let end = if bytes.end == size {
            size
        } else {
            bytes.end / grain * grain
        };
        if start < end { start..end } else { 0..0 }
    }

    /// What of the range is left beside its whole sub-blocks: none, one or two ranges, each within one sub-block.
    pub fn ends(self, bytes: &Range<u64>, size: u64) -> Vec<Range<u64>> {
        let whole = self.whole_subs(bytes, size);
        let ends = if whole.is_empty() {
            let grain = self.grain_bytes();
            let next = (bytes.start / grain + 1) * grain;
            let middle = next.min(bytes.end);
            [bytes.start..middle, middle..bytes.end]
        } else {
            [bytes.start..whole.start, whole.end..bytes.end]
        };
        ends.into_iter().filter(|end| !end.is_empty()).collect()
    }

    /// Sub-blocks of the volume that these bytes touch.
    pub fn volume_subs_touched(self, bytes: &Range<u64>) -> Range<u64> {
        let first = bytes.start >> self.grain_bits;
        first..bytes.end.div_ceil(self.grain_bytes()).max(first)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shapes() -> impl Strategy<Value = Shape> {
        (12..=16_u8, 0..=10_u8)
            .prop_map(|(grain_bits, subs_bits)| Shape {
                object_bits: (grain_bits + subs_bits).clamp(16, 26),
                grain_bits,
            })
            .prop_filter("at most 1024 sub-blocks", |shape| {
                shape.object_bits - shape.grain_bits <= 10
            })
    }

    proptest! {
        /// CSHAPE-1
        #[test]
        fn parts_of_blocks_are_the_range(shape in shapes(), start in 0..1_u64 << 62, len in 0..1_u64 << 28) {
            let bytes = start..start + len;
            let mut at = start;
            for block in shape.blocks(&bytes) {
                let part = shape.in_block(block, &bytes);
                prop_assert!(!part.is_empty() && part.end <= shape.object_bytes());
                prop_assert_eq!(shape.block_at(block) + part.start, at);
                let subs = shape.subs_touched(&part);
                prop_assert!(subs.end <= shape.subs());
                let covered = shape.bytes_of(&subs);
                prop_assert!(covered.start <= part.start && part.end <= covered.end);
                prop_assert!(part.start - covered.start < shape.grain_bytes());
                prop_assert!(covered.end - part.end < shape.grain_bytes());
                at += part.end - part.start;
            }
            prop_assert_eq!(at, bytes.end);
        }

        /// CSHAPE-1, F45
        #[test]
        fn whole_subs_and_ends_are_the_range(
            shape in shapes(), start in 0..1_u64 << 20, len in 0..1_u64 << 20, beyond in prop_oneof![Just(0_u64), 0..1_u64 << 20]
        ) {
            let bytes = start..start + len;
            let size = bytes.end + beyond;
            let whole = shape.whole_subs(&bytes, size);
            let mut all = shape.ends(&bytes, size);
            for end in &all {
                let subs = shape.volume_subs_touched(end);
                prop_assert_eq!(subs.end - subs.start, 1);
            }
            if !whole.is_empty() {
                prop_assert!(whole.start.is_multiple_of(shape.grain_bytes()));
                prop_assert!(whole.end % shape.grain_bytes() == 0 || whole.end == size);
                all.push(whole);
            }
            all.sort_by_key(|range| range.start);
            let mut at = bytes.start;
            for range in all {
                prop_assert_eq!(range.start, at);
                at = range.end;
            }
            prop_assert_eq!(at, bytes.end);
        }
    }
}
