//! Split pages: the map of one block whose sub-blocks have different sources.

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::access::Access;
use super::disk::{RawSource, RawSplitPage};
use super::error::{BadField, FormatError};
use super::page::{self, EncodedPage, KIND_SPLIT, PageError, Place};
use super::{PageRef, SOURCES_MAX, Shape, Source, Split, Stamp, VolumeId, check};

#[cfg(test)]
mod tests;

const RECORD: &str = "split page";

/// A split page in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitPage {
    /// The block that it is about.
    pub block: u64,
    pub split: Box<Split>,
}

impl SplitPage {
    /// The page as number `index` of the page object `number` that `birth` writes.
    pub fn encode(&self, birth: VolumeId, number: u64, index: u16) -> EncodedPage {
        let place = Place {
            kind: KIND_SPLIT,
            level: 0,
            first: self.block,
        };
        let table = self.split.table();
        let mut raw = RawSplitPage::new_zeroed();
        raw.header = page::header(place, birth, number, index);
        raw.subs = self.split.subs().into();
        raw.source_count = u16::try_from(table.len()).expect("at most 125").into();
        raw.indices[..usize::from(self.split.subs())].copy_from_slice(self.split.indices());
        for (raw, source) in raw.table.iter_mut().zip(table) {
            *raw = RawSource {
                birth: *source.birth.as_bytes(),
                stamp: source.stamp.bits().into(),
            };
        }
        let mut bytes = Box::new([0; page::PAGE_BYTES]);
        bytes.copy_from_slice(raw.as_bytes());
        page::seal(bytes, birth, number, index)
    }

    /// The page that `reference` means, about this block of a volume of this shape. `access` is the volume's.
    pub fn decode(
        bytes: &[u8],
        reference: &PageRef,
        block: u64,
        shape: Shape,
        access: Access,
    ) -> Result<Self, PageError> {
        let place = Place {
            kind: KIND_SPLIT,
            level: 0,
            first: block,
        };
        page::check(bytes, reference, place, access)
            .and_then(|()| Ok(split_of(bytes, shape)?))
            .map(|split| Self {
                block,
                split: Box::new(split),
            })
            .map_err(|problem| PageError::new(*reference, problem))
    }
}

fn split_of(bytes: &[u8], shape: Shape) -> Result<Split, FormatError> {
    let raw = RawSplitPage::ref_from_bytes(bytes).expect("a page's length was checked");
    if raw.subs.get() != shape.subs() {
        return Err(bad(
            "subs",
            raw.subs.get().into(),
            "as many as the volume's blocks have",
        ));
    }
    let source_count = usize::from(raw.source_count.get());
    if source_count > SOURCES_MAX {
        return Err(bad("source_count", source_count as u128, "at most 125"));
    }
    check::zero(RECORD, "reserved", raw.reserved.get().into())?;
    let (indices, unused) = raw.indices.split_at(usize::from(shape.subs()));
    let (table, empty) = raw.table.split_at(source_count);
    if unused.iter().any(|index| *index != 0) {
        return Err(bad("indices", 1, "0 behind the last sub-block"));
    }
    if empty.as_bytes().iter().any(|byte| *byte != 0) {
        return Err(bad("table", 1, "0 behind the last source"));
    }
    let table = table.iter().map(source_of).collect::<Result<_, _>>()?;
    Split::from_parts(indices, table).ok_or_else(|| {
        let want = "each source once, in the order of first use, and two different parts";
        bad("table", source_count as u128, want)
    })
}

fn source_of(raw: &RawSource) -> Result<Source, FormatError> {
    Ok(Source {
        birth: VolumeId::decode(raw.birth, RECORD, "table")?,
        stamp: Stamp::from_bits(raw.stamp.get()),
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
