//! What is being made, on whichever node, is nobody else's to give back.
//!
//! # Invariants
//! * **MAKING-1** What is listed in the trash and has a name to come is given back, with its edges, only by who has its lock and has seen
//!   since that it has no name: whoever makes it has the lock from before there is anything of it until it has its name.

use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::names;
use super::world::{Base, World};
use crate::map::VolumeId;

impl<W: World> Base<W> {
    /// Lists what is to be made, and keeps others from it. Begun again after a death, it is begun.
    pub async fn begin_making(&self, id: VolumeId) -> Result<(), MapError> {
        self.put_in_trash(id).await?;
        self.lock(id, false).await.map(drop)
    }

    /// It has its name, or nobody makes it any more. Nothing was named by the lock's token, so it leaves no trace.
    pub async fn end_making(&self, id: VolumeId) {
        let object = names::lock(id);
        match self.maps().forget_lock(&object, self.world.owner()).await {
            Ok(()) | Err(StoreError::NotLocked) => {}
            Err(error) => tracing::warn!(volume = %id, %error, "the lock is kept"),
        }
    }
}
