//! What the journal says beyond the tree, in memory: a look-up asks here first, a checkpoint writes it into pages.
//!
//! Of a block that was changed in part, and whose entry in the tree was not read yet, only the changes are known:
//! *patches* over an unknown base. Zeroed ranges are kept as ranges, so that discarding a whole volume is one entry.
//!
//! # Invariants
//! * **OVER-1** Patches are in order, apart from each other and longest: as few as say the same.
//! * **OVER-2** A block that is zero is in a range and nowhere else. Ranges do not touch. A block with a map may lie
//!   inside of a range: the map counts. A block with patches never does.
//! * **OVER-3** A record that fails to apply changes nothing.

use std::collections::BTreeMap;
use std::ops::Range;

use super::journal::Record;
use super::{BLOCKS_MAX, BlockMap, Run, SUBS_MAX, Shape, Source, TooManySources};

mod items;
mod patches;
#[cfg(test)]
mod tests;
mod zeros;

pub use items::OverlayItem;
use zeros::Zeros;

/// Changes of blocks over a tree.
#[derive(Clone, Debug)]
pub struct Overlay {
    shape: Shape,
    blocks: BTreeMap<u64, Changed>,
    zeros: Zeros,
}

/// What is known of a block that is not zero.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Changed {
    Map(BlockMap),
    Patches(Vec<Run>),
}

/// What the overlay says about a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayAnswer<'a> {
    /// This is all of it: the tree need not be asked.
    Known(&'a BlockMap),
    /// These sub-blocks changed, the rest is as the tree says.
    Patches(&'a [Run]),
    /// The block is as the tree says.
    Nothing,
}

/// A record that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OverlayError {
    #[error("block {block}: {problem}")]
    Sources {
        block: u64,
        #[source]
        problem: TooManySources,
    },
    #[error(
        "sub-blocks {from} and {count} more of block {block} do not exist: a block has {subs}, a volume at most 2^47 blocks"
    )]
    Subs {
        block: u64,
        from: u16,
        count: u16,
        subs: u16,
    },
    #[error("{count} blocks from {first_block} on do not exist: a volume has at most 2^47")]
    Blocks { first_block: u64, count: u64 },
}

/// What a block that lies in a zeroed range is made of.
static ZERO: BlockMap = BlockMap::Zero;

impl Overlay {
    /// An overlay without changes, of a volume of this shape.
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            blocks: BTreeMap::new(),
            zeros: Zeros::default(),
        }
    }

    /// How many blocks and ranges it holds: its size in memory, and what a checkpoint has to do.
    pub fn len(&self) -> usize {
        self.blocks.len() + self.zeros.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes up what the record says about blocks; records about other things change nothing. `Size` zeroes all from
    /// the volume's new end on, as `truncate` does.
    pub fn apply(&mut self, record: &Record) -> Result<(), OverlayError> {
        match *record {
            Record::Assign {
                block,
                from,
                count,
                source,
            } => {
                let subs = self.shape.subs();
                match from.checked_add(count) {
                    Some(end) if end <= subs && block < BLOCKS_MAX => self
                        .assign(block, from..end, source)
                        .map_err(|problem| OverlayError::Sources { block, problem }),
                    _ => Err(OverlayError::Subs {
                        block,
                        from,
                        count,
                        subs,
                    }),
                }
            }
            Record::Zero { first_block, count } => match first_block.checked_add(count) {
                Some(end) if end <= BLOCKS_MAX => {
                    self.zero(first_block..end);
                    Ok(())
                }
                _ => Err(OverlayError::Blocks { first_block, count }),
            },
            Record::Size { bytes } => {
                self.truncate(self.shape.blocks(bytes));
                Ok(())
            }
            Record::Snapshot { .. }
            | Record::Parent { .. }
            | Record::Floor { .. }
            | Record::Ceiling { .. }
            | Record::Name { .. }
            | Record::Flags(_)
            | Record::Operation { .. }
            | Record::Barrier
            | Record::Synced { .. } => Ok(()),
        }
    }

    pub fn lookup(&self, block: u64) -> OverlayAnswer<'_> {
        match self.blocks.get(&block) {
            Some(Changed::Map(map)) => OverlayAnswer::Known(map),
            Some(Changed::Patches(patches)) => OverlayAnswer::Patches(patches),
            None if self.zeros.contains(block) => OverlayAnswer::Known(&ZERO),
            None => OverlayAnswer::Nothing,
        }
    }

    /// What the block is made of, when the tree says `base`.
    pub fn merge(&self, block: u64, base: BlockMap) -> Result<BlockMap, TooManySources> {
        match self.lookup(block) {
            OverlayAnswer::Known(map) => Ok(map.clone()),
            OverlayAnswer::Nothing => Ok(base),
            OverlayAnswer::Patches(patches) => {
                let mut map = base;
                map.assign_all(self.shape, patches)?;
                Ok(map)
            }
        }
    }

    /// Blocks from this one on are zero from now on, whatever the tree says: it may still have blocks there, which must
    /// not come back when the volume grows again.
    pub fn truncate(&mut self, blocks: u64) {
        if blocks < BLOCKS_MAX {
            self.zero(blocks..BLOCKS_MAX);
        }
    }

    /// What changed in a range of blocks, in order and apart from each other.
    pub fn items(&self, range: Range<u64>) -> impl Iterator<Item = OverlayItem<'_>> {
        items::Items::new(self, range)
    }

    fn zero(&mut self, range: Range<u64>) {
        // Each block that is removed was put there once: over time this costs O(log n) each.
        let gone: Vec<u64> = self
            .blocks
            .range(range.clone())
            .map(|(block, _)| *block)
            .collect();
        for block in gone {
            self.blocks.remove(&block);
        }
        self.zeros.insert(range);
    }

    fn assign(
        &mut self,
        block: u64,
        subs: Range<u16>,
        source: Option<Source>,
    ) -> Result<(), TooManySources> {
        if subs.is_empty() {
            return Ok(());
        }
        let shape = self.shape;
        let is_zeroed = self.zeros.contains(block);
        let changed = self.blocks.entry(block).or_insert_with(|| match is_zeroed {
            true => Changed::Map(BlockMap::Zero),
            false => Changed::Patches(Vec::new()),
        });
        let outcome = match changed {
            Changed::Map(map) => map.assign(shape, subs, source),
            Changed::Patches(patches) => patches::insert(patches, &(subs, source)),
        };
        if let Changed::Patches(patches) = changed
            && patches::cover(patches, shape.subs())
        {
            let mut map = BlockMap::Zero;
            map.assign_all(shape, patches)
                .expect("patches have at most 125 sources");
            *changed = Changed::Map(map);
        }
        if *changed == Changed::Map(BlockMap::Zero) {
            self.blocks.remove(&block);
            self.zeros.insert(block..block + 1);
        }
        outcome
    }
}

const _: () = assert!(SUBS_MAX <= 1 << 15, "ends of sub-blocks do not overflow");
