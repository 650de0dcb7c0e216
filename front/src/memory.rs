//! Disks in memory: what the tests serve, and a RAM disk for trying things out. Nothing survives the process.
//!
//! Space is taken in pages when something is written, and given back by trimming or zeroing a whole one, so the
//! block status is as interesting as that of a real volume.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use xseg::Errno;

use super::change::Change;
use super::disk::{Disk, Disks, ZeroOptions};
use super::extent::Extent;
use super::facts::{DiskFacts, Features};
use super::payload::Payload;
use crate::listed::{Listed, OpenRefusal};
use crate::name::DiskName;

const PAGE_BYTES: u64 = 4096;

/// Named disks in memory.
#[derive(Clone, Debug, Default)]
pub struct MemDisks {
    disks: Rc<RefCell<BTreeMap<DiskName, MemDisk>>>,
}

type Pages = BTreeMap<u64, Box<[u8]>>;

/// A disk in memory. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemDisk {
    facts: DiskFacts,
    pages: Rc<RefCell<Pages>>,
    snapshots: Rc<RefCell<BTreeMap<DiskName, Pages>>>,
}

impl MemDisks {
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a disk, or takes the place of the one that had the name.
    pub fn insert(&self, name: DiskName, disk: MemDisk) {
        self.disks.borrow_mut().insert(name, disk);
    }
}

impl Disks for MemDisks {
    type Disk = MemDisk;

    async fn list(&self) -> Result<Vec<Listed>, Errno> {
        let disks = self.disks.borrow();
        let listed = disks.iter().map(|(name, disk)| Listed {
            name: name.to_string(),
            description: disk.facts.description.clone(),
        });
        Ok(listed.collect())
    }

    async fn open(&self, name: &DiskName) -> Result<MemDisk, OpenRefusal> {
        let disks = self.disks.borrow();
        disks.get(name).cloned().ok_or(OpenRefusal::Unknown)
    }
}

/// A range within one page.
struct Part {
    page: u64,
    from: usize,
    len: usize,
}

/// The parts of the pages that a range touches.
fn parts(offset: u64, len_bytes: u64) -> impl Iterator<Item = Part> {
    let end = offset + len_bytes;
    let mut at = offset;
    std::iter::from_fn(move || {
        let page = at / PAGE_BYTES;
        let until = ((page + 1) * PAGE_BYTES).min(end);
        let part = Part {
            page,
            from: (at % PAGE_BYTES) as usize,
            len: (until.saturating_sub(at)) as usize,
        };
        at = until;
        (part.len > 0).then_some(part)
    })
}

impl MemDisk {
    pub fn new(size_bytes: u64) -> Self {
        Self::with(size_bytes, Features::ALL)
    }

    pub fn with(size_bytes: u64, features: Features) -> Self {
        Self {
            facts: DiskFacts {
                size_bytes,
                features,
                description: "in memory".to_owned(),
            },
            pages: Rc::default(),
            snapshots: Rc::default(),
        }
    }

    /// Remembers what the disk has at this moment, for [`Disk::changed_since`].
    pub fn snapshot(&self, name: DiskName) {
        let pages = self.pages.borrow().clone();
        self.snapshots.borrow_mut().insert(name, pages);
    }

    /// The same disk, for clients that must not write to it.
    pub fn read_only(&self) -> Self {
        let mut other = self.clone();
        other.facts.features.read_only = true;
        other
    }

    pub fn put(&self, offset: u64, bytes: &[u8]) {
        let mut pages = self.pages.borrow_mut();
        let mut rest = bytes;
        for part in parts(offset, bytes.len() as u64) {
            let page = pages.entry(part.page);
            let page = page.or_insert_with(|| vec![0; PAGE_BYTES as usize].into());
            let (now, later) = rest.split_at(part.len);
            page[part.from..][..part.len].copy_from_slice(now);
            rest = later;
        }
    }

    pub fn get(&self, offset: u64, len_bytes: usize) -> Vec<u8> {
        let pages = self.pages.borrow();
        let mut bytes = Vec::with_capacity(len_bytes);
        for part in parts(offset, len_bytes as u64) {
            match pages.get(&part.page) {
                Some(page) => bytes.extend(&page[part.from..][..part.len]),
                None => bytes.resize(bytes.len() + part.len, 0),
            }
        }
        bytes
    }

    fn zero(&self, offset: u64, len_bytes: u64, keep: bool) {
        if keep {
            let zeroes = [0; PAGE_BYTES as usize];
            let mut at = offset;
            for part in parts(offset, len_bytes) {
                self.put(at, &zeroes[..part.len]);
                at += part.len as u64;
            }
            return;
        }
        let mut pages = self.pages.borrow_mut();
        // Only pages that are there: a range may be much larger than what was ever written.
        let last = (offset + len_bytes).div_ceil(PAGE_BYTES);
        let touched: Vec<u64> = pages
            .range(offset / PAGE_BYTES..last)
            .map(|(page, _)| *page)
            .collect();
        for page in touched {
            let start = page * PAGE_BYTES;
            let from = offset.max(start) - start;
            let to = (offset + len_bytes).min(start + PAGE_BYTES) - start;
            if to - from == PAGE_BYTES {
                pages.remove(&page);
            } else if let Some(bytes) = pages.get_mut(&page) {
                bytes[from as usize..to as usize].fill(0);
            }
        }
    }
}

impl Disk for MemDisk {
    fn facts(&self) -> DiskFacts {
        self.facts.clone()
    }

    async fn room(&self, len_bytes: u32) -> Result<Payload, Errno> {
        Ok(Payload::Bytes(vec![0; len_bytes as usize]))
    }

    async fn read(&self, offset: u64, len_bytes: u32) -> Result<Payload, Errno> {
        let len_bytes = len_bytes as usize;
        let first = offset / PAGE_BYTES;
        let last = (offset + len_bytes as u64).div_ceil(PAGE_BYTES);
        if self.pages.borrow().range(first..last).next().is_none() {
            return Ok(Payload::Zeroes { len_bytes });
        }
        Ok(Payload::Bytes(self.get(offset, len_bytes)))
    }

    async fn write(&self, offset: u64, payload: Payload, _fua: bool) -> Result<(), Errno> {
        match payload {
            Payload::Bytes(bytes) => self.put(offset, &bytes),
            _ => return Err(Errno::INVAL),
        }
        Ok(())
    }

    async fn flush(&self) -> Result<(), Errno> {
        Ok(())
    }

    async fn trim(&self, offset: u64, len_bytes: u64, _fua: bool) -> Result<(), Errno> {
        self.zero(offset, len_bytes, false);
        Ok(())
    }

    async fn write_zeroes(
        &self,
        offset: u64,
        len_bytes: u64,
        options: ZeroOptions,
    ) -> Result<(), Errno> {
        if options.fast && options.no_hole {
            return Err(Errno::OPNOTSUPP); // keeping the pages is as slow as writing them
        }
        self.zero(offset, len_bytes, options.no_hole);
        Ok(())
    }

    async fn block_status(&self, offset: u64, len_bytes: u64) -> Result<Vec<Extent>, Errno> {
        let end = offset + len_bytes;
        let mut at = offset;
        let mut extents = Vec::new();
        for (page, _) in self.pages.borrow().range(offset / PAGE_BYTES..) {
            let start = (page * PAGE_BYTES).max(at);
            if start >= end {
                break;
            }
            let until = ((page + 1) * PAGE_BYTES).min(end);
            extents.push(Extent::hole(start - at));
            extents.push(Extent::data(until - start));
            at = until;
        }
        extents.push(Extent::hole(end - at));
        Ok(extents)
    }

    async fn changed_since(
        &self,
        snapshot: &DiskName,
        offset: u64,
        len_bytes: u64,
    ) -> Result<Vec<Change>, Errno> {
        let snapshots = self.snapshots.borrow();
        let then = snapshots.get(snapshot).ok_or(Errno::NOENT)?;
        let now = self.pages.borrow();
        let mut changes: Vec<Change> = Vec::new();
        for part in parts(offset, len_bytes) {
            let is_changed = then.get(&part.page) != now.get(&part.page);
            let len_bytes = part.len as u64;
            match changes.last_mut() {
                Some(last) if last.is_changed == is_changed => last.len_bytes += len_bytes,
                _ => changes.push(Change {
                    len_bytes,
                    is_changed,
                }),
            }
        }
        Ok(changes)
    }

    async fn cache(&self, _offset: u64, _len_bytes: u64) -> Result<(), Errno> {
        Ok(())
    }
}
