//! The content of a simulated store: names, inodes, and what a power loss makes of them.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::{Entry, InodeNumber};
use super::inode::Inode;
use super::random::SimRandom;
use crate::content::Blob;
use crate::contract::Scope;
use crate::error::StoreError;
use crate::name::ObjectName;

#[derive(Clone, Debug)]
pub(super) struct Disk {
    entries: BTreeMap<ObjectName, Entry>,
    inodes: BTreeMap<InodeNumber, Inode>,
    next_inode: InodeNumber,
    pub capacity_bytes: u64,
}

impl Disk {
    pub fn new(capacity_bytes: u64) -> Self {
        Self {
            entries: BTreeMap::new(),
            inodes: BTreeMap::new(),
            next_inode: 0,
            capacity_bytes,
        }
    }

    pub fn has(&self, name: &ObjectName) -> bool {
        self.live(name).is_some()
    }

    fn live(&self, name: &ObjectName) -> Option<InodeNumber> {
        self.entries.get(name)?.live()
    }

    pub fn find(&self, name: &ObjectName) -> Result<&Blob, StoreError> {
        let inode = self.live(name).and_then(|number| self.inodes.get(&number));
        inode.map(|inode| &inode.live).ok_or(StoreError::NotFound)
    }

    /// The inode of a name, to be changed in place.
    pub fn find_mut(&mut self, name: &ObjectName) -> Result<&mut Inode, StoreError> {
        let number = self.live(name).ok_or(StoreError::NotFound)?;
        self.inodes.get_mut(&number).ok_or(StoreError::NotFound)
    }

    pub fn names(&self) -> impl Iterator<Item = &ObjectName> {
        let entries = self.entries.iter();
        entries.filter_map(|(name, entry)| entry.live().map(|_| name))
    }

    fn used_bytes(&self) -> u64 {
        let live = self.entries.values().filter_map(Entry::live);
        live.filter_map(|number| self.inodes.get(&number))
            .map(|inode| inode.live.allocated())
            .sum()
    }

    fn require_space(&self, bytes: u64) -> Result<(), StoreError> {
        if bytes > 0 && self.used_bytes().saturating_add(bytes) > self.capacity_bytes {
            return Err(StoreError::NoSpace);
        }
        Ok(())
    }

    /// The object, made if need be, with room for what is going to be written there.
    pub fn open_for(
        &mut self,
        scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<&mut Inode, StoreError> {
        let missing = match self.find(name) {
            Ok(blob) => blob.missing_bytes(offset, len),
            Err(_) => Blob::default().missing_bytes(offset, len),
        };
        self.require_space(missing)?;
        if self.has(name) {
            self.entry(name).touch(scope);
        } else {
            let number = self.add(Inode::default());
            self.entry(name).change(scope, number);
        }
        self.find_mut(name)
    }

    fn entry(&mut self, name: &ObjectName) -> &mut Entry {
        self.entries.entry(name.clone()).or_default()
    }

    fn add(&mut self, inode: Inode) -> InodeNumber {
        self.next_inode += 1;
        self.inodes.insert(self.next_inode, inode);
        self.next_inode
    }

    /// Puts a whole object, durably.
    pub fn settle(&mut self, name: &ObjectName, blob: Blob) -> Result<(), StoreError> {
        self.require_space(blob.allocated())?;
        let number = self.add(Inode::durable(blob));
        self.entry(name).settle(number);
        self.forget_unreachable();
        Ok(())
    }

    /// Puts a whole object under a scope.
    pub fn replace(
        &mut self,
        scope: Scope,
        name: &ObjectName,
        blob: Blob,
    ) -> Result<(), StoreError> {
        self.require_space(blob.allocated())?;
        let number = self.add(Inode::written(scope, blob));
        self.entry(name).change(scope, number);
        Ok(())
    }

    pub fn remove(&mut self, name: &ObjectName) -> Result<(), StoreError> {
        self.find(name)?;
        self.entry(name).remove();
        Ok(())
    }

    pub fn touch(&mut self, scope: Scope, name: &ObjectName) {
        self.entry(name).touch(scope);
    }

    pub fn sync(&mut self, scope: Scope) {
        for inode in self.inodes.values_mut() {
            inode.sync(scope);
        }
        for entry in self.entries.values_mut() {
            entry.sync(scope);
        }
        self.entries.retain(|_, entry| !entry.is_gone());
        self.forget_unreachable();
    }

    fn forget_unreachable(&mut self) {
        let entries = self.entries.values();
        let reachable: BTreeSet<InodeNumber> = entries.flat_map(Entry::inodes).collect();
        self.inodes.retain(|number, _| reachable.contains(number));
    }

    /// What memory pressure does at any time.
    pub fn write_back_some(&mut self, random: &mut SimRandom) {
        for inode in self.inodes.values_mut() {
            if random.one_in(2) {
                inode.write_back_some(random);
            }
        }
    }

    /// What is found after a power loss: all of it durable.
    pub fn crash(&self, random: &mut SimRandom) -> Self {
        let mut image = Self::new(self.capacity_bytes);
        for (name, entry) in &self.entries {
            let found = entry.crash(random);
            if let Some(inode) = found.and_then(|number| self.inodes.get(&number)) {
                let number = image.add(Inode::durable(inode.crash(random)));
                image.entry(name).settle(number);
            }
        }
        image
    }
}
