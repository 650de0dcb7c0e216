//! Where two maps of a block differ: by the names of their objects, without looking into them.
//!
//! What a snapshot refers to is never written again (M4), so what comes from the same object is the same. What comes from
//! different objects may be the same all the same; nobody says so then.
//!
//! # Invariants
//! * **DIFFERENCE-1** The runs are the range, in order, none empty, neighbours of different kinds.
//! * **DIFFERENCE-2** A byte is told to be the same only if both maps have it from one object, or both have zero for it.

use std::ops::Range;

use super::block_map::BlockMap;
use super::pieces::pieces;
use super::shape::Shape;

/// A part of a block's range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Counted from the block's first.
    pub bytes: Range<u64>,
    pub is_different: bool,
}

/// Where the bytes of a block's range come from different places. `then_end` is where the block that was there then ends,
/// counted from its first byte: what lies behind is different.
pub fn differences(
    shape: Shape,
    (now, then): (&BlockMap, &BlockMap),
    in_block: Range<u64>,
    then_end: u64,
) -> Vec<Difference> {
    let both = in_block.start..in_block.end.min(then_end).max(in_block.start);
    let mut differences: Vec<Difference> = Vec::new();
    let mut push = |bytes: Range<u64>, is_different: bool| match differences.last_mut() {
        _ if bytes.is_empty() => {}
        Some(last) if last.is_different == is_different => last.bytes.end = bytes.end,
        _ => differences.push(Difference {
            bytes,
            is_different,
        }),
    };
    let mut ones = pieces(shape, now, both.clone()).peekable();
    let mut others = pieces(shape, then, both.clone()).peekable();
    let mut at = both.start;
    while let (Some(one), Some(other)) = (ones.peek(), others.peek()) {
        let end = one.bytes.end.min(other.bytes.end);
        push(at..end, one.source != other.source);
        at = end;
        ones.next_if(|one| one.bytes.end == end);
        others.next_if(|other| other.bytes.end == end);
    }
    push(both.end..in_block.end, true);
    differences
}

#[cfg(test)]
mod tests {
    use archipelago_protocol::MapHead;
    use proptest::prelude::*;

    use super::*;
    use crate::pure::Source;

    const GRAIN: u64 = 4096;
    const SUBS: usize = 16;
    const BLOCK: u64 = GRAIN * SUBS as u64;

    fn shape() -> Shape {
        Shape::of(&MapHead {
            epoch: 1,
            floor: 0,
            size: 0,
            object_bits: 16,
            grain_bits: 12,
            is_read_only: false,
            runs: 0,
        })
    }

    fn map_of(stamps: &[Option<u64>]) -> BlockMap {
        let mut map = BlockMap::default();
        for (sub, stamp) in (0..).zip(stamps) {
            if let Some(stamp) = *stamp {
                let birth = [3; 16];
                map.assign(sub..sub + 1, Source::Born { birth, stamp });
            }
        }
        map
    }

    fn stamps() -> impl Strategy<Value = Vec<Option<u64>>> {
        proptest::collection::vec(proptest::option::of(0..3_u64), SUBS)
    }

    proptest! {
        /// DIFFERENCE-1, DIFFERENCE-2
        #[test]
        fn what_differs_is_what_the_sources_say(
            now in stamps(), then in stamps(), bytes in (0..BLOCK, 0..=BLOCK), then_end in 0..2 * BLOCK,
        ) {
            let bytes = bytes.0..bytes.1.max(bytes.0);
            let told = differences(shape(), (&map_of(&now), &map_of(&then)), bytes.clone(), then_end);
            let mut end = bytes.start;
            for run in &told {
                prop_assert_eq!(run.bytes.start, end);
                prop_assert!(!run.bytes.is_empty());
                end = run.bytes.end;
                let last = run.bytes.end - 1;
                for byte in run.bytes.clone().step_by(512).chain([last]) {
                    let sub = (byte / GRAIN) as usize;
                    let is_different = byte >= then_end || now[sub] != then[sub];
                    prop_assert_eq!(run.is_different, is_different, "byte {}", byte);
                }
            }
            prop_assert_eq!(end, bytes.end);
            for pair in told.windows(2) {
                prop_assert!(pair[0].is_different != pair[1].is_different);
            }
        }
    }
}
