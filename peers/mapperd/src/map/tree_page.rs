//! Pages of the tree: 126 entries, each for one block (in a leaf) or for all blocks below a child (further up).

use std::ops::Range;

use zerocopy::{FromBytes, IntoBytes};

use super::access::{Access, check_incompat};
use super::disk::{RawEntry, RawTreePage};
use super::error::{BadField, FormatError};
use super::page::{self, EncodedPage, KIND_TREE, PageError, PageProblem, Place};
use super::{Entry, LEVEL_MAX, PAGE_ENTRIES, PageRef, VolumeId, entry_span, page_span};

#[cfg(test)]
mod tests;

/// A page of the tree in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreePage {
    level: u8,
    first: u64,
    entries: [Entry; PAGE_ENTRIES],
}

impl TreePage {
    /// A page without anything below it.
    ///
    /// # Panics
    /// If the level is above `LEVEL_MAX`, or no page of this level begins with the block `first`.
    pub fn new(level: u8, first: u64) -> Self {
        assert!(level <= LEVEL_MAX, "level {level}");
        assert!(
            first.is_multiple_of(page_span(level)),
            "block {first} begins no page of level {level}"
        );
        assert!(
            first.checked_add(page_span(level)).is_some(),
            "block {first} at level {level}"
        );
        let entries = [Entry::Zero; PAGE_ENTRIES];
        Self {
            level,
            first,
            entries,
        }
    }

    /// 0 is a leaf.
    pub fn level(&self) -> u8 {
        self.level
    }

    /// Its first block.
    pub fn first(&self) -> u64 {
        self.first
    }

    pub fn entries(&self) -> &[Entry; PAGE_ENTRIES] {
        &self.entries
    }

    /// # Panics
    /// If such an entry has no place on this level: children are above leaves, objects and splits in leaves.
    pub fn set(&mut self, slot: usize, entry: Entry) {
        assert!(
            fits(self.level, &entry),
            "{entry:?} at level {}",
            self.level
        );
        self.entries[slot] = entry;
    }

    /// The slot below which this block is, if it is below this page.
    pub fn slot_of(&self, block: u64) -> Option<usize> {
        let slot = block.checked_sub(self.first)? / entry_span(self.level);
        usize::try_from(slot)
            .ok()
            .filter(|slot| *slot < PAGE_ENTRIES)
    }

    /// The blocks below a slot.
    pub fn blocks_of(&self, slot: usize) -> Range<u64> {
        assert!(slot < PAGE_ENTRIES, "slot {slot}");
        let span = entry_span(self.level);
        let start = self.first + slot as u64 * span;
        start..start + span
    }

    /// Nothing is below it: whoever refers to it can have a zero entry instead.
    pub fn is_zero(&self) -> bool {
        self.entries.iter().all(|entry| *entry == Entry::Zero)
    }

    /// The page as number `index` of the page object `number` that `birth` writes.
    pub fn encode(&self, birth: VolumeId, number: u64, index: u16) -> EncodedPage {
        let place = Place {
            kind: KIND_TREE,
            level: self.level,
            first: self.first,
        };
        let raw = RawTreePage {
            header: page::header(place, self.has_content(), birth, number, index),
            entries: self.entries.map(Entry::to_raw),
        };
        let mut bytes = Box::new([0; page::PAGE_BYTES]);
        bytes.copy_from_slice(raw.as_bytes());
        page::seal(bytes, birth, number, index)
    }

    /// The page that `reference` means and that begins with block `first` at this level. `access` is the volume's.
    pub fn decode(
        bytes: &[u8],
        reference: &PageRef,
        level: u8,
        first: u64,
        access: Access,
    ) -> Result<Self, PageError> {
        let place = Place {
            kind: KIND_TREE,
            level,
            first,
        };
        let mut decoded = Self::new(level, first);
        page::check(bytes, reference, place, access)
            .and_then(|bits| decoded.fill(bytes, bits))
            .map_err(|problem| PageError::new(*reference, problem))?;
        Ok(decoded)
    }

    /// Does one of its entries name content?
    fn has_content(&self) -> bool {
        let is_content =
            |entry: &Entry| matches!(entry, Entry::Object(source) if source.is_content());
        self.entries.iter().any(is_content)
    }

    fn fill(&mut self, bytes: &[u8], incompat: u32) -> Result<(), PageProblem> {
        let raw = RawTreePage::ref_from_bytes(bytes).expect("a page's length was checked");
        for (slot, raw) in raw.entries.iter().enumerate() {
            self.entries[slot] = entry_of(self.level, raw)
                .map_err(|problem| PageProblem::Entry { slot, problem })?;
        }
        check_incompat(page::RECORD, incompat, self.has_content())?;
        Ok(())
    }
}

fn entry_of(level: u8, raw: &RawEntry) -> Result<Entry, FormatError> {
    let entry = Entry::from_raw(raw)?;
    if fits(level, &entry) {
        return Ok(entry);
    }
    let want = if level == 0 {
        "0, 1, 2 or 4 in a leaf"
    } else {
        "0 or 3 above the leaves"
    };
    let (record, field, value) = ("entry of a map page", "kind", raw.kind.into());
    Err(BadField {
        record,
        field,
        value,
        want,
    }
    .into())
}

fn fits(level: u8, entry: &Entry) -> bool {
    match entry {
        Entry::Zero => true,
        Entry::Object(_) | Entry::Split(_) => level == 0,
        Entry::Child(_) => level > 0,
    }
}
