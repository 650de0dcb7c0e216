//! What there is: sizes, holes, names.

use std::ffi::CStr;
use std::ops::Range;

use archipelago_store::{Listing, ObjectName, ObjectStat, StoreError};
use rustix::io::Errno;

use super::changing::reserved;
use super::core::{Engine, store_error};
use super::names;

/// The store's grain: what OSDs allocate.
const PAGE_BYTES: u64 = 4096;
/// The OSD reads so much to answer once.
const STEP_BYTES: u64 = 8 << 20;

impl Engine {
    pub async fn stat(&self, name: &ObjectName) -> Result<ObjectStat, StoreError> {
        let object = names::object(name.as_bytes())?;
        let asking = self.pool.asking().stat().attributes();
        let mut landing = self.pool.look(&object, asking).await;
        landing.result.map_err(store_error)?;
        let size = landing.kept.size();
        let reserved = reserved(landing.kept.take_attribute(names::RESERVED)).min(size);
        let beyond = self.data_within(&object, reserved..size, size).await?;
        Ok(ObjectStat {
            size,
            allocated: reserved + beyond,
        })
    }

    /// What is not zero in that part, in pages: RADOS does not tell what is a hole.
    pub async fn data_in(&self, name: &ObjectName, part: Range<u64>) -> Result<u64, StoreError> {
        let object = names::object(name.as_bytes())?;
        let landing = self.pool.look(&object, self.pool.asking().stat()).await;
        landing.result.map_err(store_error)?;
        let size = landing.kept.size();
        self.data_within(&object, part, size).await
    }

    async fn data_within(
        &self,
        object: &CStr,
        part: Range<u64>,
        size: u64,
    ) -> Result<u64, StoreError> {
        let (end, mut at) = (part.end.min(size), part.start / PAGE_BYTES * PAGE_BYTES);
        let mut found = 0;
        while at < end {
            let step_end = (at + STEP_BYTES)
                .min(end.next_multiple_of(PAGE_BYTES))
                .min(size);
            let pages = self.pages(object, at..step_end).await?;
            for (start, is_data) in (at..step_end).step_by(PAGE_BYTES as usize).zip(pages) {
                let page = start.max(part.start)..(start + PAGE_BYTES).min(end);
                found += if is_data { page.end - page.start } else { 0 };
            }
            at = step_end;
        }
        Ok(found)
    }

    /// Which pages of a range that begins with one have something in them. A checksum that was begun with 0 stays 0 over zeros.
    async fn pages(&self, object: &CStr, range: Range<u64>) -> Result<Vec<bool>, StoreError> {
        let count = (range.end - range.start).div_ceil(PAGE_BYTES) as usize;
        let whole = (range.end - range.start) / PAGE_BYTES * PAGE_BYTES;
        let rest = (range.end - range.start - whole) as usize;
        let mut asking = self.pool.asking();
        if whole > 0 {
            asking = asking.checksums(range.start, whole as usize, PAGE_BYTES as usize);
        }
        if rest > 0 {
            asking = asking.checksums(range.start + whole, rest, rest);
        }
        let landing = self.pool.look(object, asking).await;
        match landing.result {
            Ok(_) => Ok(landing.kept.checksum_values().map(|sum| sum != 0).collect()),
            // It is shorter by now: what was there counts.
            Err(Errno::INVAL | Errno::RANGE | Errno::OVERFLOW) => Ok(vec![true; count]),
            Err(errno) => Err(store_error(errno)),
        }
    }

    pub async fn list(
        &self,
        group: Vec<u8>,
        after: Option<ObjectName>,
        max: u64,
    ) -> Result<Listing, StoreError> {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        self.index.page(&group, after.as_ref(), max).await
    }

    pub async fn groups(&self, after: Option<Vec<u8>>) -> Result<(Vec<Vec<u8>>, bool), StoreError> {
        self.index.groups(after.as_deref()).await
    }
}
