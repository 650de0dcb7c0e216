//! A mapper's state, as naive as it can be: an array of sources for each block.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use archipelago_protocol::{MapHead, ObjectSource, RUN_BYTES, Run, VolumeIdBytes};

pub type Source = (VolumeIdBytes, u64);

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    pub composer: u32,
    pub block: u64,
    pub subs: Range<u16>,
    pub source: Source,
}

#[derive(Clone, Debug)]
pub struct Volume {
    pub id: VolumeIdBytes,
    pub size: u64,
    pub is_read_only: bool,
    pub object_bits: u8,
    pub grain_bits: u8,
    pub epoch: u64,
    pub floor: u64,
    pub next_stamp: u64,
    pub blocks: BTreeMap<u64, Vec<Option<Source>>>,
    pub grants: BTreeMap<u64, Grant>,
    /// Of the mapper's former life, as long as they may be adopted, and by what.
    pub orphans: Vec<Grant>,
    pub adopts: u64,
    pub composers: BTreeSet<u32>,
    /// Of its lock.
    pub token: u64,
    pub is_lost: bool,
    pub displaced: BTreeSet<(u64, Source)>,
    /// Grants are held as long as it is not 0.
    pub holds: u32,
}

impl Volume {
    pub fn new(id: u8, size: u64) -> Self {
        Self {
            id: [id; 16],
            size,
            is_read_only: false,
            object_bits: 16,
            grain_bits: 12,
            epoch: 1,
            floor: 0,
            next_stamp: 1,
            blocks: BTreeMap::new(),
            grants: BTreeMap::new(),
            orphans: Vec::new(),
            adopts: 0,
            composers: BTreeSet::new(),
            token: 1,
            is_lost: false,
            displaced: BTreeSet::new(),
            holds: 0,
        }
    }

    pub fn subs(&self) -> u16 {
        1 << (self.object_bits - self.grain_bits)
    }

    pub fn grain(&self) -> u64 {
        1 << self.grain_bits
    }

    pub fn block(&self, block: u64) -> Vec<Option<Source>> {
        let zeros = || vec![None; usize::from(self.subs())];
        self.blocks.get(&block).cloned().unwrap_or_else(zeros)
    }

    pub fn head(&self, runs: usize) -> MapHead {
        let floor = if self.holds > 0 {
            self.next_stamp - 1
        } else {
            self.floor
        };
        MapHead {
            epoch: self.epoch,
            floor,
            size: self.size,
            object_bits: self.object_bits,
            grain_bits: self.grain_bits,
            is_read_only: self.is_read_only,
            runs: runs as u32,
        }
    }

    /// The runs of as many of these blocks as there is room for, and how many blocks those are.
    pub fn runs(&self, blocks: Range<u64>, room: u64) -> (Vec<u8>, u64, usize) {
        let mut bytes = Vec::new();
        let first = blocks.start;
        for block in blocks.clone() {
            let mine = runs_of(block, &self.block(block), 0..self.subs());
            if bytes.len() + mine.len() * RUN_BYTES > room as usize {
                return (bytes.clone(), block - first, bytes.len() / RUN_BYTES);
            }
            mine.iter().for_each(|run| run.write(&mut bytes));
        }
        let runs = bytes.len() / RUN_BYTES;
        (bytes, blocks.end - first, runs)
    }

    pub fn is_writable(&self, source: &Source) -> bool {
        source.0 == self.id && source.1 > self.floor
    }

    pub fn has_writable(&self, block: u64, subs: Range<u16>) -> bool {
        let map = self.block(block);
        let mut sources = subs.filter_map(|sub| map[usize::from(sub)]);
        sources.any(|source| self.is_writable(&source))
    }

    pub fn must_wait(&self, block: u64, subs: &Range<u16>) -> bool {
        let overlaps = |grant: &Grant| {
            grant.block == block && grant.subs.start < subs.end && subs.start < grant.subs.end
        };
        self.holds > 0 || self.grants.values().any(overlaps)
    }

    /// Where a write of the block goes, and whether that is a new object.
    pub fn target(&mut self, block: u64) -> (Source, bool) {
        let is_free = |source: &Source| {
            self.is_writable(source) && !self.displaced.contains(&(block, *source))
        };
        let own = self.block(block).into_iter().flatten().find(is_free);
        let granted = self.grants.values().filter(|grant| grant.block == block);
        let own = own.or_else(|| granted.map(|grant| grant.source).find(is_free));
        match own {
            Some(source) => (source, false),
            None => {
                let stamp = self.next_stamp;
                self.next_stamp += 1;
                ((self.id, stamp), true)
            }
        }
    }

    /// The mapper dies, and another one goes on.
    pub fn die(&mut self) {
        self.epoch += 1000;
        self.adopts = self.epoch;
        self.orphans = std::mem::take(&mut self.grants).into_values().collect();
    }

    /// Somebody is granted this now: who was granted it in the former life comes too late.
    pub fn grant(&mut self, number: u64, grant: Grant) {
        let overlaps = |other: &Grant| {
            other.block == grant.block
                && other.subs.start < grant.subs.end
                && grant.subs.start < other.subs.end
        };
        self.orphans.retain(|orphan| !overlaps(orphan));
        self.grants.insert(number, grant);
    }

    /// A grant of the former life is this one's.
    pub fn adopt(&mut self, number: u64, orphan: Grant) {
        if self.holds == 0 && self.orphans.contains(&orphan) {
            self.grant(number, orphan);
        }
    }

    /// What a grant named, and nobody may write any more.
    pub fn void(&mut self, is_void: impl Fn(u64, &Grant) -> bool) {
        self.orphans.clear();
        let displaced = &mut self.displaced;
        self.grants.retain(|number, grant| {
            let goes = is_void(*number, grant);
            if goes {
                displaced.insert((grant.block, grant.source));
            }
            !goes
        });
    }

    pub fn assign(&mut self, block: u64, subs: Range<u16>, source: Option<Source>) {
        let mut map = self.block(block);
        for sub in subs {
            let old = std::mem::replace(&mut map[usize::from(sub)], source);
            if let Some(old) = old.filter(|old| Some(*old) != source) {
                self.displaced.insert((block, old));
            }
        }
        self.blocks.insert(block, map);
    }

    /// Sub-blocks that are wholly in the range become zero.
    pub fn discard(&mut self, bytes: Range<u64>) {
        let (grain, subs) = (self.grain(), u64::from(self.subs()));
        let end = if bytes.end == self.size {
            bytes.end.div_ceil(grain)
        } else {
            bytes.end / grain
        };
        for sub in bytes.start.div_ceil(grain)..end {
            let in_block = (sub % subs) as u16;
            self.assign(sub / subs, in_block..in_block + 1, None);
        }
    }
}

pub fn runs_of(block: u64, map: &[Option<Source>], subs: Range<u16>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for sub in subs {
        let Some((birth, stamp)) = map[usize::from(sub)] else {
            continue;
        };
        match runs.last_mut() {
            Some(last)
                if last.from + last.count == sub
                    && last.source == (ObjectSource::Born { birth, stamp }) =>
            {
                last.count += 1;
            }
            _ => runs.push(Run {
                block,
                from: sub,
                count: 1,
                source: ObjectSource::Born { birth, stamp },
            }),
        }
    }
    runs
}
