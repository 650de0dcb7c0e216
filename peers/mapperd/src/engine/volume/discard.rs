//! Discarding: ranges become zero and give their space back (M5).

use std::collections::BTreeSet;
use std::ops::Range;

use archipelago_protocol::{Recall, RecallKind};

use super::state::Displaced;
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::world::{ComposerId, World};
use crate::map::journal::Record;

/// Whole sub-blocks of a range of bytes: the ends inside of blocks, and the whole blocks between them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pieces {
    pub ends: Vec<(u64, Range<u16>)>,
    pub whole: Range<u64>,
}

impl<W: World> Volume<W> {
    /// Makes whole sub-blocks zero. `composer` has seen to it that it writes nothing there meanwhile. Gives the epoch from
    /// which on that holds.
    pub async fn discard(
        &self,
        composer: Option<ComposerId>,
        offset: u64,
        length: u64,
    ) -> Result<u64, MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        if self.state.borrow().head.flags.snapshot {
            return Err(MapError::ReadOnly { name: self.name() });
        }
        self.discard_in_change(composer, offset, length).await
    }

    pub(super) async fn discard_in_change(
        &self,
        composer: Option<ComposerId>,
        offset: u64,
        length: u64,
    ) -> Result<u64, MapError> {
        let pieces = self.pieces(offset, length);
        let blocks = pieces.blocks();
        let held = self.hold_grants(&blocks, composer).await?;
        self.commits_ended().await;
        let displaced = self.displaced_by(&pieces).await?;
        if !displaced.is_empty() {
            // First, for some of the records may count when this fails. What is still in use is not given back.
            self.state.borrow_mut().displaced.extend(displaced);
            self.append(pieces.records()).await?;
        }
        drop(held);
        Ok(self.epoch())
    }

    /// No composer but `composer` holds anything of the blocks, and no grant of them lives, as long as the guard does.
    async fn hold_grants(
        &self,
        blocks: &Range<u64>,
        composer: Option<ComposerId>,
    ) -> Result<super::volume::GrantsHeld<'_, W>, MapError> {
        let held = self.hold();
        let recall = Recall {
            epoch: self.epoch(),
            kind: RecallKind::Forget,
            first_block: blocks.start,
            blocks: blocks.end - blocks.start,
        };
        self.recall(recall, composer).await?;
        let mut state = self.state.borrow_mut();
        state
            .void_grants(|grant| blocks.contains(&grant.block) && Some(grant.composer) != composer);
        drop(state);
        Ok(held)
    }

    fn pieces(&self, offset: u64, length: u64) -> Pieces {
        let size = self.size_bytes();
        let end = offset.saturating_add(length).min(size);
        let grain = self.shape.grain_bytes();
        let first = offset.div_ceil(grain);
        // The volume's last sub-block is whole where the volume ends.
        let last = if end == size {
            end.div_ceil(grain)
        } else {
            end / grain
        };
        Pieces::of(first..last.max(first), self.shape.subs())
    }

    /// Everything that the pieces have.
    async fn displaced_by(&self, pieces: &Pieces) -> Result<BTreeSet<Displaced>, MapError> {
        let mut blocks: BTreeSet<u64> = pieces.ends.iter().map(|(block, _)| *block).collect();
        blocks.extend(self.mapped_in(pieces.whole.clone()).await?);
        let mut displaced = BTreeSet::new();
        for block in blocks {
            let map = self.block(block).await?;
            let subs = match pieces.ends.iter().find(|(end, _)| *end == block) {
                Some((_, subs)) => subs.clone(),
                None => 0..self.shape.subs(),
            };
            let sources = map.runs(subs).filter_map(|(_, source)| source);
            displaced.extend(sources.map(|source| Displaced { block, source }));
        }
        Ok(displaced)
    }

    /// Blocks in the range that may not be zero.
    pub async fn mapped_in(&self, range: Range<u64>) -> Result<BTreeSet<u64>, MapError> {
        let range = range.start..range.end.min(self.shape.blocks(self.size_bytes()));
        let (root, mut blocks) = {
            let state = self.state.borrow();
            let mut blocks = BTreeSet::new();
            super::changed_blocks(&state.layers.live, range.clone(), &mut blocks);
            if let Some(frozen) = &state.layers.frozen {
                super::changed_blocks(frozen, range.clone(), &mut blocks);
            }
            (state.layers.root, blocks)
        };
        blocks.extend(self.base.pages.mapped(root, range).await?);
        Ok(blocks)
    }
}

impl Pieces {
    /// The sub-blocks of this range, counted from the volume's first.
    pub fn of(subs: Range<u64>, a_block: u16) -> Self {
        let a_block = u64::from(a_block);
        let whole = subs.start.div_ceil(a_block)..subs.end / a_block;
        let place = |sub: u64| (sub / a_block, (sub % a_block) as u16);
        let mut ends = Vec::new();
        if subs.is_empty() {
            return Self { ends, whole: 0..0 };
        }
        let (first, from) = place(subs.start);
        let (last, to) = place(subs.end);
        if first == last {
            ends.push((first, from..to));
            return Self { ends, whole: 0..0 };
        }
        if from != 0 {
            ends.push((first, from..a_block as u16));
        }
        if to != 0 {
            ends.push((last, 0..to));
        }
        Self { ends, whole }
    }

    /// From the first block that they touch to the last.
    pub fn blocks(&self) -> Range<u64> {
        let firsts = self.ends.iter().map(|(block, _)| *block..block + 1);
        firsts
            .chain((!self.whole.is_empty()).then(|| self.whole.clone()))
            .reduce(|all, next| all.start.min(next.start)..all.end.max(next.end))
            .unwrap_or(0..0)
    }

    fn records(&self) -> Vec<Record> {
        let mut records: Vec<Record> = self
            .ends
            .iter()
            .map(|(block, subs)| Record::Assign {
                block: *block,
                from: subs.start,
                count: subs.end - subs.start,
                source: None,
            })
            .collect();
        if !self.whole.is_empty() {
            records.push(Record::Zero {
                first_block: self.whole.start,
                count: self.whole.end - self.whole.start,
            });
        }
        records
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pieces_are_the_range_and_nothing_else(from in 0..5000_u64, count in 0..5000_u64, bits in 0..5_u32) {
            let a_block = 1_u16 << bits;
            let pieces = Pieces::of(from..from + count, a_block);
            let mut subs: Vec<u64> = Vec::new();
            for (block, range) in &pieces.ends {
                prop_assert!(!range.is_empty() && range.end <= a_block);
                subs.extend(range.clone().map(|sub| block * u64::from(a_block) + u64::from(sub)));
            }
            let whole = pieces.whole.clone();
            subs.extend(whole.start * u64::from(a_block)..whole.end * u64::from(a_block));
            subs.sort_unstable();
            prop_assert_eq!(subs, (from..from + count).collect::<Vec<_>>());
        }
    }
}
