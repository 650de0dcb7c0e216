//! Locks that an administrator holds: they outlive the work that was done under them.
//!
//! # Invariants
//! * **HELD-1** A lock that was asked for by name stays until it is given back by name, or the volume is removed: neither a
//!   close by itself nor a stop of the node gives it back.
//! * **HELD-2** A volume that was opened by name, whoever had opened it before, is closed by name, or with the node: who opens
//!   volumes for its own sake closes only what nobody asked for.
//! * **HELD-3** Whether a lock is held is decided for one at a time: none is given back by who looked before it was held.

use archipelago_store::{Store, StoreError};

use super::error::MapError;
use super::names;
use super::world::{Base, World};
use crate::map::VolumeId;

impl<W: World> Base<W> {
    /// Takes the lock, and holds it. Held again, it is held.
    pub async fn lock_and_hold(&self, id: VolumeId) -> Result<(), MapError> {
        let _holding = self.holding.lock().await; // HELD-3
        let record = self.lock_record(id).await?;
        let was_ours = record.is_some_and(|record| record.owner == *self.world.owner());
        self.lock(id, false).await?;
        let held = self.hold(id).await;
        if held.is_err() && !was_ours {
            // Nobody here works under it: left to us, it would be in the way of others.
            self.unlock(id, false).await?;
        }
        held
    }

    async fn hold(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::held(id);
        match self.maps().create_exclusive(&object, &[]).await {
            Ok(()) | Err(StoreError::Exists) => Ok(()),
            Err(error) => Err(MapError::store("make", &object)(error)),
        }
    }

    /// The lock is not held any more, also after power loss: who has done with the volume gives it back.
    pub async fn let_go(&self, id: VolumeId) -> Result<(), MapError> {
        let object = names::held(id);
        match self.maps().delete(&object).await {
            Ok(()) => {}
            Err(StoreError::NotFound) => return Ok(()),
            Err(error) => return Err(MapError::store("delete", &object)(error)),
        }
        if let Err(error) = self.sync_maps(id).await {
            // It is let go all the same, unless power is lost before anything else is synced.
            tracing::warn!(volume = %id, %error, "that its lock is not held any more may be forgotten");
        }
        Ok(())
    }

    /// Gives the lock back when the work under it is done, unless it is held (HELD-1).
    pub async fn release(&self, id: VolumeId) -> Result<(), MapError> {
        let _holding = self.holding.lock().await; // HELD-3
        let object = names::held(id);
        match self.maps().stat(&object).await {
            Ok(_) => Ok(()),
            Err(StoreError::NotFound) => self.unlock(id, false).await,
            Err(error) => Err(MapError::store("look for", &object)(error)),
        }
    }
}
