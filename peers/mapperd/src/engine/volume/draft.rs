//! Snapshots that are being made: the volume knows them until they are in force, or gone without a trace.
//!
//! # Invariants
//! * **DRAFT-1** A snapshot that the volume's journal never took has nothing of its own: its head is deleted, and nothing of
//!   what it names is given back.
//! * **DRAFT-2** Before the volume goes on to another parent, none of its drafts is left: whether one was taken can be told
//!   only as long as it would be the parent.

use archipelago_store::{Store, StoreError};

use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::names;
use crate::engine::world::{Base, World};
use crate::map::{Head, VolumeId};

impl<W: World> Volume<W> {
    /// Ends what snapshots began that were cut off.
    pub async fn settle_drafts(&self) -> Result<(), MapError> {
        let _change = self.change.lock().await;
        self.check_open()?;
        self.settle_drafts_in_change().await
    }

    pub async fn settle_drafts_in_change(&self) -> Result<(), MapError> {
        let listed = self
            .base
            .list_all(&names::draft_group(self.id), "list the drafts")
            .await?;
        if !listed.is_empty() {
            self.check_lock().await?; // TAKEN-1
        }
        for draft in listed {
            let parent = self.state.borrow().head.parent;
            if let Some(id) = names::last_id(&draft)
                && parent != Some(id)
            {
                self.base.delete_draft(id).await?;
            }
            self.base.delete_quietly(&draft).await?;
        }
        Ok(())
    }
}

impl<W: World> Base<W> {
    /// "This snapshot of the volume is being made." Made again, it is made.
    pub async fn create_draft(&self, of: VolumeId, snapshot: VolumeId) -> Result<(), MapError> {
        let object = names::draft(of, snapshot);
        match self.maps().create_exclusive(&object, &[]).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", &object)(error)),
        }
    }

    /// Deletes the head of a snapshot that never was one (DRAFT-1), or of a clone that never had a name.
    pub async fn delete_draft(&self, id: VolumeId) -> Result<(), MapError> {
        for version in self.versions(id).await? {
            let object = names::head(id, version.token, version.number);
            let bytes = self.read_whole(&object, "read").await?;
            let head = Head::decode(&bytes).map_err(|error| MapError::Corrupt {
                object: object.clone(),
                why: error.to_string(),
            })?;
            if let Some(parent) = head.value.parent {
                self.delete_quietly(&names::edge(parent, id)).await?;
            }
            self.delete_quietly(&object).await?;
        }
        // Its edges go after it: as long as it is there, they tell whose its content is.
        self.sync_maps(id).await?;
        self.delete_edges(id).await
    }

    /// Nothing hangs from this id any more.
    pub async fn delete_edges(&self, id: VolumeId) -> Result<(), MapError> {
        let group = names::edge_group(id);
        for edge in self.list_all(&group, "list the children").await? {
            self.delete_quietly(&edge).await?;
        }
        Ok(())
    }
}
