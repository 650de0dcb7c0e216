//! The groups that have objects.

use std::ffi::CString;

use archipelago_store::StoreError;
use rustix::io::Errno;

use super::core::store_error;
use super::index::Index;
use super::merging::{Entry, stretch};
use super::names;
use super::together::together;

/// So many groups are looked at at a time, and answered.
const STEP: usize = 32;
const GROUPS_MAX: usize = 512;

impl Index {
    /// Some groups after `after`, sorted, and whether there may be more.
    pub async fn groups(&self, after: Option<&[u8]>) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
        let roots = self.parts_of_groups();
        let mut after = after.map_or_else(CString::default, names::group_key);
        let mut found = Vec::new();
        loop {
            let stretch = stretch(&self.pool, &roots, &after, GROUPS_MAX).await?;
            let entries: Vec<Entry> = stretch
                .keys
                .into_iter()
                .filter_map(|(key, nonce)| Some((key.strip_prefix(b"=")?.to_vec(), nonce)))
                .collect();
            for chunk in entries.chunks(STEP) {
                let looks = together(chunk.iter().map(|entry| self.has_objects(entry))).await;
                for (entry, look) in chunk.iter().zip(looks) {
                    if look? {
                        found.push(entry.0.clone());
                    }
                }
            }
            match stretch.end {
                Some(end) if found.len() < GROUPS_MAX => {
                    after = CString::new(end).map_err(|_| StoreError::Invalid)?;
                }
                end => return Ok((found, end.is_some())),
            }
        }
    }

    /// Whether the group has any. If it has not even names, it is forgotten.
    async fn has_objects(&self, (group, nonce): &Entry) -> Result<bool, StoreError> {
        if self.page(group, None, 0).await?.more {
            return Ok(true);
        }
        self.forget(group, nonce).await?;
        Ok(false)
    }

    /// Removes the index of a group without objects, unless somebody uses it meanwhile (INDEX-2).
    async fn forget(&self, group: &[u8], nonce: &[u8]) -> Result<(), StoreError> {
        for part in self.parts_of(group) {
            let mut landing = self.pool.look(&part, self.pool.asking().keys(c"", 1)).await;
            match landing.result {
                Ok(_) if landing.kept.take_keys().is_empty() => {}
                Err(Errno::NOENT) => continue,
                Ok(_) => return Ok(()),
                Err(errno) => return Err(store_error(errno)),
            }
            let removing = self.pool.writing().assert_version(landing.version).remove();
            match self.pool.change(&part, removing).await.result {
                Ok(_) | Err(Errno::NOENT) => {}
                Err(Errno::RANGE | Errno::OVERFLOW) => return Ok(()),
                Err(errno) => return Err(store_error(errno)),
            }
        }
        let key = names::group_key(group);
        let removing = self.pool.writing().assert_key(&key, nonce).remove_key(&key);
        let part = self.part_of_group(group);
        match self.pool.change(&part, removing).await.result {
            Ok(_) | Err(Errno::NOENT | Errno::CANCELED) => Ok(()),
            Err(errno) => Err(store_error(errno)),
        }
    }
}
