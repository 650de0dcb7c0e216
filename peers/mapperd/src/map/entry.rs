//! One entry of a tree page: 32 bytes that say what a block, or a range of blocks, is made of.
//!
//! # Invariants
//! * **ENTRY-1** An entry has exactly one encoding: fields that its kind does not use are zero, and flags are zero. So
//!   equal entries are equal bytes, and whatever a later format puts there is refused here instead of being lost.

use super::disk::RawEntry;
use super::error::{BadField, FormatError};
use super::{ContentId, PageRef, Source, Stamp, VolumeId};

/// What a tree page says about one range of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Nothing was written there, or it was discarded (M5).
    Zero,
    /// In a leaf: the whole block is this object, which a volume made, or content.
    Object(Source),
    /// In a leaf: the block's sub-blocks have different sources, which this split page lists (M4).
    Split(PageRef),
    /// In an inner page: the page of the level below.
    Child(PageRef),
}

pub(super) const KIND_ZERO: u8 = 0;
pub(super) const KIND_OBJECT: u8 = 1;
pub(super) const KIND_SPLIT: u8 = 2;
pub(super) const KIND_CHILD: u8 = 3;
/// An object that is named by what it holds.
pub(super) const KIND_CONTENT: u8 = 4;

const RECORD: &str = "entry of a map page";

impl Entry {
    pub const BYTES: usize = size_of::<RawEntry>();

    pub fn encode(&self) -> [u8; Self::BYTES] {
        zerocopy::transmute!(self.to_raw())
    }

    pub fn decode(bytes: &[u8; Self::BYTES]) -> Result<Self, FormatError> {
        Self::from_raw(&zerocopy::transmute!(*bytes))
    }

    pub(super) fn to_raw(self) -> RawEntry {
        let raw = |kind, index: u16, crc: u32, number: u64, birth| RawEntry {
            kind,
            flags: 0,
            index: index.into(),
            crc: crc.into(),
            number: number.into(),
            birth,
        };
        let page = |kind, page: PageRef| {
            raw(
                kind,
                page.index,
                page.crc,
                page.number,
                *page.birth.as_bytes(),
            )
        };
        match self {
            Self::Zero => raw(KIND_ZERO, 0, 0, 0, [0; 16]),
            Self::Object(Source::Born { birth, stamp }) => {
                raw(KIND_OBJECT, 0, 0, stamp.bits(), *birth.as_bytes())
            }
            Self::Object(Source::Content(id)) => {
                let (number, rest) = id.as_bytes().split_first_chunk().expect("24 bytes");
                let rest = *rest.first_chunk().expect("16 more");
                raw(KIND_CONTENT, 0, 0, u64::from_le_bytes(*number), rest)
            }
            Self::Split(reference) => page(KIND_SPLIT, reference),
            Self::Child(reference) => page(KIND_CHILD, reference),
        }
    }

    pub(super) fn from_raw(raw: &RawEntry) -> Result<Self, FormatError> {
        zero(
            "flags",
            raw.flags.into(),
            "0: a newer build knows what it means",
        )?;
        let birth = || VolumeId::decode(raw.birth, RECORD, "birth");
        let page = || {
            Ok::<_, FormatError>(PageRef {
                birth: birth()?,
                number: raw.number.get(),
                index: raw.index.get(),
                crc: raw.crc.get(),
            })
        };
        match raw.kind {
            KIND_ZERO => {
                zero(
                    "birth",
                    u128::from_be_bytes(raw.birth),
                    "0 in an entry of kind 0",
                )?;
                zero("number", raw.number.get().into(), "0 in an entry of kind 0")?;
                zero("crc", raw.crc.get().into(), "0 in an entry of kind 0")?;
                zero("index", raw.index.get().into(), "0 in an entry of kind 0")?;
                Ok(Self::Zero)
            }
            KIND_OBJECT => {
                zero("crc", raw.crc.get().into(), "0 in an entry of kind 1")?;
                zero("index", raw.index.get().into(), "0 in an entry of kind 1")?;
                let stamp = Stamp::from_bits(raw.number.get());
                let birth = birth()?;
                Ok(Self::Object(Source::Born { birth, stamp }))
            }
            KIND_SPLIT => Ok(Self::Split(page()?)),
            KIND_CHILD => Ok(Self::Child(page()?)),
            KIND_CONTENT => {
                zero("crc", raw.crc.get().into(), "0 in an entry of kind 4")?;
                zero("index", raw.index.get().into(), "0 in an entry of kind 4")?;
                let mut id = [0; 24];
                id[..8].copy_from_slice(&raw.number.get().to_le_bytes());
                id[8..].copy_from_slice(&raw.birth);
                Ok(Self::Object(Source::Content(ContentId::from_bytes(id))))
            }
            unknown => Err(bad(
                "kind",
                unknown.into(),
                "0 to 4 are known to this build",
            )),
        }
    }
}

fn zero(field: &'static str, value: u128, want: &'static str) -> Result<(), FormatError> {
    if value == 0 {
        Ok(())
    } else {
        Err(bad(field, value, want))
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::any;
    use super::*;

    /// ENTRY-1
    #[test]
    fn what_a_kind_does_not_use_must_be_zero() {
        let good = Entry::Zero.encode();
        assert_eq!(good, [0; 32]);
        for at in 1..32 {
            let mut bytes = good;
            bytes[at] = 1;
            assert!(Entry::decode(&bytes).is_err(), "byte {at}");
        }
        let object = Entry::Object(any::source_of(1, 2)).encode();
        let content = Entry::Object(Source::Content(ContentId::from_bytes([7; 24]))).encode();
        for at in 1..8 {
            for good in [object, content] {
                let mut bytes = good;
                bytes[at] = 1;
                assert!(Entry::decode(&bytes).is_err(), "byte {at}");
            }
        }
    }

    #[test]
    fn an_unknown_kind_is_refused_by_its_number() {
        let mut bytes = Entry::Object(any::source_of(1, 2)).encode();
        bytes[0] = 5;
        let error = Entry::decode(&bytes).unwrap_err().to_string();
        assert!(error.contains("`kind`") && error.contains('5'), "{error}");
    }

    proptest! {
        #[test]
        fn every_entry_is_read_back(entry in any::entry()) {
            prop_assert_eq!(Entry::decode(&entry.encode()), Ok(entry));
        }

        /// ENTRY-1: what is accepted has the bytes that it would be written with.
        #[test]
        fn any_bytes_are_an_entry_or_an_error(mut bytes: [u8; 32], kind in 0..6_u8, clear: bool) {
            bytes[0] = kind;
            if clear {
                bytes[1..8].fill(0);
            }
            if let Ok(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
