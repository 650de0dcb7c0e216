//! Removing heads, and giving back what nobody has any more (M7).
//!
//! # Invariants
//! * **GONE-1** A nameless head is listed in the trash from before it loses its name until all of it is gone: who begins
//!   a removal may die, whoever comes next ends it.
//! * **GONE-2** What a head alone has goes in an order in which what is left can be read: objects, pages, and the head
//!   itself last.
//! * **GONE-3** A head with two or more children stays; one with one child gives that child to its own parent.

use std::collections::BTreeSet;
use std::rc::Rc;

use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::load::View;
use super::names;
use super::together;
use super::tree::{Placed, Root};
use super::volume::{Fate, Volume, changed_blocks, fate};
use super::world::{Base, World};
use crate::map::{BlockMap, Head, OverlayItem, Version, VolumeId};

/// Blocks that are given back at the same time.
const AT_ONCE: usize = 16;

/// A head beside the one that goes.
#[derive(Debug)]
pub enum Neighbour<W: World> {
    Still(Rc<View>),
    Open(Rc<Volume<W>>),
}

impl<W: World> Neighbour<W> {
    fn root(&self) -> Root {
        match self {
            Self::Still(view) => view.root(),
            Self::Open(volume) => volume.with_state(|state| state.layers.root),
        }
    }

    fn id(&self) -> VolumeId {
        match self {
            Self::Still(view) => view.head.id,
            Self::Open(volume) => volume.id,
        }
    }

    fn segments(&self) -> Vec<crate::map::SegmentRef> {
        match self {
            Self::Still(view) => view.head.segments.clone(),
            Self::Open(volume) => volume.journal_segments(),
        }
    }

    async fn block(&self, base: &Base<W>, block: u64) -> Result<BlockMap, MapError> {
        match self {
            Self::Still(view) => view.block(base, block).await,
            Self::Open(volume) => volume.block(block).await,
        }
    }

    /// Blocks and ranges of which it says something else than its tree.
    fn changes(&self) -> (BTreeSet<u64>, Vec<std::ops::Range<u64>>) {
        let mut blocks = BTreeSet::new();
        let mut zeros = Vec::new();
        let mut take = |overlay: &crate::map::Overlay| {
            changed_blocks(overlay, 0..u64::MAX, &mut blocks);
            zeros.extend(overlay.items(0..u64::MAX).filter_map(|item| match item {
                OverlayItem::Zero(range) => Some(range),
                _ => None,
            }));
        };
        match self {
            Self::Still(view) => take(view.overlay()),
            Self::Open(volume) => volume.with_state(|state| {
                take(&state.layers.live);
                if let Some(frozen) = &state.layers.frozen {
                    take(frozen);
                }
            }),
        }
        (blocks, zeros)
    }
}

/// What lies beside a head that goes.
#[derive(Debug)]
pub struct Beside<W: World> {
    /// What it hangs from.
    pub parent: Option<Neighbour<W>>,
    /// The only one that hangs from it.
    pub child: Option<Neighbour<W>>,
}

impl<W: World> Beside<W> {
    fn all(&self) -> impl Iterator<Item = &Neighbour<W>> {
        self.parent.iter().chain(&self.child)
    }

    fn roots(&self) -> Vec<Root> {
        self.all().map(Neighbour::root).collect()
    }
}

impl<W: World> Base<W> {
    /// The heads that hang from this one.
    pub async fn children(&self, id: VolumeId) -> Result<Vec<VolumeId>, MapError> {
        let mut children = Vec::new();
        for object in self
            .list_all(&names::edge_group(id), "list the children")
            .await?
        {
            let Some(child) = names::last_id(&object) else {
                continue;
            };
            // An edge without a child that says the same is left over, or not in force yet.
            if let Some(loaded) = self.load(child).await?
                && loaded.head.parent == Some(id)
            {
                children.push(child);
            }
        }
        Ok(children)
    }

    /// Gives back what `gone` has and neither of the neighbours (GONE-2), up to the head itself.
    pub async fn give_back(&self, gone: &View, beside: &Beside<W>) -> Result<(), MapError> {
        let blocks = self.blocks_to_compare(gone, beside).await?;
        let work = blocks
            .iter()
            .map(|block| self.give_back_block(gone, *block, beside));
        together::try_all(work, AT_ONCE).await?;
        let roots = beside.roots();
        let pages = self.pages.only_in(gone.root(), &roots).await?;
        self.free_pages(&pages).await
    }

    async fn blocks_to_compare(
        &self,
        gone: &View,
        beside: &Beside<W>,
    ) -> Result<BTreeSet<u64>, MapError> {
        let roots = beside.roots();
        let skip = async |placed: Placed| self.pages.has_any(&roots, placed).await;
        let mut blocks = BTreeSet::new();
        changed_blocks(gone.overlay(), 0..u64::MAX, &mut blocks);
        blocks.extend(self.pages.mapped(gone.root(), 0..u64::MAX, skip).await?);
        for neighbour in beside.all() {
            let (changed, zeros) = neighbour.changes();
            blocks.extend(changed);
            for zero in zeros {
                let mapped = self
                    .pages
                    .mapped(gone.root(), zero, async |_| Ok(false))
                    .await?;
                blocks.extend(mapped);
            }
        }
        Ok(blocks)
    }

    async fn give_back_block(
        &self,
        gone: &View,
        block: u64,
        beside: &Beside<W>,
    ) -> Result<(), MapError> {
        let shape = gone.head.shape;
        let map = match gone.block(self, block).await {
            Ok(map) => map,
            // An earlier try went beyond this block: pages go after all that is below them.
            Err(MapError::Missing { .. } | MapError::Corrupt { .. }) => return Ok(()),
            Err(error) => return Err(error),
        };
        let below = match &beside.child {
            Some(child) => child.block(self, block).await?,
            None => BlockMap::Zero,
        };
        let above = match &beside.parent {
            Some(parent) => Some(parent.block(self, block).await?),
            None => None,
        };
        for source in map.sources() {
            let fate = fate(*source, &below, above.as_ref(), &[], shape.subs());
            if fate != Fate::Keep {
                self.free_object(*source, block, fate, shape.grain_bytes())
                    .await?;
            }
        }
        Ok(())
    }

    /// The last traces of a head of which nothing else is left.
    pub async fn delete_head(&self, gone: &View, beside: &Beside<W>) -> Result<(), MapError> {
        let id = gone.head.id;
        for segment in &gone.head.segments {
            let is_kept = beside.all().any(|neighbour| {
                neighbour.segments().iter().any(|other| {
                    (other.birth, other.token, other.number)
                        == (segment.birth, segment.token, segment.number)
                })
            });
            if !is_kept {
                self.delete_quietly(&names::log(segment.birth, segment.token, segment.number))
                    .await?;
            }
        }
        if let Some(parent) = gone.head.parent {
            self.delete_quietly(&names::edge(parent, id)).await?;
        }
        if let Some(child) = &beside.child {
            self.delete_quietly(&names::edge(id, child.id())).await?;
        }
        // The head in force goes last: it tells a second try where to look.
        for Version { token, number } in self.versions(id).await? {
            self.delete_quietly(&names::head(id, token, number)).await?;
        }
        self.delete_lock(id).await?;
        // What comes back after power loss is found again as long as it is listed.
        self.sync_maps(id).await?;
        self.delete_quietly(&names::trash(id)).await
    }

    async fn delete_lock(&self, id: VolumeId) -> Result<(), MapError> {
        match self.unlock(id, false).await {
            Ok(())
            | Err(MapError::Store {
                source: StoreError::NotLocked | StoreError::NotFound,
                ..
            }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// A head that nobody has open is published anew with a change. Its lock is held.
    pub async fn change_head(
        &self,
        id: VolumeId,
        token: u64,
        change: impl FnOnce(&mut Head),
    ) -> Result<(), MapError> {
        let Some(loaded) = self.load(id).await? else {
            return Err(MapError::NotFound {
                name: id.to_string(),
            });
        };
        let mut head = loaded.head;
        let before = head.version;
        change(&mut head);
        head.version = Version {
            token: token.max(before.token),
            number: before.number + 1,
        };
        self.create_head(&head).await?;
        self.delete_quietly(&names::head(id, before.token, before.number))
            .await
    }

    /// Puts an id into the trash list (GONE-1). Put again, it is there.
    pub async fn put_in_trash(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::trash(id);
        match self.maps().create_exclusive(&object, &[]).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", &object)(error)),
        }
    }

    /// What is in the trash list.
    pub async fn trash(&self) -> Result<Vec<VolumeId>, MapError> {
        let listed = self.list_all(names::TRASH_GROUP, "list the trash").await?;
        Ok(listed.iter().filter_map(names::last_id).collect())
    }
}
