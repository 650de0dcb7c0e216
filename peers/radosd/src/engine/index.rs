//! The index of a group: the names of its objects.
//!
//! # Invariants
//! * **INDEX-1** The name of an object that is there is in its group's index, whoever dies: it comes before the object and
//!   goes after it. A name too many is not listed, and whoever removes its object takes it away.
//! * **INDEX-2** A group whose index is there is in the index of groups: it comes before and goes after. An index is removed only if it is
//!   empty still, and the group only if nobody has entered it anew.

use std::cell::Cell;
use std::ffi::CString;
use std::rc::Rc;

use archipelago_store::{Listing, ObjectName, StoreError};
use rustix::io::Errno;

use super::core::store_error;
use super::merging::stretch;
use super::names;
use super::together::together;
use crate::librados::Pool;

/// So many names are looked after at a time.
const LOOKS_MAX: usize = 128;
/// A page takes no more room than that, whatever is asked for.
const PAGE_MAX: usize = 1 << 16;

#[derive(Debug)]
pub(super) struct Index {
    pub pool: Rc<Pool>,
    pub parts: u32,
    /// Tells entries of groups apart: ours, and their number.
    nonce: Cell<u128>,
}

impl Index {
    /// `seed` was never used before.
    pub fn new(pool: Rc<Pool>, parts: u32, seed: u128) -> Self {
        Self {
            pool,
            parts,
            nonce: Cell::new(seed),
        }
    }

    fn part_of(&self, bytes: &[u8]) -> u32 {
        crc32c::crc32c(bytes) % self.parts
    }

    pub fn parts_of(&self, group: &[u8]) -> Vec<CString> {
        let parts = 0..self.parts;
        parts.map(|part| names::index(part, group)).collect()
    }

    pub fn parts_of_groups(&self) -> Vec<CString> {
        (0..self.parts).map(names::groups).collect()
    }

    /// Where a group is named.
    pub fn part_of_group(&self, group: &[u8]) -> CString {
        names::groups(self.part_of(group))
    }

    /// Enters a name, before its object is made.
    pub async fn add(&self, name: &ObjectName) -> Result<(), StoreError> {
        let group = name.group();
        let part = names::index(self.part_of(name.as_bytes()), group);
        let key = names::key(name);
        let entering = self.pool.writing().assert_exists().set_key(&key, b"");
        match self.pool.change(&part, entering).await.result {
            Err(Errno::NOENT) => {}
            entered => return entered.map(drop).map_err(store_error),
        }
        self.add_group(group).await?; // INDEX-2
        let making = self.pool.writing().create_if_missing().set_key(&key, b"");
        let made = self.pool.change(&part, making).await;
        made.result.map(drop).map_err(store_error)
    }

    async fn add_group(&self, group: &[u8]) -> Result<(), StoreError> {
        let nonce = self.nonce.get().wrapping_add(1);
        self.nonce.set(nonce);
        let entering = self
            .pool
            .writing()
            .create_if_missing()
            .set_key(&names::group_key(group), &nonce.to_le_bytes());
        let entered = self.pool.change(&self.part_of_group(group), entering).await;
        entered.result.map(drop).map_err(store_error)
    }

    /// Takes a name out, after its object is gone.
    pub async fn remove(&self, name: &ObjectName) -> Result<(), StoreError> {
        let part = names::index(self.part_of(name.as_bytes()), name.group());
        let removing = self.pool.writing().remove_key(&names::key(name));
        match self.pool.change(&part, removing).await.result {
            Ok(_) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(store_error(errno)),
        }
    }

    /// Names of a group whose objects are there.
    pub async fn page(
        &self,
        group: &[u8],
        after: Option<&ObjectName>,
        max: usize,
    ) -> Result<Listing, StoreError> {
        let (parts, max) = (self.parts_of(group), max.min(PAGE_MAX));
        let mut after = after.map_or_else(CString::default, names::key);
        let mut found = Vec::new();
        while found.len() <= max {
            let wanted = max + 1 - found.len();
            let stretch = stretch(&self.pool, &parts, &after, wanted).await?;
            for chunk in stretch.keys.chunks(LOOKS_MAX) {
                if found.len() > max {
                    break;
                }
                let looks = chunk.iter().map(|(key, _)| self.present(key));
                for name in together(looks).await {
                    found.extend(name?);
                }
            }
            match stretch.end {
                Some(end) => after = CString::new(end).map_err(|_| StoreError::Invalid)?,
                None => break,
            }
        }
        let more = found.len() > max;
        found.truncate(max);
        Ok(Listing { names: found, more })
    }

    /// The name, if its object is there (INDEX-1).
    async fn present(&self, key: &[u8]) -> Result<Option<ObjectName>, StoreError> {
        // Nobody enters anything else: whoever did has damaged the index, and not our objects.
        let Ok(name) = ObjectName::new(key) else {
            return Ok(None);
        };
        let object = names::object(key)?;
        match self
            .pool
            .look(&object, self.pool.asking().stat())
            .await
            .result
        {
            Ok(_) => Ok(Some(name)),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(store_error(errno)),
        }
    }
}
