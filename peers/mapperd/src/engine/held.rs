//! Locks that an administrator holds: they outlive the work that was done under them.
//!
//! # Invariants
//! * **HELD-1** A lock that was asked for by name stays until it is given back by name, or the volume is removed: neither a
//!   close by itself nor a stop of the node gives it back.

use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::names;
use super::world::{Base, World};
use crate::map::VolumeId;

impl<W: World> Base<W> {
    /// Notes that the lock, which is ours, is held. Held again, it is held.
    pub async fn hold(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::held(id);
        match self.maps().create_exclusive(&object, &[]).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", &object)(error)),
        }
    }

    /// The lock is not held any more: who has done with the volume gives it back.
    pub async fn let_go(&self, id: VolumeId) -> Result<(), MapError> {
        self.delete_quietly(&names::held(id)).await
    }

    /// Gives the lock back when the work under it is done, unless it is held (HELD-1).
    pub async fn release(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::held(id);
        match self.maps().stat(&object).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound) => self.unlock(id, false).await,
            Err(error) => Err(MapError::store("look for", &object)(error)),
        }
    }
}
