//! Looking into trees of pages, and comparing them.
//!
//! # Invariants
//! * **TREE-1** A walk goes down one level at each step, so it ends whatever the pages say.
//! * **TREE-2** Trees that share a page have the same below it: a comparison skips it.

use std::ops::Range;
use std::rc::Rc;

use archipelago_store::Store;

use super::error::MapError;
use super::pages::Pages;
use crate::map::{BlockMap, Entry, PageRef, Shape, TreePage, entry_span, page_span};

/// A tree: its highest page, if it has any, and that page's level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Root {
    pub page: Option<PageRef>,
    pub level: u8,
}

/// A page and where in the tree it belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub page: PageRef,
    pub level: u8,
    pub first: u64,
}

impl Root {
    fn placed(self) -> Option<Placed> {
        self.page.map(|page| Placed {
            page,
            level: self.level,
            first: 0,
        })
    }
}

/// Which entry of a page of this level leads to `block`.
pub fn entry_index(level: u8, first: u64, block: u64) -> usize {
    usize::try_from((block - first) / entry_span(level)).expect("the page spans the block")
}

impl<S: Store> Pages<S> {
    /// The page at this place of the tree.
    pub async fn find(
        &self,
        root: Root,
        level: u8,
        first: u64,
    ) -> Result<Option<Placed>, MapError> {
        let mut at = root.placed();
        while let Some(placed) = at {
            if placed.level == level {
                return Ok((placed.first == first).then_some(placed));
            }
            if placed.level < level || first >= placed.first + page_span(placed.level) {
                return Ok(None);
            }
            at = self.child(placed, first).await?;
        }
        Ok(None)
    }

    async fn child(&self, placed: Placed, block: u64) -> Result<Option<Placed>, MapError> {
        let page = self.tree(&placed.page, placed.level, placed.first).await?;
        let index = entry_index(placed.level, placed.first, block);
        Ok(match page.entries()[index] {
            Entry::Child(child) => Some(Placed {
                page: child,
                level: placed.level - 1,
                first: placed.first + index as u64 * entry_span(placed.level),
            }),
            _ => None,
        })
    }

    /// The leaf entry of a block.
    pub async fn entry(&self, root: Root, block: u64) -> Result<Entry, MapError> {
        if block >= page_span(root.level) {
            return Ok(Entry::Zero);
        }
        let mut at = root.placed();
        while let Some(placed) = at {
            if placed.level == 0 {
                let page = self.tree(&placed.page, 0, placed.first).await?;
                return Ok(page.entries()[entry_index(0, placed.first, block)]);
            }
            at = self.child(placed, block).await?;
        }
        Ok(Entry::Zero)
    }

    /// What a block is made of.
    pub async fn block(&self, root: Root, block: u64, shape: Shape) -> Result<BlockMap, MapError> {
        Ok(match self.entry(root, block).await? {
            Entry::Object(source) => BlockMap::Object(source),
            Entry::Split(page) => {
                let page = self.split(&page, block, shape).await?;
                BlockMap::Split(page.split.clone())
            }
            Entry::Zero | Entry::Child(_) => BlockMap::Zero,
        })
    }

    /// The blocks in the range that are not zero, in order.
    pub async fn mapped(&self, root: Root, range: Range<u64>) -> Result<Vec<u64>, MapError> {
        self.mapped_first(root, range, usize::MAX).await
    }

    /// The first `max` of them, and the rest of the page of the last one.
    pub async fn mapped_first(
        &self,
        root: Root,
        range: Range<u64>,
        max: usize,
    ) -> Result<Vec<u64>, MapError> {
        let look = async |placed: Placed| {
            let page = self.tree(&placed.page, placed.level, placed.first).await?;
            Ok(Some(page))
        };
        self.walk(root, range, max, look).await
    }

    /// The same of a tree of which parts are given back already; `skip` tells which other pages need no look.
    pub async fn mapped_left(
        &self,
        root: Root,
        range: Range<u64>,
        skip: impl AsyncFn(Placed) -> Result<bool, MapError>,
    ) -> Result<Vec<u64>, MapError> {
        let look = async |placed: Placed| {
            if skip(placed).await? {
                return Ok(None);
            }
            self.tree_left(placed).await
        };
        self.walk(root, range, usize::MAX, look).await
    }

    /// A page, if it is not given back yet.
    async fn tree_left(&self, placed: Placed) -> Result<Option<Rc<TreePage>>, MapError> {
        match self.tree(&placed.page, placed.level, placed.first).await {
            Ok(page) => Ok(Some(page)),
            Err(error @ (MapError::Missing { .. } | MapError::Corrupt { .. })) => {
                tracing::debug!(%error, "taken for given back");
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    async fn walk(
        &self,
        root: Root,
        range: Range<u64>,
        max: usize,
        look: impl AsyncFn(Placed) -> Result<Option<Rc<TreePage>>, MapError>,
    ) -> Result<Vec<u64>, MapError> {
        let mut blocks = Vec::new();
        let mut stack: Vec<Placed> = root.placed().into_iter().collect();
        while let Some(placed) = stack.pop() {
            if blocks.len() >= max {
                break;
            }
            let end = placed.first + page_span(placed.level);
            if end <= range.start || placed.first >= range.end {
                continue;
            }
            let Some(page) = look(placed).await? else {
                continue;
            };
            let span = entry_span(placed.level);
            // Backwards, so that the stack gives them in order.
            for (index, entry) in page.entries().iter().enumerate().rev() {
                let first = placed.first + index as u64 * span;
                match entry {
                    Entry::Child(child) => stack.push(Placed {
                        page: *child,
                        level: placed.level - 1,
                        first,
                    }),
                    Entry::Object(_) | Entry::Split(_) if range.contains(&first) => {
                        blocks.push(first);
                    }
                    _ => {}
                }
            }
        }
        blocks.sort_unstable();
        Ok(blocks)
    }

    /// All pages of a tree, split pages among them. One that cannot be read is an error: what is below it is not known.
    pub async fn all(&self, root: Root) -> Result<Vec<PageRef>, MapError> {
        let mut pages = Vec::new();
        let mut stack: Vec<Placed> = root.placed().into_iter().collect();
        while let Some(placed) = stack.pop() {
            let page = self.tree(&placed.page, placed.level, placed.first).await?;
            pages.push(placed.page);
            for (index, entry) in page.entries().iter().enumerate() {
                match entry {
                    Entry::Child(child) => stack.push(Placed {
                        page: *child,
                        level: placed.level - 1,
                        first: placed.first + index as u64 * entry_span(placed.level),
                    }),
                    Entry::Split(split) => pages.push(*split),
                    _ => {}
                }
            }
        }
        Ok(pages)
    }

    /// The pages that only `old` has, split pages among them, each after all that is below it. What was given back
    /// already is passed over: a comparison that was cut off is made again.
    pub async fn only_in(&self, old: Root, others: &[Root]) -> Result<Vec<PageRef>, MapError> {
        let mut pages = Vec::new();
        let mut stack: Vec<Placed> = old.placed().into_iter().collect();
        while let Some(placed) = stack.pop() {
            if self.has_any(others, placed).await? {
                continue;
            }
            let Some(page) = self.tree_left(placed).await? else {
                continue;
            };
            pages.push(placed.page);
            for (index, entry) in page.entries().iter().enumerate() {
                let first = placed.first + index as u64 * entry_span(placed.level);
                match entry {
                    Entry::Child(child) => stack.push(Placed {
                        page: *child,
                        level: placed.level - 1,
                        first,
                    }),
                    Entry::Split(split) if !self.has_entry(others, first, *entry).await? => {
                        pages.push(*split);
                    }
                    _ => {}
                }
            }
        }
        pages.reverse();
        Ok(pages)
    }

    /// Does one of the trees have this very page at this place?
    pub async fn has_any(&self, roots: &[Root], placed: Placed) -> Result<bool, MapError> {
        for root in roots {
            if self.find(*root, placed.level, placed.first).await? == Some(placed) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn has_entry(&self, roots: &[Root], block: u64, entry: Entry) -> Result<bool, MapError> {
        for root in roots {
            if self.entry(*root, block).await? == entry {
                return Ok(true);
            }
        }
        Ok(false)
    }
}
