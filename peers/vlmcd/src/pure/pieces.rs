//! Cutting a range of a block: what is read where, what is written in place, and what a grant is filled with.
//!
//! # Invariants
//! * **PIECE-1** The pieces of a range follow each other and are the range; each has one source, the one that the map
//!   says for every sub-block that it touches.
//! * **PIECE-2** Neighbouring sub-blocks that must not be written in place are one part, whatever they come from.
//! * **PIECE-3** Every sub-block of a grant is written once and whole: from the request alone, from the request over what
//!   it was, or as it was.

use std::ops::Range;

use super::block_map::BlockMap;
use super::shape::Shape;
use super::source::Source;

/// Bytes of a block that come from one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Counted from the block's first.
    pub bytes: Range<u64>,
    /// `None` is zero.
    pub source: Option<Source>,
}

/// Where the bytes of a block's range come from.
pub fn pieces(
    shape: Shape,
    map: &BlockMap,
    in_block: Range<u64>,
) -> impl Iterator<Item = Piece> + use<'_> {
    let subs = shape.subs_touched(&in_block);
    let subs = if in_block.is_empty() { 0..0 } else { subs };
    map.parts(subs).map(move |(subs, source)| {
        let bytes = shape.bytes_of(&subs);
        let bytes = bytes.start.max(in_block.start)..bytes.end.min(in_block.end);
        Piece { bytes, source }
    })
}

/// Bytes of a block that are written in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WritePart {
    InPlace {
        bytes: Range<u64>,
        source: Source,
    },
    /// A new place is to be asked for.
    New {
        bytes: Range<u64>,
    },
}

/// How the bytes of a block's range are written.
pub fn write_parts(
    shape: Shape,
    map: &BlockMap,
    in_block: Range<u64>,
    is_writable: impl Fn(&Source) -> bool,
) -> Vec<WritePart> {
    let mut parts: Vec<WritePart> = Vec::new();
    for piece in pieces(shape, map, in_block) {
        match (
            piece.source.filter(|source| is_writable(source)),
            parts.last_mut(),
        ) {
            (Some(source), _) => parts.push(WritePart::InPlace {
                bytes: piece.bytes,
                source,
            }),
            (None, Some(WritePart::New { bytes })) => bytes.end = piece.bytes.end,
            (None, _) => parts.push(WritePart::New { bytes: piece.bytes }),
        }
    }
    parts
}

/// A sub-block that is written partly: the rest stays as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pad {
    pub sub: u16,
    /// What of it is new, counted from the block's first byte.
    pub bytes: Range<u64>,
}

/// What the sub-blocks of a grant are filled with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fill {
    pub pads: Vec<Pad>,
    /// Whole sub-blocks that come from the request: bytes of the block.
    pub whole: Range<u64>,
    /// Sub-blocks that nobody asked for: as they were.
    pub copies: Vec<Range<u16>>,
}

/// How to write these bytes, which touch granted sub-blocks only.
pub fn fill(shape: Shape, bytes: &Range<u64>, granted: &Range<u16>) -> Fill {
    let touched = shape.subs_touched(bytes);
    let mut fill = Fill::default();
    let mut whole = touched.clone();
    let pad_of = |sub: u16| {
        let all = shape.bytes_of(&(sub..sub + 1));
        let new = all.start.max(bytes.start)..all.end.min(bytes.end);
        (new != all).then_some(Pad { sub, bytes: new })
    };
    if let Some(pad) = (!whole.is_empty()).then(|| pad_of(whole.start)).flatten() {
        fill.pads.push(pad);
        whole.start += 1;
    }
    if let Some(pad) = (!whole.is_empty()).then(|| pad_of(whole.end - 1)).flatten() {
        fill.pads.push(pad);
        whole.end -= 1;
    }
    fill.whole = shape.bytes_of(&whole);
    let beside = [granted.start..touched.start, touched.end..granted.end];
    fill.copies
        .extend(beside.into_iter().filter(|subs| !subs.is_empty()));
    fill
}

#[cfg(test)]
mod tests {
    use archipelago_protocol::MapHead;
    use proptest::prelude::*;

    use super::*;

    const GRAIN: u64 = 4096;
    const SUBS: u16 = 16;

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

    fn source(stamp: u64) -> Source {
        Source::Born {
            birth: [3; 16],
            stamp,
        }
    }

    fn map_of(naive: &[Option<u64>]) -> BlockMap {
        let mut map = BlockMap::default();
        for (sub, stamp) in naive.iter().enumerate() {
            if let Some(stamp) = stamp {
                map.assign(sub as u16..sub as u16 + 1, source(*stamp));
            }
        }
        map
    }

    fn naive() -> impl Strategy<Value = Vec<Option<u64>>> {
        proptest::collection::vec(proptest::option::of(0..6_u64), usize::from(SUBS))
    }

    fn bytes() -> impl Strategy<Value = Range<u64>> {
        let edge = || {
            let around = (0..=u64::from(SUBS), -1..=1_i64);
            around.prop_map(|(sub, by)| (sub * GRAIN).saturating_add_signed(by))
        };
        let any = || prop_oneof![edge(), 0..GRAIN * u64::from(SUBS)];
        (any(), any()).prop_map(|(one, other)| {
            let all = GRAIN * u64::from(SUBS);
            one.min(other).min(all)..one.max(other).min(all)
        })
    }

    proptest! {
        /// PIECE-1, PIECE-2
        #[test]
        fn pieces_are_the_range_with_the_sources_of_the_map(naive in naive(), bytes in bytes()) {
            let map = map_of(&naive);
            let at = |byte: u64| naive[(byte / GRAIN) as usize].map(source);
            let mut end = bytes.start;
            for piece in pieces(shape(), &map, bytes.clone()) {
                prop_assert_eq!(piece.bytes.start, end);
                prop_assert!(!piece.bytes.is_empty());
                end = piece.bytes.end;
                for byte in piece.bytes.clone().step_by(GRAIN as usize).chain([end - 1]) {
                    prop_assert_eq!(at(byte), piece.source);
                }
            }
            prop_assert_eq!(end, bytes.end);
            let is_writable = |from: &Source| *from > source(2);
            let mut end = bytes.start;
            let mut was_new = false;
            for part in write_parts(shape(), &map, bytes.clone(), is_writable) {
                let (part, expected) = match part {
                    WritePart::InPlace { bytes, source } => (bytes, Some(source)),
                    WritePart::New { bytes } => (bytes, None),
                };
                prop_assert_eq!(part.start, end);
                prop_assert!(!(was_new && expected.is_none()));
                was_new = expected.is_none();
                end = part.end;
                for byte in part.step_by(GRAIN as usize).chain([end - 1]) {
                    prop_assert_eq!(at(byte).filter(is_writable), expected);
                }
            }
            prop_assert_eq!(end, bytes.end);
        }

        /// PIECE-3
        #[test]
        fn a_grant_is_filled_once_and_whole(bytes in bytes(), before in 0..SUBS, behind in 0..SUBS) {
            prop_assume!(!bytes.is_empty());
            let touched = shape().subs_touched(&bytes);
            let granted = touched.start.saturating_sub(before)..(touched.end + behind).min(SUBS);
            let fill = fill(shape(), &bytes, &granted);
            let mut written = [0_u8; SUBS as usize];
            let mut new = 0;
            for pad in &fill.pads {
                written[usize::from(pad.sub)] += 1;
                let all = shape().bytes_of(&(pad.sub..pad.sub + 1));
                prop_assert!(all.start <= pad.bytes.start && pad.bytes.end <= all.end);
                prop_assert!(bytes.start <= pad.bytes.start && pad.bytes.end <= bytes.end);
                new += pad.bytes.end - pad.bytes.start;
            }
            prop_assert!(fill.whole.start.is_multiple_of(GRAIN) && fill.whole.end.is_multiple_of(GRAIN));
            prop_assert!(fill.whole.is_empty() || (bytes.start <= fill.whole.start && fill.whole.end <= bytes.end));
            for at in fill.whole.clone().step_by(GRAIN as usize) {
                written[(at / GRAIN) as usize] += 1;
                new += GRAIN;
            }
            for sub in fill.copies.iter().cloned().flatten() {
                written[usize::from(sub)] += 1;
            }
            prop_assert_eq!(new, bytes.end - bytes.start);
            for sub in 0..SUBS {
                prop_assert_eq!(written[usize::from(sub)], u8::from(granted.contains(&sub)));
            }
        }
    }
}
