//! A volume whose lock is not ours any more, though nobody here gave it back: somebody broke it, and may have the volume open.
//!
//! The store of a directory refuses us nothing, so we look. What was decided while the lock was ours, and was durable then, is
//! known to whoever has it next; that is enough for all that takes something away, however late it is done. What is
//! answered needs more than this: the lease ([`World::lease_generation`]). Who breaks a lock marks it, then takes the lease away, and
//! waits until it has run out; so as long as a lease is in force, a lock that was ours under it still is.
//!
//! # Invariants
//! * **TAKEN-1** Nothing of a volume is deleted or punched before it was seen that the lock is ours, after that what the decision
//!   rests on was durable, or listed.
//! * **TAKEN-2** Once it was seen that the lock is not ours nothing is appended, granted, or answered as durable.
//! * **VOUCH-1** A composer is told of a lease only after the lock was seen to be ours since that lease began.
//! * **VOUCH-2** A change of a volume as a whole is answered only when, after it was done, the lock was ours by a lease in force. A lease
//!   that has run out is waited for.

use super::volume::Volume;
use crate::engine::error::MapError;
use crate::engine::world::{Base, World};
use crate::map::VolumeId;

impl<W: World> Volume<W> {
    /// Fails if the lock is not the one that the volume was opened with. A volume that was closed is not asked for.
    pub async fn check_lock(&self) -> Result<(), MapError> {
        if let Some(error) = self.taken() {
            return Err(error);
        }
        match self.base.check_token(self.id, self.token).await {
            Err(MapError::Taken { by, .. }) => {
                // Whoever closes it ends it before the lock is given back (CLOSE-2).
                self.check_open()?;
                let name = self.name();
                let error = MapError::Taken { name, by };
                tracing::error!(volume = %self.id, token = self.token, %error, "it is dropped");
                self.log.latch((&error).into());
                *self.taken.borrow_mut() = Some(error.clone());
                Err(error)
            }
            checked => checked,
        }
    }

    /// The lease under which the lock is ours; it need not be in force any more (VOUCH-1).
    pub async fn vouch(&self) -> Result<u64, MapError> {
        loop {
            let generation = self.base.world.lease_generation();
            if self.vouched.get() == generation {
                return Ok(generation);
            }
            self.check_lock().await?;
            self.vouched.set(generation);
        }
    }

    /// Waits until it is known that the lock was ours when this was called (VOUCH-2).
    pub(crate) async fn confirm(&self) -> Result<(), MapError> {
        loop {
            let generation = self.vouch().await?;
            if self.base.world.is_lease_in_force(generation) {
                return Ok(());
            }
            self.base.world.pause().await;
        }
    }

    /// Why the lock is not ours, if that was seen.
    pub fn taken(&self) -> Option<MapError> {
        self.taken.borrow().clone()
    }
}

impl<W: World> Base<W> {
    /// Fails if the lock has changed since it was taken with this token.
    pub async fn check_token(&self, id: VolumeId, token: u64) -> Result<(), MapError> {
        // By the token alone: where the record is damaged nobody has changed the lock.
        match self.lock_record(id).await? {
            Some(record) if record.token == token => Ok(()),
            other => Err(MapError::Taken {
                name: id.to_string(),
                // Nobody has one that is being broken.
                by: other
                    .filter(|record| !record.is_being_broken())
                    .map(|record| record.owner.to_string()),
            }),
        }
    }
}
