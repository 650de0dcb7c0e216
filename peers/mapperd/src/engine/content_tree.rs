//! The tree of a head that names nothing but content: built from its first block to its last, page by page.
//!
//! # Invariants
//! * **CTREE-1** What is kept of the tree while it is built is one page of each level, and pages that wait to be written.

use super::error::MapError;
use super::fold::NewPages;
use super::tree::Root;
use super::world::{Base, World};
use crate::map::{ContentId, Entry, PAGE_BYTES, Shape, Source, TreePage, VolumeId, page_span};

/// Pages that are written at once: 1 MiB.
const PAGES_AT_ONCE: usize = 256;

/// A tree that is being built.
#[derive(Debug)]
pub struct ContentTree {
    birth: VolumeId,
    /// The page of each level that is being filled, the leaf first.
    open: Vec<Option<TreePage>>,
    root: Root,
    new: NewPages,
    waiting: usize,
    next_page_number: u64,
}

impl ContentTree {
    pub fn new(birth: VolumeId, shape: Shape, size_bytes: u64) -> Self {
        let level = shape.level_for(size_bytes);
        Self {
            birth,
            open: vec![None; usize::from(level) + 1],
            root: Root { page: None, level },
            new: NewPages::new(birth, 0),
            waiting: 0,
            next_page_number: 0,
        }
    }

    /// Blocks come in order.
    pub fn push(&mut self, block: u64, content: ContentId) {
        self.put(0, block, Entry::Object(Source::Content(content)));
    }

    fn put(&mut self, mut level: u8, mut block: u64, mut entry: Entry) {
        loop {
            let first = block - block % page_span(level);
            let open = &mut self.open[usize::from(level)];
            let ended = open.take_if(|page| page.first() != first);
            let page = open.get_or_insert_with(|| TreePage::new(level, first));
            let slot = page.slot_of(block).expect("the page spans the block");
            page.set(slot, entry);
            let Some(ended) = ended else { return };
            (block, entry) = (ended.first(), self.end(&ended));
            level += 1;
        }
    }

    fn end(&mut self, page: &TreePage) -> Entry {
        self.waiting += 1;
        Entry::Child(self.new.push_tree(page))
    }

    /// Writes what waits, if it is much, or `all` of it. It is not durable yet.
    pub async fn write<W: World>(&mut self, base: &Base<W>, all: bool) -> Result<(), MapError> {
        if self.waiting == 0 || (!all && self.waiting < PAGES_AT_ONCE) {
            return Ok(());
        }
        let empty = NewPages::new(self.birth, self.next_page_number);
        let (objects, next) = std::mem::replace(&mut self.new, empty).finish();
        self.next_page_number = next;
        self.new = NewPages::new(self.birth, next);
        self.waiting = 0;
        base.write_pages(self.birth, &objects).await
    }

    /// Ends the tree. Gives its root, and the number of the page object that is free after it.
    pub async fn finish<W: World>(mut self, base: &Base<W>) -> Result<(Root, u64), MapError> {
        for level in 0..=self.root.level {
            let Some(page) = self.open[usize::from(level)].take() else {
                continue;
            };
            let first = page.first();
            match self.end(&page) {
                entry if level < self.root.level => self.put(level + 1, first, entry),
                Entry::Child(root) => self.root.page = Some(root),
                entry => unreachable!("{entry:?} is no page"),
            }
        }
        self.write(base, true).await?;
        Ok((self.root, self.next_page_number))
    }

    /// Nobody will name them.
    pub async fn delete_pages<W: World>(base: &Base<W>, birth: VolumeId) -> Result<(), MapError> {
        let group = super::names::page_group(birth);
        for object in base.list_all(&group, "list the pages").await? {
            base.delete_quietly(&object).await?;
        }
        Ok(())
    }
}

const _: () = assert!(PAGES_AT_ONCE * PAGE_BYTES == 1 << 20);
