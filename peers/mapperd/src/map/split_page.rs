//! Split pages: the map of one block whose sub-blocks have different sources.

use zerocopy::{FromBytes, FromZeros, IntoBytes};

use super::access::{Access, check_incompat};
use super::disk::{RawSource, RawSplitPage};
use super::error::{BadField, FormatError};
use super::page::{self, EncodedPage, KIND_SPLIT, PageError, Place};
use super::{ContentId, PageRef, SOURCES_MAX, Shape, Source, Split, Stamp, VolumeId, check};

#[cfg(test)]
mod tests;

const RECORD: &str = "split page";
/// Of an index: its source is content.
const IS_CONTENT: u8 = 0x80;

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
        let has_content = table.iter().any(|source| source.is_content());
        raw.header = page::header(place, has_content, birth, number, index);
        raw.subs = self.split.subs().into();
        raw.source_count = u16::try_from(table.len()).expect("at most 125").into();
        for (raw, index) in raw.indices.iter_mut().zip(self.split.indices()) {
            *raw = index | content_bit(table, *index);
        }
        for (raw, source) in raw.table.iter_mut().zip(table) {
            *raw = raw_of(*source);
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
            .and_then(|bits| Ok(split_of(bytes, shape, bits)?))
            .map(|split| Self {
                block,
                split: Box::new(split),
            })
            .map_err(|problem| PageError::new(*reference, problem))
    }
}

/// The bit that an index has beside its number.
fn content_bit(table: &[Source], index: u8) -> u8 {
    let place = usize::from(index).checked_sub(1);
    match place.and_then(|place| table.get(place)) {
        Some(Source::Content(_)) => IS_CONTENT,
        _ => 0,
    }
}

fn split_of(bytes: &[u8], shape: Shape, incompat: u32) -> Result<Split, FormatError> {
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
    let table = table_of(indices, table)?;
    check_incompat(
        RECORD,
        incompat,
        table.iter().any(|source| source.is_content()),
    )?;
    let numbers: Vec<u8> = indices.iter().map(|index| index & !IS_CONTENT).collect();
    for (index, number) in indices.iter().zip(&numbers) {
        if index - number != content_bit(&table, *number) {
            let want = "with bit 128 iff its source is content, each time that it stands there";
            return Err(bad("indices", (*index).into(), want));
        }
    }
    Split::from_parts(&numbers, table).ok_or_else(|| {
        let want = "each source once, in the order of first use, and two different parts";
        bad("table", source_count as u128, want)
    })
}

/// The sources: the first index that names one tells which kind it is.
fn table_of(indices: &[u8], raw: &[RawSource]) -> Result<Vec<Source>, FormatError> {
    let mut is_content = [false; 1 + IS_CONTENT as usize];
    for index in indices.iter().filter(|index| **index & IS_CONTENT != 0) {
        is_content[usize::from(index & !IS_CONTENT)] = true;
    }
    let sources = raw.iter().zip(&is_content[1..]);
    sources
        .map(|(raw, is_content)| source_of(raw, *is_content))
        .collect()
}

fn source_of(raw: &RawSource, is_content: bool) -> Result<Source, FormatError> {
    if is_content {
        let mut id = [0; 24];
        id.copy_from_slice(raw.as_bytes());
        return Ok(Source::Content(ContentId::from_bytes(id)));
    }
    Ok(Source::Born {
        birth: VolumeId::decode(raw.birth, RECORD, "table")?,
        stamp: Stamp::from_bits(raw.stamp.get()),
    })
}

fn raw_of(source: Source) -> RawSource {
    match source {
        Source::Born { birth, stamp } => RawSource {
            birth: *birth.as_bytes(),
            stamp: stamp.bits().into(),
        },
        Source::Content(id) => {
            RawSource::read_from_bytes(id.as_bytes()).expect("both have 24 bytes")
        }
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
