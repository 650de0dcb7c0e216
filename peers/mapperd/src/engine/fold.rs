//! Folding changes into a tree: the pages on the way to each change are written anew, the others are shared.
//!
//! # Invariants
//! * **FOLD-1** The new tree says of each block what the edits say, else zero where the zeros say so, else what the old
//!   one said.
//! * **FOLD-2** No page of the old tree is changed; a page above no change is shared by both.

use std::ops::Range;

use archipelago_store::Store;

use super::error::MapError;
use super::pages::Pages;
use super::tree::Root;
use crate::map::{
    BlockMap, EncodedPage, Entry, PAGE_BYTES, PAGE_ENTRIES, PageRef, SplitPage, TreePage, VolumeId,
    page_span,
};

#[cfg(test)]
mod tests;

/// Pages of one page object.
pub const PAGES_MAX: usize = 1 << 16;

/// What is to change.
#[derive(Debug, Default)]
pub struct Edits {
    /// By block, in order.
    pub blocks: Vec<(u64, BlockMap)>,
    /// In order, disjoint. Blocks above win.
    pub zeros: Vec<Range<u64>>,
}

/// New pages, in the objects in which they are to be written.
#[derive(Debug)]
pub struct NewPages {
    birth: VolumeId,
    /// The number of the object that is being filled.
    number: u64,
    objects: Vec<(u64, Vec<u8>)>,
}

impl NewPages {
    pub fn new(birth: VolumeId, first_number: u64) -> Self {
        Self {
            birth,
            number: first_number,
            objects: Vec::new(),
        }
    }

    /// The objects, by number, and the number that is free after them.
    pub fn finish(self) -> (Vec<(u64, Vec<u8>)>, u64) {
        let used = !self.objects.is_empty();
        (self.objects, self.number + u64::from(used))
    }

    fn push(&mut self, encode: impl FnOnce(VolumeId, u64, u16) -> EncodedPage) -> PageRef {
        let is_full = self
            .objects
            .last()
            .is_none_or(|(_, bytes)| bytes.len() >= PAGES_MAX * PAGE_BYTES);
        if is_full {
            self.number += u64::from(!self.objects.is_empty());
            self.objects.push((self.number, Vec::new()));
        }
        let (number, bytes) = self
            .objects
            .last_mut()
            .expect("pushed above if there was none");
        let index =
            u16::try_from(bytes.len() / PAGE_BYTES).expect("an object has at most 65536 pages");
        let page = encode(self.birth, *number, index);
        bytes.extend_from_slice(page.bytes.as_slice());
        page.reference
    }

    pub(super) fn push_tree(&mut self, page: &TreePage) -> PageRef {
        self.push(|birth, number, index| page.encode(birth, number, index))
    }

    fn push_split(&mut self, page: &SplitPage) -> PageRef {
        self.push(|birth, number, index| page.encode(birth, number, index))
    }
}

impl Edits {
    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.zeros.is_empty()
    }

    fn blocks_in(&self, range: &Range<u64>) -> &[(u64, BlockMap)] {
        let from = self
            .blocks
            .partition_point(|(block, _)| *block < range.start);
        let to = self.blocks.partition_point(|(block, _)| *block < range.end);
        &self.blocks[from..to]
    }

    fn zeros_in(&self, range: &Range<u64>) -> &[Range<u64>] {
        let from = self.zeros.partition_point(|zero| zero.end <= range.start);
        let to = self.zeros.partition_point(|zero| zero.start < range.end);
        &self.zeros[from..to.max(from)]
    }

    fn touches(&self, range: &Range<u64>) -> bool {
        !self.blocks_in(range).is_empty() || !self.zeros_in(range).is_empty()
    }

    /// Nothing of the range is left but zeros.
    fn clears(&self, range: &Range<u64>) -> bool {
        self.blocks_in(range).is_empty()
            && self
                .zeros_in(range)
                .iter()
                .any(|zero| zero.start <= range.start && range.end <= zero.end)
    }
}

impl<S: Store> Pages<S> {
    /// The tree that `root` becomes, of at least `level`.
    pub async fn fold(
        &self,
        root: Root,
        level: u8,
        edits: &Edits,
        new: &mut NewPages,
    ) -> Result<Root, MapError> {
        let level = level.max(root.level);
        if !edits.touches(&(0..page_span(level))) {
            return Ok(root);
        }
        let page = self
            .fold_page(Old::of(root, level), level, 0, edits, new)
            .await?;
        Ok(Root { page, level })
    }

    async fn fold_page(
        &self,
        old: Old,
        level: u8,
        first: u64,
        edits: &Edits,
        new: &mut NewPages,
    ) -> Result<Option<PageRef>, MapError> {
        let span = first..first + page_span(level);
        if edits.clears(&span) {
            return Ok(None);
        }
        let mut page = match old {
            Old::Page(old) => (*self.tree(&old, level, first).await?).clone(),
            Old::Nothing | Old::Lower(_) => TreePage::new(level, first),
        };
        if level == 0 {
            fold_leaf(&mut page, &span, edits, new);
        } else {
            for index in 0..PAGE_ENTRIES {
                let below = page.blocks_of(index);
                let old = match (old, page.entries()[index]) {
                    (Old::Lower(root), _) if index == 0 => Old::of(root, level - 1),
                    (_, Entry::Child(child)) => Old::Page(child),
                    _ => Old::Nothing,
                };
                if !edits.touches(&below) {
                    match old {
                        Old::Lower(_) => {}
                        Old::Nothing => continue,
                        Old::Page(child) => {
                            page.set(index, Entry::Child(child));
                            continue;
                        }
                    }
                }
                // As deep as the tree: at most seven (TREE-1).
                let child =
                    Box::pin(self.fold_page(old, level - 1, below.start, edits, new)).await?;
                page.set(index, child.map_or(Entry::Zero, Entry::Child));
            }
        }
        Ok((!page.is_zero()).then(|| new.push_tree(&page)))
    }
}

/// What lay where a page is to be.
#[derive(Clone, Copy)]
enum Old {
    Nothing,
    Page(PageRef),
    /// A lower tree, which is to be the first of what is below the page.
    Lower(Root),
}

impl Old {
    fn of(root: Root, level: u8) -> Self {
        match root.page {
            None => Self::Nothing,
            Some(page) if root.level == level => Self::Page(page),
            Some(_) => Self::Lower(root),
        }
    }
}

fn fold_leaf(page: &mut TreePage, span: &Range<u64>, edits: &Edits, new: &mut NewPages) {
    for zero in edits.zeros_in(span) {
        for block in zero.start.max(span.start)..zero.end.min(span.end) {
            page.set((block - span.start) as usize, Entry::Zero);
        }
    }
    for (block, map) in edits.blocks_in(span) {
        let entry = match map {
            BlockMap::Zero => Entry::Zero,
            BlockMap::Object(source) => Entry::Object(*source),
            BlockMap::Split(split) => Entry::Split(new.push_split(&SplitPage {
                block: *block,
                split: split.clone(),
            })),
        };
        page.set((block - span.start) as usize, entry);
    }
}
