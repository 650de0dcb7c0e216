//! A volume whose lock is not ours any more, though nobody here gave it back: somebody broke it, and may have the volume open.
//!
//! The store of a directory refuses us nothing, so we look. What was decided while the lock was ours, and was durable then, is
//! known to whoever has it next; that is enough for all that takes something away, however late it is done. Only
//! what is written in place needs more than this ([`super::after_break`]).
//!
//! # Invariants
//! * **TAKEN-1** Nothing of a volume is deleted or punched before it was seen that the lock is ours, after that what the decision
//!   rests on was durable, or listed.
//! * **TAKEN-2** Once it was seen that the lock is not ours nothing is appended, granted, or answered as durable.

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
                by: other.map(|record| record.owner.to_string()),
            }),
        }
    }
}
