//! A store in memory: the naive one, which says what every other store must do.

use std::cell::{RefCell, RefMut};
use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::Poll;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::conformance::Limited;
use crate::content::{Blob, LockTable};
use crate::contract::{Listing, LockOwner, LockRecord, ObjectStat, Scope, Store};
use crate::error::StoreError;
use crate::name::ObjectName;
use crate::range::range_end;

/// How much a store in memory takes unless it is told otherwise.
const CAPACITY_DEFAULT_BYTES: u64 = 4 << 30;

/// A store in memory. A clone is the same store.
#[derive(Clone, Debug)]
pub struct MemStore {
    content: Rc<RefCell<Content>>,
}

#[derive(Debug)]
struct Content {
    objects: BTreeMap<ObjectName, Blob>,
    locks: LockTable,
    capacity_bytes: u64,
}

impl Default for MemStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemStore {
    pub fn new() -> Self {
        let content = Content {
            objects: BTreeMap::new(),
            locks: LockTable::default(),
            capacity_bytes: CAPACITY_DEFAULT_BYTES,
        };
        Self {
            content: Rc::new(RefCell::new(content)),
        }
    }

    /// What it holds at the most. Less than it holds already: nothing more fits.
    pub fn set_capacity_bytes(&self, bytes: u64) {
        self.content.borrow_mut().capacity_bytes = bytes;
    }

    /// What its objects take.
    pub fn used_bytes(&self) -> u64 {
        self.content.borrow().used_bytes()
    }

    fn content(&self) -> RefMut<'_, Content> {
        self.content.borrow_mut()
    }
}

impl Content {
    fn used_bytes(&self) -> u64 {
        self.objects.values().map(Blob::allocated).sum()
    }

    fn find(&self, name: &ObjectName) -> Result<&Blob, StoreError> {
        self.objects.get(name).ok_or(StoreError::NotFound)
    }

    fn require_space(&self, bytes: u64) -> Result<(), StoreError> {
        // What needs no space goes on however full the store is (D5).
        if bytes > 0 && self.used_bytes().saturating_add(bytes) > self.capacity_bytes {
            return Err(StoreError::NoSpace);
        }
        Ok(())
    }

    /// Room for what writing there would allocate, and the object.
    fn open_for(
        &mut self,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<&mut Blob, StoreError> {
        let missing = match self.objects.get(name) {
            Some(blob) => blob.missing_bytes(offset, len),
            None => Blob::default().missing_bytes(offset, len),
        };
        self.require_space(missing)?;
        Ok(self.objects.entry(name.clone()).or_default())
    }

    /// Puts a whole object. The old one goes only when the new one is there, so there must be room for both.
    fn put(&mut self, name: &ObjectName, blob: Blob) -> Result<(), StoreError> {
        self.require_space(blob.allocated())?;
        self.objects.insert(name.clone(), blob);
        Ok(())
    }
}

/// A page of the names among `all` (sorted) that are of `group`.
pub(crate) fn page_of_names<'a>(
    all: impl Iterator<Item = &'a ObjectName>,
    group: &[u8],
    after: Option<&ObjectName>,
    max: usize,
) -> Listing {
    let mut names: Vec<ObjectName> = all
        .filter(|name| name.group() == group && after.is_none_or(|after| *name > after))
        .take(max.saturating_add(1))
        .cloned()
        .collect();
    let more = names.len() > max;
    names.truncate(max);
    Listing { names, more }
}

impl Limited for MemStore {
    fn limit_bytes(&self, bytes: u64) {
        self.set_capacity_bytes(bytes);
    }
}

impl Store for MemStore {
    async fn read(
        &self,
        name: &ObjectName,
        offset: u64,
        into: &mut [u8],
    ) -> Result<usize, StoreError> {
        range_end(offset, into.len() as u64)?;
        Ok(self.content().find(name)?.read(offset, into))
    }

    async fn write(
        &self,
        _scope: Scope,
        name: &ObjectName,
        offset: u64,
        data: &[u8],
    ) -> Result<(), StoreError> {
        let len = data.len() as u64;
        range_end(offset, len)?;
        self.content()
            .open_for(name, offset, len)?
            .write(offset, data);
        Ok(())
    }

    async fn write_full(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        self.content().put(name, Blob::of(data))
    }

    async fn create_exclusive(&self, name: &ObjectName, data: &[u8]) -> Result<(), StoreError> {
        let mut content = self.content();
        if content.objects.contains_key(name) {
            return Err(StoreError::Exists);
        }
        content.put(name, Blob::of(data))
    }

    async fn extend(
        &self,
        _scope: Scope,
        name: &ObjectName,
        size: u64,
        reserve: bool,
    ) -> Result<(), StoreError> {
        range_end(0, size)?;
        let mut content = self.content();
        if reserve {
            content.open_for(name, 0, size)?.reserve(size);
        } else {
            content.open_for(name, 0, 0)?.grow(size);
        }
        Ok(())
    }

    async fn copy(
        &self,
        _scope: Scope,
        from: &ObjectName,
        to: &ObjectName,
        len: u64,
    ) -> Result<u64, StoreError> {
        if from == to {
            return Err(StoreError::Invalid);
        }
        let mut content = self.content();
        let blob = content.find(from)?.prefix(len);
        let copied = blob.size();
        content.put(to, blob)?;
        Ok(copied)
    }

    async fn delete(&self, name: &ObjectName) -> Result<(), StoreError> {
        let removed = self.content().objects.remove(name);
        removed.map(|_| ()).ok_or(StoreError::NotFound)
    }

    async fn punch(
        &self,
        _scope: Scope,
        name: &ObjectName,
        offset: u64,
        len: u64,
    ) -> Result<(), StoreError> {
        range_end(offset, len)?;
        let mut content = self.content();
        let blob = content.objects.get_mut(name).ok_or(StoreError::NotFound)?;
        blob.punch(offset, len);
        Ok(())
    }

    async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError> {
        let content = self.content();
        let blob = content.find(name)?;
        Ok(ObjectStat {
            size: blob.size(),
            allocated: blob.allocated(),
        })
    }

    async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError> {
        Ok(self.content().find(name)?.data_in(part))
    }

    async fn list(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError> {
        let content = self.content();
        Ok(page_of_names(content.objects.keys(), group, after, max))
    }

    async fn groups(&self) -> Result<Vec<Vec<u8>>, StoreError> {
        let content = self.content();
        let groups: BTreeSet<&[u8]> = content.objects.keys().map(ObjectName::group).collect();
        Ok(groups.into_iter().map(<[u8]>::to_vec).collect())
    }

    async fn hash(&self, name: &ObjectName) -> Result<[u8; 32], StoreError> {
        Ok(self.content().find(name)?.hash())
    }

    async fn sync(&self, _scope: Scope) -> Result<(), StoreError> {
        Ok(())
    }

    async fn heal(&self, _scope: Scope) -> Result<(), StoreError> {
        Ok(())
    }

    async fn lock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        wait: bool,
    ) -> Result<LockRecord, StoreError> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.map_or(0, |since| since.as_secs());
        poll_fn(|context| {
            let locks = &mut self.content().locks;
            match locks.take(name, owner, since) {
                Err(StoreError::Locked { .. }) if wait => {
                    locks.wait(name, context.waker());
                    Poll::Pending
                }
                taken => Poll::Ready(taken),
            }
        })
        .await
    }

    async fn unlock(
        &self,
        name: &ObjectName,
        owner: &LockOwner,
        force: bool,
    ) -> Result<(), StoreError> {
        self.content().locks.give_back(name, owner, force)
    }

    async fn forget_lock(&self, name: &ObjectName, owner: &LockOwner) -> Result<(), StoreError> {
        self.content().locks.forget(name, owner)
    }

    async fn lock_owner(&self, name: &ObjectName) -> Result<Option<LockRecord>, StoreError> {
        Ok(self.content().locks.holder(name))
    }
}
