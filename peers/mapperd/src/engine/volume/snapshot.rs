//! Snapshots: a head that shares the tree and what the journal said till now (M3).
//!
//! # Invariants
//! * **SNAP-1** A snapshot shows what was answered when it was begun, and never changes: its floor is durable before
//!   anybody can see it (M2).
//! * **SNAP-2** Whenever we die, the volume's parent is a head that is there: the snapshot's head comes first, the
//!   volume's record of it second, its name last.

use archipelago_store::{Store, StoreError};

use super::checkpoint::After;
use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::{Base, World};
use crate::map::journal::Record;
use crate::map::{Head, HeadFlags, Root as HeadRoot, Stamp, Version, VolumeId};

impl<W: World> Volume<W> {
    /// Makes the snapshot `child`. It is the volume's parent when this returns; whoever asked gives it its name.
    pub async fn snapshot(&self, child: VolumeId, name: &str) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        self.settle_drafts_in_change().await?;
        let held = self.take_back().await?;
        if self.state.borrow().layers.frozen.is_some() {
            self.checkpoint_in_change(After::GoesOn).await?;
        }
        self.commits_ended().await;
        self.flush().await?;
        // What was displaced till now is compared with the parent of till now (SPACE-4).
        self.reclaim_in_change().await?;
        // Older heads are gone for good: one that came back would be compared with the wrong parent (SPACE-4).
        self.clean_up_old_heads().await?;
        self.sync_maps().await?;
        let head = self.head_of_snapshot(child, name);
        let parent = head.parent;
        self.base.create_draft(self.id, child).await?;
        // Before the head: whoever finds that finds whose content it has (GONE-4).
        self.base.create_edge(child, self.id).await?;
        self.base.create_head(&head).await?;
        // After it: an edge to nobody would be one to somebody who is gone (GONE-4).
        if let Some(parent) = parent {
            self.base.create_edge(parent, child).await?;
        }
        // TAKEN-1: the next owner may have looked for drafts before there was this head.
        if let Err(error) = self.check_lock().await {
            if self.taken().is_some() {
                self.base.delete_draft(child).await?;
            }
            return Err(error);
        }
        let floor = self.state.borrow().last_stamp();
        self.append([Record::Snapshot { child, floor }]).await?;
        self.state.borrow_mut().displaced.clear();
        self.flush().await?;
        self.check_lock().await?; // TAKEN-1
        if let Some(parent) = parent {
            self.leave_parent(parent).await?;
        }
        let draft = names::draft(self.id, child);
        self.base.delete_quietly(&draft).await?;
        drop(held);
        Ok(())
    }

    /// The edge from its last parent goes. The next owner may have hung it from that one again: then the edge is his, and comes back. If he has
    /// not, it leads to somebody who hangs from another head, which does no harm (GONE-4).
    async fn leave_parent(&self, parent: VolumeId) -> Result<(), MapError> {
        self.base
            .delete_quietly(&names::edge(parent, self.id))
            .await?;
        let checked = self.check_lock().await; // TAKEN-1
        if checked.is_err() {
            self.base.create_edge(parent, self.id).await?;
        }
        checked
    }

    fn head_of_snapshot(&self, child: VolumeId, name: &str) -> Head {
        let state = self.state.borrow();
        let root = state.layers.root;
        Head {
            id: child,
            version: Version {
                token: 0,
                number: 1,
            },
            floor: Stamp::ZERO,
            ceiling: Stamp::ZERO,
            root: root.page.map(|page| HeadRoot {
                page,
                level: root.level,
            }),
            flags: HeadFlags {
                snapshot: true,
                nameless: name.is_empty(),
                ..HeadFlags::default()
            },
            name: name.to_owned(),
            segments: self.log.durable_segments(),
            next_page_number: 0,
            created_seconds: self.base.world.now_seconds(),
            ..state.head.clone()
        }
    }

    /// The volume hangs from another head from now on, or from none.
    pub async fn set_parent(&self, parent: Option<VolumeId>) -> Result<(), MapError> {
        self.append([Record::Parent { parent }]).await?;
        self.flush().await?;
        self.check_lock().await // TAKEN-1
    }

    /// Changes what is said of the volume as a whole, durably.
    pub async fn record(&self, record: Record) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        self.append([record]).await?;
        self.flush().await?;
        self.check_lock().await // TAKEN-1
    }
}

impl<W: World> Base<W> {
    /// "The child hangs from the parent." Made again, it is made.
    pub async fn create_edge(&self, parent: VolumeId, child: VolumeId) -> Result<(), MapError> {
        let object = names::edge(parent, child);
        match self.maps().create_exclusive(&object, &[]).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", &object)(error)),
        }
    }
}
