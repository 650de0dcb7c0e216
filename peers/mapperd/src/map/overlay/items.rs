//! Changes in the order of blocks, for checkpoints.

use std::iter::Peekable;
use std::ops::Range;

use super::{Changed, Overlay};
use crate::map::{BlockMap, Run};

/// One change, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OverlayItem<'a> {
    /// These blocks are zero.
    Zero(Range<u64>),
    /// This is all of the block.
    Block(u64, &'a BlockMap),
    /// These sub-blocks of the block changed.
    Patches(u64, &'a [Run]),
}

/// Two sorted sequences as one: zeroed ranges, and blocks that may lie inside of them (OVER-2).
pub(super) struct Items<'a, Z: Iterator<Item = Range<u64>>> {
    zeros: Z,
    /// What is left of the range at hand.
    zero: Option<Range<u64>>,
    blocks: Peekable<std::collections::btree_map::Range<'a, u64, Changed>>,
}

impl<'a> Items<'a, std::iter::Empty<Range<u64>>> {
    pub(super) fn new(
        overlay: &'a Overlay,
        range: Range<u64>,
    ) -> Items<'a, impl Iterator<Item = Range<u64>>> {
        let range = range.start..range.end.max(range.start);
        let mut zeros = overlay.zeros.within(range.clone());
        let zero = zeros.next();
        let blocks = overlay.blocks.range(range).peekable();
        Items {
            zeros,
            zero,
            blocks,
        }
    }
}

impl<'a, Z: Iterator<Item = Range<u64>>> Iterator for Items<'a, Z> {
    type Item = OverlayItem<'a>;

    fn next(&mut self) -> Option<OverlayItem<'a>> {
        let block = self.blocks.peek().map(|(block, _)| **block);
        let Some(zero) = self.zero.clone() else {
            return self.next_block();
        };
        match block {
            Some(block) if block < zero.start => self.next_block(),
            Some(block) if block == zero.start => {
                self.leave(block + 1..zero.end);
                self.next_block()
            }
            Some(block) if block < zero.end => {
                self.leave(block..zero.end);
                Some(OverlayItem::Zero(zero.start..block))
            }
            _ => {
                self.zero = self.zeros.next();
                Some(OverlayItem::Zero(zero))
            }
        }
    }
}

impl<'a, Z: Iterator<Item = Range<u64>>> Items<'a, Z> {
    fn next_block(&mut self) -> Option<OverlayItem<'a>> {
        let (block, changed) = self.blocks.next()?;
        Some(match changed {
            Changed::Map(map) => OverlayItem::Block(*block, map),
            Changed::Patches(patches) => OverlayItem::Patches(*block, patches),
        })
    }

    fn leave(&mut self, rest: Range<u64>) {
        self.zero = if rest.is_empty() {
            self.zeros.next()
        } else {
            Some(rest)
        };
    }
}
