//! Heads to bytes and back.

use std::num::NonZeroU64;

use zerocopy::{FromBytes, IntoBytes};

use super::{Head, HeadFlags, NAME_BYTES_MAX, Root, SEGMENTS_MAX, SegmentRef, Version};
use crate::map::access::{Access, CONTENT, Decoded, incompat_bits};
use crate::map::check::{self, Envelope};
use crate::map::disk::{RawHead, RawSegment};
use crate::map::entry::Entry;
use crate::map::error::{BadField, FormatError};
use crate::map::journal::Position;
use crate::map::{FORMAT, LEVEL_MAX, Shape, Stamp, VOLUME_BYTES_MAX, VolumeId};

/// "ARCHHEAD", as it stands on disk.
pub(in crate::map) const MAGIC: u64 = u64::from_le_bytes(*b"ARCHHEAD");
const RECORD: &str = "head";
const CRC_AT: usize = std::mem::offset_of!(RawHead, crc);
/// The end of an open segment.
pub(in crate::map) const OPEN: u64 = u64::MAX;

const FLAG_SNAPSHOT: u16 = 1;
const FLAG_NAMELESS: u16 = 2;
const FLAG_FAILED: u16 = 4;
const FLAG_CONTENT: u16 = 8;

impl Head {
    pub fn encode(&self) -> Result<Vec<u8>, FormatError> {
        check_head(self)?;
        let segments_bytes = self.segments.len() * size_of::<RawSegment>();
        let length = size_of::<RawHead>() + segments_bytes + self.name.len();
        let number = |value: usize| u32::try_from(value).expect("4096 segments are 256 KiB");
        let root = self
            .root
            .map_or(Entry::Zero, |root| Entry::Child(root.page));
        let raw = RawHead {
            magic: MAGIC.into(),
            format: FORMAT.into(),
            flags: flag_bits(&self.flags).into(),
            length: number(length).into(),
            crc: 0.into(),
            compat: 0.into(),
            ro_compat: 0.into(),
            incompat: incompat_bits(self.has_content).into(),
            segment_count: number(self.segments.len()).into(),
            object_bits: self.shape.object_bits(),
            grain_bits: self.shape.grain_bits(),
            root_level: self.root.map_or(0, |root| root.level),
            name_length: u8::try_from(self.name.len()).expect("checked"),
            id: *self.id.as_bytes(),
            version_token: self.version.token.into(),
            version_number: self.version.number.into(),
            size_bytes: self.size_bytes.into(),
            floor: self.floor.bits().into(),
            ceiling: self.ceiling.bits().into(),
            next_page_number: self.next_page_number.into(),
            created_seconds: self.created_seconds.into(),
            trashed_at_seconds: self.flags.trashed_at_seconds.map_or(0, u64::from).into(),
            parent: VolumeId::encode_option(self.parent),
            root: root.to_raw(),
        };
        let mut bytes = Vec::with_capacity(length);
        bytes.extend_from_slice(raw.as_bytes());
        for segment in &self.segments {
            bytes.extend_from_slice(raw_segment(segment).as_bytes());
        }
        bytes.extend_from_slice(self.name.as_bytes());
        check::seal(&mut bytes, CRC_AT);
        Ok(bytes)
    }

    /// The head, and whether this build may write the volume (M9).
    pub fn decode(bytes: &[u8]) -> Result<Decoded<Self>, FormatError> {
        let (raw, access) = header(bytes)?;
        let has_content = raw.incompat.get() & CONTENT != 0;
        let tail = &bytes[size_of::<RawHead>()..];
        let segments_bytes = raw.segment_count.get() as usize * size_of::<RawSegment>();
        let (segments, name) = tail.split_at(segments_bytes);
        let segments = <[RawSegment]>::ref_from_bytes(segments)
            .map_err(|_| check::length(RECORD, bytes, raw.length.get() as usize))?;
        let value = Self {
            id: VolumeId::decode(raw.id, RECORD, "id")?,
            version: Version {
                token: raw.version_token.get(),
                number: raw.version_number.get(),
            },
            shape: Shape::new(raw.object_bits, raw.grain_bits)?,
            size_bytes: raw.size_bytes.get(),
            floor: Stamp::from_bits(raw.floor.get()),
            ceiling: Stamp::from_bits(raw.ceiling.get()),
            parent: VolumeId::new(raw.parent),
            root: root_of(&raw)?,
            flags: flags_of(RECORD, raw.flags.get(), raw.trashed_at_seconds.get())?,
            has_content,
            name: check::text(RECORD, "name", name)?,
            segments: segments.iter().map(segment_of).collect::<Result<_, _>>()?,
            next_page_number: raw.next_page_number.get(),
            created_seconds: raw.created_seconds.get(),
        };
        check_head(&value)?;
        Ok(Decoded { value, access })
    }
}

/// The fixed part, when the whole is as it was written and its parts have the lengths that they say.
fn header(bytes: &[u8]) -> Result<(RawHead, Access), FormatError> {
    let (raw, tail) = RawHead::read_from_prefix(bytes)
        .map_err(|_| check::length(RECORD, bytes, size_of::<RawHead>()))?;
    check::magic(RECORD, raw.magic.get(), MAGIC)?;
    check::format(RECORD, raw.format.get())?;
    let length = raw.length.get() as usize;
    if bytes.len() != length {
        return Err(check::length(RECORD, bytes, length));
    }
    Envelope {
        record: RECORD,
        crc_at: CRC_AT,
    }
    .check(bytes)?;
    let access = Access::from_features(RECORD, raw.ro_compat.get(), raw.incompat.get())?;
    let segment_count = raw.segment_count.get() as usize;
    if segment_count > SEGMENTS_MAX {
        return Err(bad("segment_count", segment_count as u128, "at most 4096"));
    }
    let expected = segment_count * size_of::<RawSegment>() + usize::from(raw.name_length);
    if tail.len() != expected {
        return Err(check::length(
            RECORD,
            bytes,
            size_of::<RawHead>() + expected,
        ));
    }
    Ok((raw, access))
}

/// What a head must keep to that its fields' types leave open.
fn check_head(head: &Head) -> Result<(), FormatError> {
    if head.size_bytes > VOLUME_BYTES_MAX {
        return Err(bad("size_bytes", head.size_bytes.into(), "at most 2^63"));
    }
    if head.flags.content && !head.has_content {
        let want = "bit 1 where the flags say content";
        return Err(bad("incompat", 0, want));
    }
    if head.name.len() > NAME_BYTES_MAX {
        return Err(bad("name_length", head.name.len() as u128, "at most 255"));
    }
    if head.parent == Some(head.id) {
        let parent = u128::from_be_bytes(*head.id.as_bytes());
        return Err(bad("parent", parent, "a volume never hangs from itself"));
    }
    if let Some(Root { level, .. }) = head.root
        && level > LEVEL_MAX
    {
        return Err(bad("root_level", level.into(), "at most 6"));
    }
    if head.segments.len() > SEGMENTS_MAX {
        return Err(bad(
            "segment_count",
            head.segments.len() as u128,
            "at most 4096",
        ));
    }
    let last = head.segments.len().saturating_sub(1);
    for (index, segment) in head.segments.iter().enumerate() {
        check_segment(segment, index == last)?;
    }
    Ok(())
}

fn check_segment(segment: &SegmentRef, is_last: bool) -> Result<(), FormatError> {
    let Position {
        offset: from,
        sequence,
        ..
    } = segment.from;
    if !from.is_multiple_of(8) || from > Position::MAX {
        return Err(bad(
            "from_offset",
            from.into(),
            "a multiple of 8, at most 2^62",
        ));
    }
    if sequence > Position::MAX {
        return Err(bad("first_sequence", sequence.into(), "at most 2^62"));
    }
    match segment.to_offset {
        None if is_last => Ok(()),
        None => Err(bad(
            "to_offset",
            OPEN.into(),
            "only the last segment is open",
        )),
        Some(to) if !to.is_multiple_of(8) || to < from || to > Position::MAX => {
            let want = "a multiple of 8, not below `from_offset`, at most 2^62";
            Err(bad("to_offset", to.into(), want))
        }
        Some(_) => Ok(()),
    }
}

fn root_of(raw: &RawHead) -> Result<Option<Root>, FormatError> {
    let level = raw.root_level;
    match Entry::from_raw(&raw.root)? {
        Entry::Child(page) => Ok(Some(Root { page, level })),
        Entry::Zero if level == 0 => Ok(None),
        Entry::Zero => Err(bad("root_level", level.into(), "0 where there is no root")),
        Entry::Object(_) | Entry::Split(_) => {
            Err(bad("root", raw.root.kind.into(), "an entry of kind 0 or 3"))
        }
    }
}

fn raw_segment(segment: &SegmentRef) -> RawSegment {
    RawSegment {
        birth: *segment.birth.as_bytes(),
        token: segment.token.into(),
        number: segment.number.into(),
        from_offset: segment.from.offset.into(),
        to_offset: segment.to_offset.unwrap_or(OPEN).into(),
        first_sequence: segment.from.sequence.into(),
        link: segment.from.link.into(),
        reserved: 0.into(),
    }
}

fn segment_of(raw: &RawSegment) -> Result<SegmentRef, FormatError> {
    check::zero(RECORD, "reserved", raw.reserved.get().into())?;
    Ok(SegmentRef {
        birth: VolumeId::decode(raw.birth, RECORD, "segment birth")?,
        token: raw.token.get(),
        number: raw.number.get(),
        from: Position {
            offset: raw.from_offset.get(),
            sequence: raw.first_sequence.get(),
            link: raw.link.get(),
        },
        to_offset: Some(raw.to_offset.get()).filter(|to| *to != OPEN),
    })
}

pub(in crate::map) fn flag_bits(flags: &HeadFlags) -> u16 {
    let bit = |is_set, bit| if is_set { bit } else { 0 };
    bit(flags.snapshot, FLAG_SNAPSHOT)
        | bit(flags.nameless, FLAG_NAMELESS)
        | bit(flags.failed, FLAG_FAILED)
        | bit(flags.content, FLAG_CONTENT)
}

pub(in crate::map) fn flags_of(
    record: &'static str,
    bits: u16,
    trashed_at_seconds: u64,
) -> Result<HeadFlags, FormatError> {
    let is_known = bits & !(FLAG_SNAPSHOT | FLAG_NAMELESS | FLAG_FAILED | FLAG_CONTENT) == 0;
    if !is_known || bits & (FLAG_SNAPSHOT | FLAG_CONTENT) == FLAG_CONTENT {
        let (field, value) = ("flags", bits.into());
        let want = "bits 1, 2, 4 and 8 are known to this build, and 8 is only beside 1";
        return Err(BadField {
            record,
            field,
            value,
            want,
        }
        .into());
    }
    Ok(HeadFlags {
        snapshot: bits & FLAG_SNAPSHOT != 0,
        nameless: bits & FLAG_NAMELESS != 0,
        failed: bits & FLAG_FAILED != 0,
        content: bits & FLAG_CONTENT != 0,
        trashed_at_seconds: NonZeroU64::new(trashed_at_seconds),
    })
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
