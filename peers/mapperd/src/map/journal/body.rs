//! The bodies of records, to bytes and back.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::record::{ANSWER_BYTES_MAX, Record, kind};
use crate::map::disk::{
    RawAssign, RawFlags, RawNumber, RawOperation, RawParent, RawSnapshot, RawText, RawZero,
};
use crate::map::error::{BadField, FormatError};
use crate::map::head::{flag_bits, flags_of};
use crate::map::{
    BLOCKS_MAX, NAME_BYTES_MAX, SUBS_MAX, Source, Stamp, VOLUME_BYTES_MAX, VolumeId, check,
};

const RECORD: &str = "journal record";

/// Appends the body and gives the kind. What a reader would refuse is refused.
pub(super) fn encode(record: &Record, out: &mut Vec<u8>) -> Result<u16, FormatError> {
    check_values(record)?;
    let mut put = |kind, body: &[u8]| {
        out.extend_from_slice(body);
        kind
    };
    let number = |value: u64| RawNumber {
        value: value.into(),
    };
    Ok(match record {
        Record::Assign {
            block,
            from,
            count,
            source,
        } => {
            let body = RawAssign {
                block: (*block).into(),
                from: (*from).into(),
                count: (*count).into(),
                reserved: 0.into(),
                stamp: stamp_bits(*source).into(),
                birth: VolumeId::encode_option(source.and_then(Source::birth)),
            };
            put(kind::ASSIGN, body.as_bytes())
        }
        Record::Zero { first_block, count } => {
            let (first_block, count) = ((*first_block).into(), (*count).into());
            put(kind::ZERO, RawZero { first_block, count }.as_bytes())
        }
        Record::Snapshot { child, floor } => {
            let (child, floor) = (*child.as_bytes(), floor.bits().into());
            put(kind::SNAPSHOT, RawSnapshot { child, floor }.as_bytes())
        }
        Record::Parent { parent } => {
            let parent = VolumeId::encode_option(*parent);
            put(kind::PARENT, RawParent { parent }.as_bytes())
        }
        Record::Floor { floor } => put(kind::FLOOR, number(floor.bits()).as_bytes()),
        Record::Ceiling { ceiling } => put(kind::CEILING, number(ceiling.bits()).as_bytes()),
        Record::Size { bytes } => put(kind::SIZE, number(*bytes).as_bytes()),
        Record::Name { name } => {
            let raw = RawText {
                length: length_of(name.len()).into(),
                reserved: 0.into(),
            };
            put(kind::NAME, raw.as_bytes());
            put(kind::NAME, name.as_bytes())
        }
        Record::Flags(flags) => {
            let body = RawFlags {
                flags: flag_bits(flags).into(),
                reserved: [0; 6],
                trashed_at_seconds: flags.trashed_at_seconds.map_or(0, u64::from).into(),
            };
            put(kind::FLAGS, body.as_bytes())
        }
        Record::Operation { id, answer } => {
            let (id, length) = (id.to_le_bytes(), length_of(answer.len()).into());
            let raw = RawOperation {
                id,
                length,
                reserved: 0.into(),
            };
            put(kind::OPERATION, raw.as_bytes());
            put(kind::OPERATION, answer)
        }
        Record::Barrier => put(kind::BARRIER, &[]),
        Record::Synced { sequence } => put(kind::SYNCED, number(*sequence).as_bytes()),
    })
}

fn stamp_bits(source: Option<Source>) -> u64 {
    source.and_then(Source::stamp).map_or(0, Stamp::bits)
}

/// The record of this kind with this body, of which the last seven bytes may be padding.
pub(super) fn decode(kind: u16, body: &[u8]) -> Result<Record, FormatError> {
    let record = match kind {
        kind::ASSIGN => assign(take_all(body)?)?,
        kind::ZERO => {
            let raw: RawZero = take_all(body)?;
            let (first_block, count) = (raw.first_block.get(), raw.count.get());
            Record::Zero { first_block, count }
        }
        kind::SNAPSHOT => {
            let raw: RawSnapshot = take_all(body)?;
            let floor = Stamp::from_bits(raw.floor.get());
            Record::Snapshot {
                child: VolumeId::decode(raw.child, RECORD, "child")?,
                floor,
            }
        }
        kind::PARENT => {
            let raw: RawParent = take_all(body)?;
            Record::Parent {
                parent: VolumeId::new(raw.parent),
            }
        }
        kind::FLOOR => Record::Floor {
            floor: Stamp::from_bits(number(body)?),
        },
        kind::CEILING => Record::Ceiling {
            ceiling: Stamp::from_bits(number(body)?),
        },
        kind::SIZE => Record::Size {
            bytes: number(body)?,
        },
        kind::NAME => {
            let (raw, rest): (RawText, _) = take(body)?;
            check::zero(RECORD, "reserved", raw.reserved.get().into())?;
            let name = padded(rest, raw.length.get())?;
            Record::Name {
                name: check::text(RECORD, "name", name)?,
            }
        }
        kind::FLAGS => {
            let raw: RawFlags = take_all(body)?;
            let mut reserved = [0; 16];
            reserved[10..].copy_from_slice(&raw.reserved);
            check::zero(RECORD, "reserved", u128::from_be_bytes(reserved))?;
            let trashed_at_seconds = raw.trashed_at_seconds.get();
            Record::Flags(flags_of(RECORD, raw.flags.get(), trashed_at_seconds)?)
        }
        kind::OPERATION => {
            let (raw, rest): (RawOperation, _) = take(body)?;
            check::zero(RECORD, "reserved", raw.reserved.get().into())?;
            let answer = padded(rest, raw.length.get())?.to_vec();
            Record::Operation {
                id: u128::from_le_bytes(raw.id),
                answer,
            }
        }
        kind::BARRIER | kind::OPENING if body.is_empty() => Record::Barrier,
        kind::BARRIER | kind::OPENING => return Err(check::length(RECORD, body, 0)),
        kind::SYNCED => Record::Synced {
            sequence: number(body)?,
        },
        unknown => {
            return Err(bad(
                "kind",
                unknown.into(),
                "1 to 13 are known to this build",
            ));
        }
    };
    check_values(&record)?;
    Ok(record)
}

fn assign(raw: RawAssign) -> Result<Record, FormatError> {
    check::zero(RECORD, "reserved", raw.reserved.get().into())?;
    let stamp = Stamp::from_bits(raw.stamp.get());
    let source = VolumeId::new(raw.birth).map(|birth| Source::Born { birth, stamp });
    if source.is_none() && stamp != Stamp::ZERO {
        return Err(bad(
            "stamp",
            stamp.bits().into(),
            "0 where there is no birth volume",
        ));
    }
    let (from, count) = (raw.from.get(), raw.count.get());
    Ok(Record::Assign {
        block: raw.block.get(),
        from,
        count,
        source,
    })
}

/// What a record must keep to that its fields' types leave open.
fn check_values(record: &Record) -> Result<(), FormatError> {
    let refuse = |field, value: u128, want| Err(bad(field, value, want));
    match record {
        Record::Assign {
            source: Some(Source::Content(_)),
            ..
        } => refuse(
            "source",
            0,
            "an object that a volume made: content is never assigned",
        ),
        Record::Assign { count: 0, .. } => refuse("count", 0, "at least 1 sub-block"),
        Record::Assign { block, .. } if *block >= BLOCKS_MAX => {
            refuse("block", (*block).into(), "a volume has at most 2^47 blocks")
        }
        Record::Assign { from, count, .. } => match from.checked_add(*count) {
            Some(end) if end <= SUBS_MAX => Ok(()),
            _ => refuse(
                "count",
                (*count).into(),
                "the sub-blocks end at 1024 at most",
            ),
        },
        Record::Zero { count: 0, .. } => refuse("count", 0, "at least 1 block"),
        Record::Zero { first_block, count } => match first_block.checked_add(*count) {
            Some(end) if end <= BLOCKS_MAX => Ok(()),
            _ => refuse("count", (*count).into(), "a volume has at most 2^47 blocks"),
        },
        Record::Size { bytes } if *bytes > VOLUME_BYTES_MAX => {
            refuse("value", (*bytes).into(), "a volume has at most 2^63 bytes")
        }
        Record::Name { name } if name.len() > NAME_BYTES_MAX => {
            refuse("length", name.len() as u128, "a name has at most 255 bytes")
        }
        Record::Operation { answer, .. } if answer.len() > ANSWER_BYTES_MAX => refuse(
            "length",
            answer.len() as u128,
            "an answer has at most 1024 bytes",
        ),
        _ => Ok(()),
    }
}

fn number(body: &[u8]) -> Result<u64, FormatError> {
    take_all(body).map(|raw: RawNumber| raw.value.get())
}

fn take<T: FromBytes + KnownLayout + Immutable>(body: &[u8]) -> Result<(T, &[u8]), FormatError> {
    T::read_from_prefix(body).map_err(|_| check::length(RECORD, body, size_of::<T>()))
}

fn take_all<T: FromBytes + KnownLayout + Immutable>(body: &[u8]) -> Result<T, FormatError> {
    T::read_from_bytes(body).map_err(|_| check::length(RECORD, body, size_of::<T>()))
}

/// The first `length` bytes: behind them are only zeros, as few as make a multiple of 8.
fn padded(rest: &[u8], length: u32) -> Result<&[u8], FormatError> {
    let length = length as usize;
    if rest.len() != length.next_multiple_of(8) {
        let want = "the record's length less what stands before the bytes, and less padding";
        return Err(bad("length", length as u128, want));
    }
    let (bytes, padding) = rest.split_at(length);
    match padding.iter().find(|byte| **byte != 0) {
        Some(byte) => Err(bad("padding", (*byte).into(), "0")),
        None => Ok(bytes),
    }
}

fn length_of(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("checked to be at most 1024")
}

fn bad(field: &'static str, value: u128, want: &'static str) -> FormatError {
    BadField {
        record: RECORD,
        field,
        value,
        want,
    }
    .into()
}
