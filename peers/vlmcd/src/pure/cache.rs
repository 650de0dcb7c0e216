//! The block maps that a composer remembers of a volume: as many as it may, the ones used last.
//!
//! # Invariants
//! * **CACHE-1** What the cache has of a block is what was last put there, changed by each assignment since; what was
//!   forgotten it does not have.
//! * **CACHE-2** It never has more than it may; what goes is what was not used for the longest time.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::rc::Rc;

use super::block_map::BlockMap;
use super::source::Source;

#[derive(Debug)]
struct Cached {
    map: Rc<BlockMap>,
    used: u64,
}

/// Maps of blocks, by block.
#[derive(Debug)]
pub struct BlockCache {
    blocks: HashMap<u64, Cached>,
    /// Blocks by when they were used.
    order: BTreeMap<u64, u64>,
    now: u64,
    blocks_max: usize,
}

impl BlockCache {
    pub fn new(blocks_max: usize) -> Self {
        Self {
            blocks: HashMap::new(),
            order: BTreeMap::new(),
            now: 0,
            blocks_max: blocks_max.max(1),
        }
    }

    pub fn len(&self) -> usize {
        self.blocks.len()
    }

    pub fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The map of a block, which is thereby used.
    pub fn get(&mut self, block: u64) -> Option<Rc<BlockMap>> {
        let cached = self.blocks.get_mut(&block)?;
        if cached.used != self.now {
            self.order.remove(&cached.used);
            self.now += 1;
            cached.used = self.now;
            self.order.insert(self.now, block);
        }
        Some(cached.map.clone())
    }

    pub fn insert(&mut self, block: u64, map: Rc<BlockMap>) {
        self.forget(block);
        while self.blocks.len() >= self.blocks_max
            && let Some((_, oldest)) = self.order.pop_first()
        {
            self.blocks.remove(&oldest);
        }
        self.now += 1;
        let used = self.now;
        self.order.insert(used, block);
        self.blocks.insert(block, Cached { map, used });
    }

    /// Sub-blocks of a block come from there now. A block that is not here stays away.
    pub fn assign(&mut self, block: u64, subs: Range<u16>, source: Source) {
        if let Some(cached) = self.blocks.get_mut(&block) {
            Rc::make_mut(&mut cached.map).assign(subs, source);
        }
    }

    pub fn forget(&mut self, block: u64) {
        if let Some(cached) = self.blocks.remove(&block) {
            self.order.remove(&cached.used);
        }
    }

    pub fn forget_range(&mut self, blocks: &Range<u64>) {
        if blocks.start >= blocks.end {
            return;
        }
        if blocks.end - blocks.start <= self.blocks.len() as u64 {
            blocks.clone().for_each(|block| self.forget(block));
            return;
        }
        self.blocks.retain(|block, _| !blocks.contains(block));
        let left = &self.blocks;
        self.order.retain(|_, block| left.contains_key(block));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug)]
    enum Step {
        Get(u64),
        Insert(u64, u64),
        Assign(u64, u64),
        Forget(u64),
        ForgetRange(u64, u64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let block = 0..12_u64;
        prop_oneof![
            4 => block.clone().prop_map(Step::Get),
            4 => (block.clone(), 1..9_u64).prop_map(|(block, stamp)| Step::Insert(block, stamp)),
            2 => (block.clone(), 1..9_u64).prop_map(|(block, stamp)| Step::Assign(block, stamp)),
            1 => block.clone().prop_map(Step::Forget),
            1 => (block, 0..12_u64).prop_map(|(start, len)| Step::ForgetRange(start, start + len)),
        ]
    }

    fn source(stamp: u64) -> Source {
        Source::Born {
            birth: [1; 16],
            stamp,
        }
    }

    fn map(stamp: u64) -> BlockMap {
        let mut map = BlockMap::default();
        map.assign(0..4, source(stamp));
        map
    }

    proptest! {
        /// CACHE-1, CACHE-2
        #[test]
        fn the_cache_is_a_short_list_with_the_last_used_at_its_end(
            steps in proptest::collection::vec(step(), 0..80), max in 1..6_usize
        ) {
            let mut cache = BlockCache::new(max);
            let mut naive: Vec<(u64, BlockMap)> = Vec::new();
            for step in steps {
                match step {
                    Step::Get(block) => {
                        let place = naive.iter().position(|(other, _)| *other == block);
                        let found = place.map(|place| naive.remove(place));
                        naive.extend(found.clone());
                        let got = cache.get(block).map(|map| (*map).clone());
                        prop_assert_eq!(got, found.map(|(_, map)| map));
                    }
                    Step::Insert(block, stamp) => {
                        naive.retain(|(other, _)| *other != block);
                        if naive.len() == max {
                            naive.remove(0);
                        }
                        naive.push((block, map(stamp)));
                        cache.insert(block, Rc::new(map(stamp)));
                    }
                    Step::Assign(block, stamp) => {
                        for (other, map) in &mut naive {
                            if *other == block {
                                map.assign(1..3, source(stamp));
                            }
                        }
                        cache.assign(block, 1..3, source(stamp));
                    }
                    Step::Forget(block) => {
                        naive.retain(|(other, _)| *other != block);
                        cache.forget(block);
                    }
                    Step::ForgetRange(start, end) => {
                        naive.retain(|(other, _)| !(start..end).contains(other));
                        cache.forget_range(&(start..end));
                    }
                }
                prop_assert_eq!(cache.len(), naive.len());
                prop_assert_eq!(cache.order.len(), naive.len());
                prop_assert_eq!(cache.is_empty(), naive.is_empty());
            }
        }
    }
}
