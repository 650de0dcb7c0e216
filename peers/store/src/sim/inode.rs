//! An object as a disk has it: what is read now, and what would be left after a power loss.
//!
//! Each sector that was written, reserved or punched is *dirty* for the scopes that did it, until one of them is
//! synced. A crash image takes each dirty sector either way. So do sizes: each scope has a mark, the size that it
//! was answered for.

use std::collections::{BTreeMap, BTreeSet};

use super::random::SimRandom;
use crate::content::{Blob, SECTOR_BYTES, sectors_of};
use crate::contract::Scope;

#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub live: Blob,
    durable: Blob,
    dirty: BTreeMap<u64, BTreeSet<Scope>>,
    marks: BTreeMap<Scope, u64>,
}

impl Inode {
    /// Written and synced.
    pub fn durable(blob: Blob) -> Self {
        Self {
            live: blob.clone(),
            durable: blob,
            ..Self::default()
        }
    }

    /// Written under a scope, not synced.
    pub fn written(scope: Scope, blob: Blob) -> Self {
        let mut inode = Self::default();
        for sector in blob.present() {
            inode.dirty.entry(sector).or_default().insert(scope);
        }
        inode.marks.insert(scope, blob.size());
        inode.live = blob;
        inode
    }

    pub fn write(&mut self, scope: Scope, offset: u64, data: &[u8]) {
        self.live.write(offset, data);
        if !data.is_empty() {
            self.touch(scope, offset, data.len() as u64);
            self.mark(scope, offset + data.len() as u64);
        }
    }

    pub fn extend(&mut self, scope: Scope, size: u64, reserve: bool) {
        if reserve {
            for sector in sectors_of(0, size) {
                if self.live.sector(sector).is_none() {
                    self.dirty.entry(sector).or_default().insert(scope);
                }
            }
            self.live.reserve(size);
        } else {
            self.live.grow(size);
        }
        self.mark(scope, size);
    }

    pub fn punch(&mut self, scope: Scope, offset: u64, len: u64) {
        let touched: Vec<u64> = self.live.present_in(offset, len).collect();
        self.live.punch(offset, len);
        for sector in touched {
            self.dirty.entry(sector).or_default().insert(scope);
        }
    }

    /// An object that was cut from outside, as by a broken file system: no sync brings it back.
    pub fn cut(&mut self, size: u64) {
        self.live.cut(size);
        self.durable.cut(size);
        self.dirty
            .retain(|sector, _| *sector < size.div_ceil(SECTOR_BYTES));
        self.marks.values_mut().for_each(|mark| *mark = size);
    }

    fn touch(&mut self, scope: Scope, offset: u64, len: u64) {
        for sector in sectors_of(offset, len) {
            self.dirty.entry(sector).or_default().insert(scope);
        }
    }

    fn mark(&mut self, scope: Scope, size: u64) {
        let mark = self.marks.entry(scope).or_default();
        *mark = (*mark).max(size);
    }

    /// STORE-2: all that was done under the scope becomes durable. No more than that.
    pub fn sync(&mut self, scope: Scope) {
        let sectors = self.dirty.iter();
        let sectors = sectors.filter(|(_, scopes)| scopes.contains(&scope));
        let sectors: Vec<u64> = sectors.map(|(sector, _)| *sector).collect();
        for sector in sectors {
            self.write_back(sector);
            self.dirty.remove(&sector);
        }
        if let Some(mark) = self.marks.remove(&scope) {
            self.durable.grow(mark);
        }
    }

    /// Some of what is dirty gets written early, as it does when memory is short: a crash may find any of it.
    pub fn write_back_some(&mut self, random: &mut SimRandom) {
        let dirty: Vec<u64> = self.dirty.keys().copied().collect();
        for sector in dirty {
            if random.one_in(2) {
                self.write_back(sector);
            }
        }
    }

    fn write_back(&mut self, sector: u64) {
        self.durable.set_sector(sector, self.live.sector(sector));
        // A sector is read only as far as the object goes: the size follows (delayed, but never left behind).
        let end = (sector + 1) * SECTOR_BYTES;
        if self.live.sector(sector).is_some() && self.durable.size() < end {
            self.durable.grow(end.min(self.live.size()));
        }
    }

    /// What a power loss leaves: of each dirty sector the old or the new one, of the size anything between.
    pub fn crash(&self, random: &mut SimRandom) -> Blob {
        let mut image = self.clone();
        image.write_back_some(random);
        let (small, large) = (image.durable.size(), self.live.size());
        if large > small {
            let grown = match random.below(3) {
                0 => small,
                1 => large,
                _ => small + random.below(large - small),
            };
            image.durable.grow(grown);
        }
        image.durable
    }
}
