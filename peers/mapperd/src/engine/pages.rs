//! Pages of trees, as they are read: checked once, and kept while they are used.
//!
//! # Invariants
//! * **PAGE-1** A page is known by its reference, checksum included, and never changes: what the cache holds is what the
//!   store has, or had before the page was given back.
//! * **PAGE-2** The cache holds at most as many pages as it was told (M8); whoever walks keeps what he walks on.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::names;
use crate::map::{Access, PAGE_BYTES, PageRef, Shape, SplitPage, TreePage};

#[derive(Clone, Debug)]
enum Cached {
    Tree(Rc<TreePage>),
    Split(Rc<SplitPage>),
}

#[derive(Debug)]
struct Slot {
    page: Cached,
    was_used: bool,
}

/// The pages that were read lately, and where the others are.
#[derive(Debug)]
pub struct Pages<S> {
    maps: Rc<S>,
    slots: RefCell<HashMap<PageRef, Slot>>,
    /// In the order in which they came, for the hand that passes over them.
    order: RefCell<VecDeque<PageRef>>,
    pages_max: usize,
}

impl<S: Store> Pages<S> {
    pub fn new(maps: Rc<S>, pages_max: usize) -> Self {
        Self {
            maps,
            slots: RefCell::default(),
            order: RefCell::default(),
            pages_max: pages_max.max(1),
        }
    }

    /// The page of this level whose first block is `first`.
    pub async fn tree(
        &self,
        page: &PageRef,
        level: u8,
        first: u64,
    ) -> Result<Rc<TreePage>, MapError> {
        if let Some(Cached::Tree(found)) = self.cached(page)
            && (found.level(), found.first()) == (level, first)
        {
            return Ok(found);
        }
        let bytes = self.read(page).await?;
        let tree = TreePage::decode(&bytes, page, level, first, Access::ReadWrite)
            .map_err(|error| corrupt(page, &error))?;
        let tree = Rc::new(tree);
        self.keep(*page, Cached::Tree(tree.clone()));
        Ok(tree)
    }

    /// The page of the split block `block`.
    pub async fn split(
        &self,
        page: &PageRef,
        block: u64,
        shape: Shape,
    ) -> Result<Rc<SplitPage>, MapError> {
        if let Some(Cached::Split(found)) = self.cached(page)
            && found.block == block
        {
            return Ok(found);
        }
        let bytes = self.read(page).await?;
        let split = SplitPage::decode(&bytes, page, block, shape, Access::ReadWrite)
            .map_err(|error| corrupt(page, &error))?;
        let split = Rc::new(split);
        self.keep(*page, Cached::Split(split.clone()));
        Ok(split)
    }

    fn cached(&self, page: &PageRef) -> Option<Cached> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(page)?;
        slot.was_used = true;
        Some(slot.page.clone())
    }

    /// How many pages are kept at this moment.
    pub fn cached_pages(&self) -> usize {
        self.slots.borrow().len()
    }

    /// Forgets a page that is given back.
    pub fn forget(&self, page: &PageRef) {
        self.slots.borrow_mut().remove(page);
    }

    fn keep(&self, key: PageRef, page: Cached) {
        let mut slots = self.slots.borrow_mut();
        let mut order = self.order.borrow_mut();
        if order.len() >= 2 * self.pages_max {
            order.retain(|page| slots.contains_key(page));
        }
        while slots.len() >= self.pages_max {
            let Some(oldest) = order.pop_front() else {
                break;
            };
            match slots.get_mut(&oldest) {
                Some(slot) if slot.was_used => {
                    slot.was_used = false;
                    order.push_back(oldest);
                }
                Some(_) => {
                    slots.remove(&oldest);
                }
                None => {}
            }
        }
        let slot = Slot {
            page,
            was_used: false,
        };
        if slots.insert(key, slot).is_none() {
            order.push_back(key);
        }
    }

    async fn read(&self, page: &PageRef) -> Result<Vec<u8>, MapError> {
        let object = names::pages(page.birth, page.number);
        let mut bytes = vec![0; PAGE_BYTES];
        let offset = u64::from(page.index) * PAGE_BYTES as u64;
        match self.maps.read(&object, offset, &mut bytes).await {
            Ok(read) if read == PAGE_BYTES => Ok(bytes),
            Ok(read) => Err(MapError::Corrupt {
                object,
                why: format!("it ends {read} bytes into page {}", page.index),
            }),
            Err(StoreError::NotFound) => Err(MapError::Missing {
                object,
                volume: page.birth,
            }),
            Err(error) => Err(MapError::store("read", &object)(error)),
        }
    }
}

fn corrupt(page: &PageRef, why: &impl std::fmt::Display) -> MapError {
    MapError::Corrupt {
        object: names::pages(page.birth, page.number),
        why: why.to_string(),
    }
}
