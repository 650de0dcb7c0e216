//! Removing heads, and giving back what nobody has any more (M7).
//!
//! # Invariants
//! * **GONE-1** A nameless head is listed in the trash from before it loses its name until all of it is gone: who begins
//!   a removal may die, whoever comes next ends it.
//! * **GONE-2** What a head alone has goes in an order in which what is left can be read, by us and by its child: objects;
//!   then the child is hung from the parent; then pages; then a *hollow* head that names nothing is published; then the
//!   journal, and the older heads that name it; then the edges, and the hollow head last. Each is durable before the next.
//! * **GONE-3** A head with two or more children stays; one with one child gives that child to its own parent.
//! * **GONE-4** What a head has is compared with what may share it. If nothing hangs from it, but an edge goes to somebody who
//!   hangs from another head (a child that was given away before we died; a volume that never took this snapshot), that
//!   is whoever stands above that one, next below the head's own parent: what any below it shares it has, too. If that one
//!   is gone, nobody can be found from here: what the head had is left to `gc`.
//! * **GONE-5** A volume that composers use is not given back, whatever the trash says of it.
//! * **GONE-6** What an open volume may write in place is not given back with another head: parts of it may be granted, of
//!   which no map tells yet. The volume itself gives it back.
//! * **GONE-7** Who hung from a head and hangs from its parent by now gives back what they shared without asking it: a snapshot
//!   in the trash of which a segment is gone has given back its objects, and needs its journal no more. It is damage as soon
//!   as anything hangs from it, or it has a name.
//! * **GONE-8** What a volume has of a head that goes is judged, and given back, between two of its changes: its next snapshot has
//!   what it had then, also when it has given it up itself.
//! * **GONE-9** What a head hangs from is changed by who has its lock, which nobody gives back under him. Whoever compares a head
//!   with its parent has its lock, has seen since that it is still ours, and that the head is still in force: a parent that the head does
//!   not hang from any more may have been emptied.
//! * **GONE-10** A snapshot that was to be named is nameless before anything of it goes: asked for again, it is not made of what is left.

use std::collections::BTreeSet;

use archipelago_store::{ObjectName, Store, StoreError};

use super::beside::{Beside, Kin, Neighbour, Stray};
use super::error::MapError;
use super::load::Loaded;
use super::names;
use super::together;
use super::tree::Placed;
use super::view::View;
use super::volume::{Fate, changed_blocks, fate};
use super::world::{Base, World};
use crate::map::{BlockMap, Head, Version, VolumeId};

/// Blocks that are given back at the same time.
const AT_ONCE: usize = 16;

/// How often those to whom edges go are looked for while they change.
const LOOKS_MAX: u32 = 16;

/// Heads on the way up: what goes on for longer is a circle (F44).
const ANCESTORS_MAX: usize = 1 << 16;

/// Who stands next below the parent of a head that goes, above whom an edge of that head goes to.
#[derive(Debug)]
pub enum Topmost {
    Is(Box<Loaded>),
    /// The head itself: somebody was hung from it while its edges were read.
    HangsFromIt,
    Nobody,
}

impl<W: World> Base<W> {
    /// The heads that hang from this one.
    pub async fn children(&self, id: VolumeId) -> Result<Vec<VolumeId>, MapError> {
        Ok(self.kin(id).await?.children)
    }

    /// Those to whom edges go.
    pub async fn kin(&self, id: VolumeId) -> Result<Kin, MapError> {
        let group = names::edge_group(id);
        let mut edges = self.list_all(&group, "list the children").await?;
        for _ in 0..LOOKS_MAX {
            let kin = self.kin_of(id, &edges).await?;
            // Whoever went meanwhile may have given its child to this head.
            let now = match kin.has_lost {
                true => self.list_all(&group, "list the children").await?,
                false => return Ok(kin),
            };
            if now == edges {
                return Ok(kin);
            }
            edges = now;
        }
        Err(MapError::Busy {
            name: id.to_string(),
            by: "what hangs from it changes whenever it is looked at".into(),
        })
    }

    async fn kin_of(&self, id: VolumeId, edges: &[ObjectName]) -> Result<Kin, MapError> {
        let mut kin = Kin::default();
        for edge in edges {
            let Some(child) = names::last_id(edge) else {
                continue;
            };
            match self.load_left(child).await? {
                None => kin.has_lost = true,
                Some(loaded) if loaded.head.parent == Some(id) => kin.children.push(child),
                Some(loaded) => kin.strays.push(Stray {
                    id: child,
                    segments: loaded.head.segments,
                }),
            }
        }
        Ok(kin)
    }

    /// Gives back the objects that `gone` has and neither of the neighbours (GONE-2).
    pub async fn give_back_objects(&self, gone: &View, beside: &Beside<W>) -> Result<(), MapError> {
        if !gone.is_whole {
            return Ok(()); // GONE-7
        }
        let blocks = self.blocks_to_compare(gone, beside).await?;
        let work = blocks
            .iter()
            .map(|block| self.give_back_block(gone, *block, beside));
        together::try_all(work, AT_ONCE).await?;
        self.sync_data(gone.head.id).await
    }

    /// Gives back the pages. The child does not hang from the head any more.
    pub async fn give_back_pages(&self, gone: &View, beside: &Beside<W>) -> Result<(), MapError> {
        let pages = self.pages.only_in(gone.root(), &beside.roots()).await?;
        self.free_pages(&pages).await
    }

    /// Who stands above `below`, or is it, and hangs from `parent`, as `gone` does.
    pub async fn topmost(
        &self,
        below: VolumeId,
        gone: VolumeId,
        parent: Option<VolumeId>,
    ) -> Result<Topmost, MapError> {
        let mut at = below;
        for _ in 0..ANCESTORS_MAX {
            let Some(loaded) = self.load(at).await? else {
                return Ok(Topmost::Nobody);
            };
            match loaded.head.parent {
                above if above == parent => return Ok(Topmost::Is(Box::new(loaded))),
                None => return Ok(Topmost::Nobody),
                Some(above) if above == gone => return Ok(Topmost::HangsFromIt),
                Some(above) => at = above,
            }
        }
        Ok(Topmost::Nobody)
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
        let mapped = self
            .pages
            .mapped_left(gone.root(), 0..u64::MAX, skip)
            .await?;
        blocks.extend(mapped);
        for neighbour in beside.all() {
            let (changed, zeros) = neighbour.changes();
            blocks.extend(changed);
            for zero in zeros {
                let mapped = self
                    .pages
                    .mapped_left(gone.root(), zero, async |_| Ok(false))
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
            // The map that is durable may still have it; and what may be written at this moment is the writer's (GONE-6).
            if let Some(Neighbour::Open(child)) = &beside.child
                && (child.keeps(block, *source) || child.may_write(*source))
            {
                continue;
            }
            let fate = fate(*source, &below, above.as_ref(), &[], shape.subs());
            if fate != Fate::Keep {
                self.free_object(*source, block, fate, shape.grain_bytes())
                    .await?;
            }
        }
        Ok(())
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

    /// The line in the trash says from what the clone is to hang, which has no head yet (MAKING-5).
    pub async fn write_parent_in_trash(
        &self,
        id: VolumeId,
        parent: VolumeId,
    ) -> Result<(), MapError> {
        let object = names::trash(id);
        let written = self
            .maps()
            .write(names::scope(id), &object, 0, parent.as_bytes());
        written.await.map_err(MapError::store("write", &object))
    }

    /// Of what has no head, and has a line in the trash: the edges that were made for it.
    pub async fn delete_edges_of_nobody(&self, id: VolumeId) -> Result<(), MapError> {
        let line = match self.read_whole(&names::trash(id), "read").await {
            Err(MapError::Store {
                source: StoreError::NotFound,
                ..
            }) => Vec::new(),
            read => read?,
        };
        let parent = line.try_into().ok().and_then(VolumeId::new);
        if let Some(parent) = parent {
            self.delete_quietly(&names::edge(parent, id)).await?;
        }
        self.delete_edges(id).await
    }

    /// What is in the trash list.
    pub async fn trash(&self) -> Result<Vec<VolumeId>, MapError> {
        let listed = self.list_all(names::TRASH_GROUP, "list the trash").await?;
        Ok(listed.iter().filter_map(names::last_id).collect())
    }
}
