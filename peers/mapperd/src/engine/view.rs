//! What lies still, and what of it is mapped.

use std::collections::BTreeSet;

use super::error::MapError;
use super::layers::{Layers, Lower, merge};
use super::load::Loaded;
use super::tree::Root;
use super::volume::changed_blocks;
use super::world::{Base, World};
use crate::map::{BlockMap, Head, Overlay, VolumeId};

/// What lies still: a snapshot, or a volume that nobody writes while we look.
#[derive(Clone, Debug)]
pub struct View {
    pub head: Head,
    /// All of its journal was there (LOAD-3).
    pub is_whole: bool,
    layers: Layers,
}

impl View {
    pub fn of(loaded: Loaded) -> Self {
        let root = loaded.root();
        Self {
            layers: Layers::new(loaded.head.shape, root, loaded.overlay),
            is_whole: loaded.missing.is_none(),
            head: loaded.head,
        }
    }

    pub fn root(&self) -> Root {
        self.layers.root
    }

    pub fn overlay(&self) -> &Overlay {
        &self.layers.live
    }

    pub async fn block<W: World>(&self, base: &Base<W>, block: u64) -> Result<BlockMap, MapError> {
        if let Some(known) = self.layers.known(block) {
            return Ok(known);
        }
        let lower: Lower = self.layers.lower();
        let below = lower.block(&base.pages, block).await?;
        merge(&self.layers.live, block, below)
    }

    /// The blocks that may not be zero.
    pub async fn mapped_blocks<W: World>(&self, base: &Base<W>) -> Result<BTreeSet<u64>, MapError> {
        let mut blocks = BTreeSet::new();
        changed_blocks(self.overlay(), 0..u64::MAX, &mut blocks);
        blocks.extend(base.pages.mapped(self.root(), 0..u64::MAX).await?);
        Ok(blocks)
    }

    /// The same of a head of which parts may be given back already.
    pub async fn mapped_blocks_left<W: World>(
        &self,
        base: &Base<W>,
    ) -> Result<BTreeSet<u64>, MapError> {
        let mut blocks = BTreeSet::new();
        changed_blocks(self.overlay(), 0..u64::MAX, &mut blocks);
        let left = base
            .pages
            .mapped_left(self.root(), 0..u64::MAX, async |_| Ok(false))
            .await?;
        blocks.extend(left);
        Ok(blocks)
    }
}

/// Some of the blocks that may not be zero, in order.
#[derive(Clone, Debug)]
pub struct MappedBatch {
    pub blocks: Vec<u64>,
    /// Where the next batch begins.
    pub next: u64,
}

impl View {
    /// The blocks from `first` to `end` that may not be zero: the first `max` of them, and some more.
    pub async fn mapped_from<W: World>(
        &self,
        base: &Base<W>,
        first: u64,
        max: usize,
        end: u64,
    ) -> Result<MappedBatch, MapError> {
        let in_tree = base
            .pages
            .mapped_first(self.root(), first..end, max)
            .await?;
        // Pages are told whole: what is not told yet comes after the last block.
        let next = match in_tree.last() {
            Some(last) if in_tree.len() >= max => last + 1,
            _ => end,
        };
        let mut blocks = BTreeSet::new();
        changed_blocks(self.overlay(), first..next, &mut blocks);
        blocks.extend(in_tree);
        let next = blocks.iter().nth(2 * max).copied().unwrap_or(next);
        let blocks = blocks.range(..next).copied().collect();
        Ok(MappedBatch { blocks, next })
    }
}

impl<W: World> Base<W> {
    /// What lies in the store under this id.
    pub async fn view(&self, id: VolumeId) -> Result<View, MapError> {
        let loaded = self.load(id).await?.ok_or_else(|| MapError::NotFound {
            name: id.to_string(),
        })?;
        Ok(View::of(loaded))
    }
}
