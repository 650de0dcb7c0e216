//! Hashing: the content of a snapshot gets a name that says what it is, and is there for whoever knows that name.
//!
//! ```text
//! objects of content, sealed -> pages that name them -> head -> hash/<64 digits>
//! ```
//!
//! # Invariants
//! * **HASH-1** Nothing is named before it is durable: whoever finds a hash finds all of its content.
//! * **HASH-2** Content that has a name keeps it: hashed again, it is found and nothing is stored.
//! * **HASH-3** While a snapshot is hashed nothing of it is given back: it is *held*.
//! * **HASH-4** Time is that of what is mapped, memory that of one batch of blocks (M8).
//! * **HASH-5** A hash is given only if the snapshot has a name when all of it was read: till then nothing of it went.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};

use super::content::{Block, Found};
use super::content_tree::ContentTree;
use super::directory::Directory;
use super::error::MapError;
use super::mapper::Mapper;
use super::names;
use super::together;
use super::tree::Root;
use super::view::View;
use super::world::World;
use crate::map::{Head, HeadFlags, Merkle, NameKind, Root as HeadRoot, Stamp, Version, VolumeId};

/// Blocks whose content is made durable together.
const BATCH_BLOCKS: usize = 64;
/// Blocks that are read at the same time.
const AT_ONCE: usize = 4;

/// How far a hash is.
#[derive(Debug, Default)]
pub struct Progress {
    pub done_blocks: Cell<u64>,
    pub total_blocks: Cell<u64>,
}

/// All of a content but its name.
#[derive(Debug)]
struct Built {
    id: VolumeId,
    hash: String,
    root: Root,
    next_page_number: u64,
}

impl<W: World> Mapper<W> {
    /// Names a snapshot by its content: 64 hexadecimal digits, which are the same for the same content.
    pub async fn hash(&self, name: &str, progress: &Progress) -> Result<String, MapError> {
        let (view, _held) = {
            let _manage = self.manage.lock().await;
            let loaded = self.find(name).await?;
            if !loaded.head.flags.snapshot {
                return Err(MapError::Invalid {
                    what: "what is to be hashed",
                    why: format!(
                        "{name} is a volume, and its content changes: `vlmc snapshot {name} SNAPSHOT` makes a snapshot, which can be hashed"
                    ),
                });
            }
            let held = Held::begin(&self.held, loaded.head.id);
            (View::of(loaded), held)
        };
        let id = self.base.world.random_id();
        let making = self.begin_making(id).await?;
        let hashed = self.hash_as(&view, id, progress).await;
        // What has no name is `gc`'s from now on.
        if let Err(error) = self.end_making(making).await {
            tracing::warn!(volume = %id, %error, "a line in the store is left");
        }
        hashed
    }

    async fn hash_as(
        &self,
        view: &View,
        id: VolumeId,
        progress: &Progress,
    ) -> Result<String, MapError> {
        let built = match self.build(view, id, progress).await {
            Ok(built) => built,
            Err(error) => {
                self.delete_unnamed_pages(id).await;
                return Err(error);
            }
        };
        // From here on the trash tells of what is cut off.
        if !self.publish_content(&view.head, &built).await? {
            self.delete_unnamed_pages(id).await;
        }
        Ok(built.hash)
    }

    /// What this hash stands for.
    pub async fn find_hash(&self, hash: &str) -> Result<super::load::Loaded, MapError> {
        let found = self.base.find_in(Directory::Hashes, hash).await?;
        found.ok_or_else(|| MapError::NoContent {
            hash: hash.to_owned(),
        })
    }

    /// Nothing that takes long is begun any more, and what was is given up.
    pub fn give_up_hashing(&self) {
        self.is_stopping.set(true);
    }

    /// If this fails, `gc` finds them.
    async fn delete_unnamed_pages(&self, id: VolumeId) {
        if let Err(error) = ContentTree::delete_pages(&self.base, id).await {
            tracing::warn!(volume = %id, %error, "pages that nobody names are left");
        }
    }

    /// Makes the objects and the pages, and makes them durable (HASH-1).
    async fn build(
        &self,
        view: &View,
        id: VolumeId,
        progress: &Progress,
    ) -> Result<Built, MapError> {
        let (shape, size_bytes) = (view.head.shape, view.head.size_bytes);
        let blocks = shape.blocks(size_bytes);
        progress.total_blocks.set(blocks);
        let mut merkle = Merkle::new(shape, size_bytes);
        let mut tree = ContentTree::new(id, shape, size_bytes);
        let mut next = 0;
        while next < blocks {
            if self.is_stopping.get() {
                return Err(MapError::Stopping);
            }
            let batch = view
                .mapped_from(&self.base, next, BATCH_BLOCKS, blocks)
                .await?;
            let found = self.hash_batch(view, &batch.blocks, id).await?;
            for (block, found) in batch.blocks.iter().zip(found) {
                if let Some(Found { content, .. }) = found {
                    merkle.push(*block, content);
                    tree.push(*block, content);
                }
            }
            tree.write(&self.base, false).await?;
            next = batch.next;
            progress.done_blocks.set(next);
        }
        let (root, next_page_number) = tree.finish(&self.base).await?;
        self.base.sync_data(id).await?;
        self.base.sync_maps(id).await?;
        let hash = blake3::Hash::from_bytes(merkle.finish());
        Ok(Built {
            id,
            hash: hash.to_hex().to_string(),
            root,
            next_page_number,
        })
    }

    async fn hash_batch(
        &self,
        view: &View,
        blocks: &[u64],
        id: VolumeId,
    ) -> Result<Vec<Option<Found>>, MapError> {
        let scope = names::scope(id);
        let shape = view.head.shape;
        let work = blocks.iter().map(async |index| {
            let map = view.block(&self.base, *index).await?;
            let index = *index;
            let block = Block { shape, index, map };
            self.base.content_of(&block, scope).await
        });
        let found = together::try_all(work, AT_ONCE).await?;
        let new: BTreeSet<_> = found
            .iter()
            .flatten()
            .filter(|found| found.is_new)
            .map(|found| found.content)
            .collect();
        if !new.is_empty() {
            self.base.seal(new, shape, scope).await?;
        }
        Ok(found)
    }

    /// Gives the content its name. Tells whether it had none before (HASH-2).
    async fn publish_content(&self, of: &Head, built: &Built) -> Result<bool, MapError> {
        let _manage = self.manage.lock().await;
        let (id, hash) = (built.id, &built.hash);
        // Somebody elsewhere may have removed it: then what was read may be what was left of it (HASH-5).
        let is_there = match self.base.load(of.id).await? {
            Some(loaded) => self.base.is_named(&loaded.head).await?,
            None => false,
        };
        if !is_there {
            self.delete_unnamed_pages(id).await;
            return Err(MapError::NotFound {
                name: of.name.clone(),
            });
        }
        let known = self.base.find_in(Directory::Hashes, hash).await?;
        if let Some(known) = known {
            self.end_making_left(known.head.id).await?;
            return Ok(false);
        }
        let making = self.lock_to_make(id).await?; // MAKING-1
        let head = head_of(of, built, self.now());
        let made = async {
            self.base.create_head(&head).await?;
            self.base
                .create_entry(Directory::Hashes, hash, id, NameKind::Content)
                .await?;
            making.check_lock().await
        };
        let made = made.await;
        self.end_making_snapshot(making).await;
        match made {
            Ok(()) => self.base.delete_quietly(&names::trash(id)).await?,
            // Another mapper made the same meanwhile. Ours has no name, and goes as whatever is in the trash.
            Err(MapError::Exists { .. }) => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    fn now(&self) -> u64 {
        self.base.world.now_seconds()
    }
}

fn head_of(of: &Head, built: &Built, created_seconds: u64) -> Head {
    Head {
        id: built.id,
        version: Version {
            token: 0,
            number: 1,
        },
        floor: Stamp::ZERO,
        ceiling: Stamp::ZERO,
        parent: None,
        root: built.root.page.map(|page| HeadRoot {
            page,
            level: built.root.level,
        }),
        flags: HeadFlags {
            snapshot: true,
            content: true,
            ..HeadFlags::default()
        },
        has_content: true,
        name: built.hash.clone(),
        segments: Vec::new(),
        next_page_number: built.next_page_number,
        created_seconds,
        shape: of.shape,
        size_bytes: of.size_bytes,
    }
}

/// Nothing of a snapshot is given back, and it keeps its name, while somebody reads it from end to end (HASH-3).
#[derive(Debug)]
pub struct Held<'a> {
    held: &'a RefCell<BTreeMap<VolumeId, u32>>,
    id: VolumeId,
}

impl<'a> Held<'a> {
    fn begin(held: &'a RefCell<BTreeMap<VolumeId, u32>>, id: VolumeId) -> Self {
        *held.borrow_mut().entry(id).or_default() += 1;
        Self { held, id }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.held.borrow_mut();
        if let Some(count) = held.get_mut(&self.id) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.id);
            }
        }
    }
}
