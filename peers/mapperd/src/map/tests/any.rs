//! Any value of a format, for property tests.

use std::num::NonZeroU64;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::map::journal::{ANSWER_BYTES_MAX, Position, Record};
use crate::map::*;

/// A source that is told from others by two small numbers.
pub fn source_of(birth: u8, stamp: u64) -> Source {
    Source::Born {
        birth: volume(birth),
        stamp: Stamp::from_bits(stamp),
    }
}

/// A volume that is told from others by a small number, which is not zero.
pub fn volume(number: u8) -> VolumeId {
    VolumeId::new([number; 16]).expect("not zero")
}

pub fn volume_id() -> impl Strategy<Value = VolumeId> {
    let all = any::<[u8; 16]>().prop_filter_map("zero is no id", VolumeId::new);
    prop_oneof![(1..4_u8).prop_map(volume), all]
}

pub fn born() -> impl Strategy<Value = Source> {
    let stamp = any::<u64>().prop_map(Stamp::from_bits);
    (volume_id(), stamp).prop_map(|(birth, stamp)| Source::Born { birth, stamp })
}

/// What a map may name: content, too.
pub fn source() -> impl Strategy<Value = Source> {
    let content = any::<[u8; 24]>().prop_map(ContentId::from_bytes);
    prop_oneof![born(), content.prop_map(Source::Content)]
}

/// One of a few sources, or zero: so that equal ones meet.
pub fn few() -> impl Strategy<Value = Option<Source>> {
    (0..6_u64).prop_map(|number| match number {
        0 => None,
        5 => Some(Source::Content(ContentId::from_bytes([5; 24]))),
        stamp => Some(source_of(1, stamp)),
    })
}

pub fn page_ref() -> impl Strategy<Value = PageRef> {
    let parts = (volume_id(), any::<u64>(), any::<u16>(), any::<u32>());
    parts.prop_map(|(birth, number, index, crc)| PageRef {
        birth,
        number,
        index,
        crc,
    })
}

pub fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        Just(Entry::Zero),
        source().prop_map(Entry::Object),
        page_ref().prop_map(Entry::Split),
        page_ref().prop_map(Entry::Child),
    ]
}

pub fn shape() -> impl Strategy<Value = Shape> {
    (16..=26_u8, 12..=16_u8).prop_filter_map("not a shape", |(object, grain)| {
        Shape::new(object, grain).ok()
    })
}

/// Up to 255 bytes.
pub fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z\u{e9}]{1,12}", "x{255}"]
}

pub fn head_flags() -> impl Strategy<Value = HeadFlags> {
    let parts = (any::<[bool; 4]>(), 0..3_u64);
    parts.prop_map(
        |([snapshot, nameless, failed, content], trashed)| HeadFlags {
            content: content && snapshot,
            snapshot,
            nameless,
            failed,
            trashed_at_seconds: NonZeroU64::new(trashed),
        },
    )
}

fn position() -> impl Strategy<Value = Position> {
    let parts = (0..1_u64 << 40, 0..=Position::MAX, any::<u32>());
    parts.prop_map(|(words, sequence, link)| Position {
        offset: words * 8,
        sequence,
        link,
    })
}

fn segment() -> impl Strategy<Value = SegmentRef> {
    let parts = (
        volume_id(),
        any::<u64>(),
        any::<u64>(),
        position(),
        0..1_u64 << 40,
    );
    parts.prop_map(|(birth, token, number, from, words)| SegmentRef {
        birth,
        token,
        number,
        from,
        to_offset: Some(from.offset + words * 8),
    })
}

fn segments() -> impl Strategy<Value = Vec<SegmentRef>> {
    (vec(segment(), 0..4), any::<bool>()).prop_map(|(mut segments, is_open)| {
        if let Some(last) = segments.last_mut().filter(|_| is_open) {
            last.to_offset = None;
        }
        segments
    })
}

pub fn head() -> impl Strategy<Value = Head> {
    let root = (page_ref(), 0..=LEVEL_MAX).prop_map(|(page, level)| Root { page, level });
    let ids = (
        any::<bool>(),
        volume_id(),
        proptest::option::of(volume_id()),
        name(),
        head_flags(),
    );
    let numbers = (any::<[u64; 6]>(), 0..=VOLUME_BYTES_MAX);
    let parts = (
        ids,
        numbers,
        shape(),
        proptest::option::of(root),
        segments(),
    );
    parts.prop_map(
        |((has_content, id, parent, name, flags), (numbers, size_bytes), shape, root, segments)| {
            let [
                token,
                number,
                floor,
                ceiling,
                next_page_number,
                created_seconds,
            ] = numbers;
            Head {
                id,
                version: Version { token, number },
                shape,
                size_bytes,
                floor: Stamp::from_bits(floor),
                ceiling: Stamp::from_bits(ceiling),
                parent: parent.filter(|parent| *parent != id),
                root,
                has_content: has_content || flags.content,
                flags,
                name,
                segments,
                next_page_number,
                created_seconds,
            }
        },
    )
}

fn assign() -> impl Strategy<Value = Record> {
    let range = (0..SUBS_MAX).prop_flat_map(|from| (Just(from), 1..=SUBS_MAX - from));
    let parts = (0..BLOCKS_MAX, range, proptest::option::of(born()));
    parts.prop_map(|(block, (from, count), source)| Record::Assign {
        block,
        from,
        count,
        source,
    })
}

pub fn record() -> impl Strategy<Value = Record> {
    let stamp = || any::<u64>().prop_map(Stamp::from_bits);
    let blocks = (0..BLOCKS_MAX).prop_flat_map(|first| (Just(first), 1..=BLOCKS_MAX - first));
    let operation = (any::<u128>(), vec(any::<u8>(), 0..=ANSWER_BYTES_MAX));
    prop_oneof![
        assign(),
        blocks.prop_map(|(first_block, count)| Record::Zero { first_block, count }),
        (volume_id(), stamp()).prop_map(|(child, floor)| Record::Snapshot { child, floor }),
        proptest::option::of(volume_id()).prop_map(|parent| Record::Parent { parent }),
        stamp().prop_map(|floor| Record::Floor { floor }),
        stamp().prop_map(|ceiling| Record::Ceiling { ceiling }),
        (0..=VOLUME_BYTES_MAX).prop_map(|bytes| Record::Size { bytes }),
        name().prop_map(|name| Record::Name { name }),
        head_flags().prop_map(Record::Flags),
        operation.prop_map(|(id, answer)| Record::Operation { id, answer }),
        Just(Record::Barrier),
        any::<u64>().prop_map(|sequence| Record::Synced { sequence }),
    ]
}

/// Every bit flipped, every length cut, and bytes added: each must be refused.
#[track_caller]
pub fn assert_every_damage_is_found(good: &[u8], is_refused: impl Fn(&[u8]) -> bool) {
    assert!(
        !is_refused(good),
        "the bytes are good before they are damaged"
    );
    let mut bytes = good.to_vec();
    for bit in 0..bytes.len() * 8 {
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(is_refused(&bytes), "bit {bit}");
        bytes[bit / 8] ^= 1 << (bit % 8);
    }
    for length in 0..bytes.len() {
        assert!(is_refused(&bytes[..length]), "cut to {length}");
    }
    for added in [0, 1, 0xff] {
        bytes.push(added);
        assert!(is_refused(&bytes), "a byte {added} was added");
        bytes.pop();
    }
}
